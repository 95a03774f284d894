//! A load through every way in.

use std::time::Duration;

use crate::harness::Receiver;
use crate::harness::alone::alone;
use crate::harness::length;
use crate::harness::on_topic::OnTopic;
use crate::harness::stream::Stream;
use crate::harness::tally::judge;

const RATE: usize = 1_000;
const SHARES: &str = "SELECT g.node AS name, count(*) AS number FROM task_history t JOIN generation g ON g.id = t.owner \
    GROUP BY g.node";

#[test]
fn submissions_over_rest_and_on_the_topic_are_each_called_once() {
    let _alone = alone();
    let Some(on) = OnTopic::start(3) else { return };
    let (receiver, seconds) = (Receiver::start(), length::of(4, 20));
    let ledger = Stream::lasting(&on, &receiver.url("/"), RATE, seconds).last();
    on.settle(Duration::from_secs(30));
    judge("REST and topic", &on, &ledger, &receiver, None);
    assert_eq!(ledger.accepted.len(), RATE * seconds, "all were accepted");
    let shares = on.rows(SHARES);
    println!("REST and topic: {RATE} a second for {seconds} s, executed by {shares:?}");
    assert!(
        shares.len() == 3 && shares.values().all(|tasks| *tasks as usize >= ledger.accepted.len() / 5),
        "{shares:?}"
    );
}
