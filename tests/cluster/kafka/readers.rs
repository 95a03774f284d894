//! Who reads what: offsets are set back, partitions change hands, two nodes read one.

use std::time::{Duration, Instant};

use super::SOON;
use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, flags, tasks};
use crate::harness::stream::Stream;
use crate::harness::tally::{Ledger, Watch, judge};
use crate::harness::{Node, Receiver, length};

const RATE: usize = 400;
/// Tasks that are put on the topic at once, due within a second.
const LOT: usize = 1_000;
const ALL: [usize; 3] = [0, 1, 2];
/// What a node logs that has read what another has stored.
const OVERTAKEN: &str = "was ingested by another node meanwhile";

#[test]
fn a_topic_read_again_under_load_runs_nothing_again() {
    let Some(on) = OnTopic::start(3) else { return };
    let (receiver, seconds) = (Receiver::start(), length::of(3, 20));
    let stream = Stream::lasting(&on, &receiver.url("/"), 2 * RATE, seconds);
    let (began, mut times) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(seconds as u64) {
        on.offsets(&["set", "--to", "beginning"]);
        times += 1;
        // The fault itself: at moments that nothing announces.
        std::thread::sleep(Duration::from_millis(rand::random_range(100..1_000)));
    }
    let ledger = stream.last();
    on.settle(Duration::from_mins(1));
    judge(&format!("{times} times from the beginning"), &on, &ledger, &receiver, None);
    // And once more when all of them have ended.
    on.offsets(&["set", "--to", "beginning"]);
    let began = Instant::now();
    on.settle(Duration::from_mins(1));
    println!("{} records, all of finished tasks, were read again within {:?}", ledger.accepted.len(), began.elapsed());
    judge("and once more at the end", &on, &ledger, &receiver, None);
    assert_eq!(ledger.accepted.len(), 2 * RATE * seconds, "all were accepted");
    assert_eq!(on.cluster.counts(0)["succeeded"], ledger.accepted.len());
    assert_eq!(on.dead_letters(), 0);
}

#[test]
fn partitions_change_hands_under_load_and_nothing_is_lost_or_doubled() {
    let Some(mut on) = OnTopic::start(3) else { return };
    let (receiver, rounds) = (Receiver::start(), length::of(1, 5));
    until("each reads its share", SOON, || on.is_shared_among(&ALL));
    let stream = Stream::start(&on, &receiver.url("/"), RATE);
    let mut watch = Watch::over(&on, RATE);
    let since = |what: &str, began: Instant| println!("all partitions are read {:?} after {what}", began.elapsed());
    for round in 0..rounds {
        let (killed, stopped) = ((round + 1) % 3, (round + 2) % 3);
        let others = |gone: usize| ALL.into_iter().filter(|node| *node != gone).collect::<Vec<_>>();

        let began = Instant::now();
        let url = on.cluster.url.clone();
        let name = format!("node-3-{round}");
        let place = ["--database-url", &url, "--name", &name];
        let mut fourth = Node::starting(&[&place[..], &flags(&on.brokers, &on.topic)].concat());
        fourth.until_ready();
        on.cluster.nodes.push(fourth);
        until("the new node reads its share", SOON, || on.is_shared_among(&[0, 1, 2, 3]));
        since("a node joined", began);
        let mut fourth = on.cluster.nodes.pop().unwrap();
        let began = Instant::now();
        fourth.signal("TERM");
        assert_eq!(fourth.wait().code(), Some(0), "{}", fourth.log());
        until("the others read its share", SOON, || on.is_shared_among(&ALL));
        since("it was told to stop", began);

        let began = Instant::now();
        watch.fault(killed, || on.cluster.nodes[killed].kill());
        until("the others read its share", SOON, || on.is_shared_among(&others(killed)));
        since("a node was killed", began);
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        on.cluster.nodes[killed].restart();
        until("it reads its share again", SOON, || on.is_shared_among(&ALL));

        on.cluster.nodes[stopped].signal("TERM");
        assert_eq!(on.cluster.nodes[stopped].wait().code(), Some(0), "{}", on.cluster.nodes[stopped].log());
        on.cluster.nodes[stopped].restart();
        until("each reads its share again", SOON, || on.is_shared_among(&ALL));
    }
    let ledger = stream.end();
    on.settle(Duration::from_mins(1));
    let row = format!("{rounds} times a node joined, left, was killed, was restarted");
    judge(&row, &on, &ledger, &receiver, Some(&mut watch));
    assert_eq!(on.dead_letters(), 0);
}

#[test]
fn two_nodes_that_read_one_partition_run_nothing_twice() {
    let Some(on) = OnTopic::start(3) else { return };
    let (receiver, rounds) = (Receiver::start(), length::of(2, 12));
    until("each reads its share", SOON, || on.is_shared_among(&ALL));
    let stream = Stream::start(&on, &receiver.url("/"), RATE);
    let (mut more, mut watch) = (Ledger::default(), Watch::over(&on, RATE + LOT));
    let overtaken = || -> usize { on.cluster.nodes.iter().map(|node| node.log().matches(OVERTAKEN).count()).sum() };
    for round in 0..rounds {
        let (stopped, before) = (round % 3, overtaken());
        let others: Vec<usize> = ALL.into_iter().filter(|node| *node != stopped).collect();
        more.add(put_and_signal(&on, &receiver, &mut watch, (stopped, "STOP")));
        let began = Instant::now();
        until("the others read its share", SOON, || on.is_shared_among(&others));
        let taken_over = began.elapsed();
        more.add(put_and_signal(&on, &receiver, &mut watch, (stopped, "CONT")));
        until("each reads its share again", SOON, || on.is_shared_among(&ALL));
        println!("taken over after {taken_over:.2?}; batches that another was faster with: {}", overtaken() - before);
    }
    more.add(stream.end());
    on.settle(Duration::from_mins(1));
    let row = format!("{rounds} times two nodes read one partition, {} batches twice", overtaken());
    judge(&row, &on, &more, &receiver, Some(&mut watch));
    assert!(overtaken() > 0, "they have met");
    assert_eq!(on.dead_letters(), 0);
}

/// A lot of records, and the node is told in the midst of them. Going on is a fault too: it may be declared dead just then.
fn put_and_signal(on: &OnTopic, receiver: &Receiver, watch: &mut Watch, (node, signal): (usize, &str)) -> Ledger {
    let lot = tasks(LOT, &receiver.url("/"), Duration::from_secs(1));
    let ledger = Ledger::of(&lot);
    std::thread::scope(|scope| {
        scope.spawn(|| on.put(&lot));
        // The fault itself: a moment that nothing announces.
        std::thread::sleep(Duration::from_millis(rand::random_range(20..300)));
        watch.fault(node, || on.cluster.nodes[node].signal(signal));
    });
    ledger
}
