//! Records that are no tasks, among good ones.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::SOON;
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, flags, received, tasks};
use crate::harness::topic::{Record, Topic};
use crate::harness::{Receiver, length};
use crate::services::{kafka, postgres};

/// A dead letter carries its record, a very large one the beginning of it.
fn is_of(letter: &Record, value: &[u8]) -> bool {
    let carried = letter.value.as_deref().unwrap_or_default();
    let cut = letter.header("truncated").is_some();
    if cut { !carried.is_empty() && value.starts_with(carried) } else { value == carried }
}

/// Key, value, and what the reason says.
type Poison = (Option<String>, Option<Vec<u8>>, &'static str);

/// One of each kind; the last one has the id of a good task.
fn every_kind(topic: &str, good: &str) -> Vec<Poison> {
    let log = r#"{"delay_ms": 0, "target": {"type": "log"}}"#;
    let foreign = format!(r#"{{"id": "{}", "delay_ms": 0, "target": {{"type": "log"}}}}"#, Uuid::now_v7());
    let own_topic = format!(r#"{{"delay_ms": 0, "target": {{"type": "kafka", "topic": "{topic}"}}}}"#);
    let with = |fields: &str| Some(format!(r#"{{"delay_ms": 0, "target": {{"type": "log"}}, {fields}}}"#).into_bytes());
    let huge = "k".repeat(1_000_000);
    let new = || Some(Uuid::now_v7().to_string());
    vec![
        (new(), None, "no value"),
        (new(), Some(Vec::new()), "the document is"),
        (new(), Some(b"{\"delay_ms\": ".to_vec()), "allowed"),
        (new(), Some(vec![0xff, 0x00, 0xfe]), "the document is"),
        (Some("order-17".to_owned()), Some(log.into()), "key is order-17"),
        (None, Some(log.into()), "neither a key nor an id"),
        (new(), Some(foreign.into_bytes()), "/id is"),
        (new(), Some(br#"{"target": {"type": "log"}}"#.to_vec()), "run_at"),
        (new(), Some(vec![b' '; 1_048_577]), "1048577 bytes"),
        (new(), Some(own_topic.into_bytes()), "/target/topic"),
        (new(), with(r#""\u0000": 1"#), r"/\u{0} is"),
        (new(), with(r#""labels": {"a\u0000b": "x"}"#), r"/labels/a\u{0}b is"),
        (new(), with(&format!(r#""{huge}": 1"#)), "/kkk"),
        (new(), with(&format!(r#""labels": {{"{huge}": "x"}}"#)), "/labels/kkk"),
        (Some(good.to_owned()), Some(log.into()), "conflict"),
    ]
}

#[test]
fn poison_is_a_dead_letter_with_its_reason_once() {
    // In the long form one record of a hundred.
    let (nodes, times, tasks_each) = length::of((2, 1, 500), (3, 10, 1_089));
    let Some(on) = OnTopic::start(nodes) else { return };
    let receiver = Receiver::start();
    let good =
        tasks(times * tasks_each, &receiver.url("/"), length::of(Duration::from_secs(1), Duration::from_secs(10)));
    let mut poison: Vec<Poison> = Vec::new();
    for some in good.chunks(tasks_each) {
        let kinds = every_kind(&on.topic, &some[0].0);
        // Evenly among the good ones; the first of these comes before all, as it has to.
        let (among, topic) = (some.chunks(tasks_each.div_ceil(kinds.len())), on.topic());
        let mut records: Vec<(Option<&str>, Option<&[u8]>)> = Vec::new();
        for (good, (key, value, _)) in among.zip(&kinds) {
            records.extend(good.iter().map(|(id, document)| (Some(id.as_str()), Some(document.as_bytes()))));
            records.push((key.as_deref(), value.as_deref()));
        }
        topic.put(records);
        poison.extend(kinds);
    }
    until("all the rest has succeeded", SOON, || on.cluster.counts(0)["succeeded"] == good.len());
    until("all of it is buried", SOON, || on.dead_letters() == poison.len() as u64);
    let dead = Topic::new(&on.brokers, &format!("{}.dead", on.topic)).records(poison.len());
    println!("poison: {} records among {} good ones, {} dead letters", poison.len(), good.len(), dead.len());
    assert_eq!(dead.len(), poison.len(), "each once");
    each_has_its_own(&poison, dead);

    // Read again from its beginning: the same dead letters, and no call.
    on.offsets(&["set", "--to", "beginning"]);
    until("all is ingested again", SOON, || on.is_ingested());
    assert_eq!(on.dead_letters(), poison.len() as u64);
    let calls = received(&receiver);
    assert!(calls.len() == good.len() && calls.values().all(|calls| *calls == 1));
    assert_eq!(on.cluster.counts(0)["succeeded"], good.len());
}

/// The topic of the dead letters is another's and takes less than the largest of them.
#[test]
fn a_dead_letter_that_is_refused_keeps_no_other_back() {
    let (Some(server), Some(database)) = (kafka::server(), postgres::server()) else { return };
    let (topic, brokers) = (server.topic(), server.brokers());
    let dead = Topic::new(&brokers, &format!("{topic}.dead"));
    dead.make_with(&[("max.message.bytes", "150000")]);
    let cluster = Cluster::with(database, 1, &flags(&brokers, &topic));
    let on = OnTopic { cluster, topic, brokers };
    // Nothing that compression makes any smaller.
    let large: Vec<u8> = (0..40_000).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
    let key = Uuid::now_v7().to_string();
    until("the topic is there", SOON, || !on.reads(0).is_empty());
    on.topic().put([b"1".as_slice(), &large, b"2", &large, b"3"].map(|value| (Some(key.as_str()), Some(value))));
    until("all of it is buried", SOON, || on.dead_letters() == 5);
    let left = || on.number("SELECT 'left' AS name, count(*) AS number FROM dead_letter WHERE NOT published");
    until("none is left", SOON, || left() == 0);
    let records = dead.records(5);
    let mut sizes: Vec<usize> = records.iter().map(|one| one.value.as_deref().unwrap_or_default().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 1, 100_000, 100_000], "each once, the large ones by their beginnings");
    assert_eq!(records.iter().filter(|one| one.header("truncated").is_some() && is_of(one, &large)).count(), 2);
}

fn each_has_its_own(poison: &[Poison], mut dead: Vec<Record>) {
    let mut reasons: HashMap<&str, usize> = HashMap::new();
    for (_, value, says) in poison {
        let is_its = |one: &Record| {
            one.header("reason").unwrap().contains(says) && is_of(one, value.as_deref().unwrap_or_default())
        };
        let found = dead.iter().position(is_its);
        assert!(found.is_some(), "{says} in {:?}", dead.iter().map(|one| &one.headers).collect::<Vec<_>>());
        dead.swap_remove(found.unwrap());
        *reasons.entry(says).or_default() += 1;
    }
    println!("poison: {reasons:?}");
}
