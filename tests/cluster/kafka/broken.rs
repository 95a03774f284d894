//! What breaks a reader: headers that cannot be read, records damaged on their way, a topic that is another by the same name.

use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{SOON, raw};
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, flags, tasks};
use crate::harness::topic::Topic;
use crate::harness::{Node, http};
use crate::services::kafka::{self, Server};
use crate::services::postgres;

/// On a topic with one partition that is there already.
fn on_one_partition(server: &Server) -> Option<(OnTopic, Topic)> {
    let name = server.topic();
    let topic = Topic::new(&server.brokers(), &name);
    topic.make();
    let brokers = server.brokers();
    let cluster = Cluster::with(postgres::server()?, 1, &flags(&brokers, &name));
    let on = OnTopic { cluster, topic: name, brokers };
    Some((on, topic))
}

fn later(n: usize) -> Vec<(String, String)> {
    let document = || json!({"delay_ms": 3_600_000, "target": {"type": "log"}}).to_string();
    (0..n).map(|_| (Uuid::now_v7().to_string(), document())).collect()
}

fn scheduled(on: &OnTopic) -> Value {
    on.cluster.counts(0)["scheduled"].clone()
}

fn stopped(on: &OnTopic) -> Value {
    http::get(&on.cluster.nodes[0].url("/v1/stats")).json()["queue"]["stopped"].clone()
}

fn readiness(node: &Node) -> u16 {
    http::get(&node.url("/readyz")).status
}

#[test]
fn a_header_whose_name_is_not_utf_8_is_a_dead_letter_and_ends_no_reader() {
    let Some(server) = kafka::server() else { return };
    let Some((on, topic)) = on_one_partition(server) else { return };
    let put = |header: &[u8]| {
        let (key, document) = later(1).remove(0);
        raw::put(server.address(), &on.topic, (key.as_bytes(), document.as_bytes()), header);
        key
    };
    put(b"\xff\xfe");
    let greeted = put("grüße".as_bytes());
    on.put(&later(3));
    until("what came behind it is stored", SOON, || scheduled(&on) == 4);
    assert_eq!(on.dead_letters(), 1);
    let letter = Topic::new(&on.brokers, &format!("{}.dead", on.topic)).records(1).remove(0);
    assert!(letter.header("reason").unwrap().contains("headers cannot be read"), "{letter:?}");
    let task = http::get(&on.cluster.nodes[0].url(&format!("/v1/tasks/{greeted}"))).json();
    assert_eq!(task["accepted_at"], "2023-11-14T22:13:20.000000Z", "its record's own time");
    drop(topic);
}

#[test]
fn a_topic_that_was_made_again_is_not_read_until_somebody_says_from_where() {
    let Some(server) = kafka::server() else { return };
    let Some((mut on, topic)) = on_one_partition(server) else { return };
    on.put(&later(10));
    until("they are stored", SOON, || scheduled(&on) == 10);
    on.cluster.nodes[0].kill();
    topic.delete();
    topic.make();
    on.put(&later(3));
    on.cluster.nodes[0].restart();
    let told =
        |on: &OnTopic| on.cluster.nodes[0].log().matches("partitions of the submission topic are not read").count();
    until("it is seen", SOON, || stopped(&on) == 1 && told(&on) == 1);
    let shown = String::from_utf8(http::get(&on.cluster.nodes[0].url("/metrics")).body).unwrap();
    assert!(shown.lines().any(|line| line == "task_scheduler_stopped_partitions 1"), "{shown}");
    assert!(on.cluster.nodes[0].log().contains("[0] at 10: offset 10 is next, but the brokers have 0 to 3"));
    // Now they have the offset that is next.
    on.put(&later(10));
    on.cluster.nodes[0].kill();
    on.cluster.nodes[0].restart();
    until("it is still stopped", SOON, || stopped(&on) == 1 && told(&on) == 2);
    assert_eq!((scheduled(&on), on.offsets(&["show"])["partitions"][0]["next"].clone()), (json!(10), json!(10)));
    on.offsets(&["set", "--to", "beginning"]);
    until("all are stored", SOON, || scheduled(&on) == 23 && stopped(&on) == 0);
}

#[test]
fn a_topic_that_was_deleted_is_not_made_anew_behind_the_back_of_what_is_stored() {
    let Some(server) = kafka::server() else { return };
    let Some((on, topic)) = on_one_partition(server) else { return };
    on.put(&later(5));
    until("they are stored", SOON, || scheduled(&on) == 5);
    topic.delete();
    let node = &on.cluster.nodes[0];
    until("it is missed", SOON, || node.log().contains("is not made anew"));
    assert_eq!(readiness(node), 503);
    let noted =
        || on.number("SELECT 'stopped' AS name, count(*) AS number FROM ingest_offset WHERE stopped IS NOT NULL");
    until("it is noted", SOON, || noted() == 1);
    assert!(!topic.exists());
    topic.make();
    on.put(&later(9));
    until("it is back, and not read", SOON, || readiness(node) == 200 && stopped(&on) == 1);
    assert_eq!(scheduled(&on), 5);
    on.offsets(&["set", "--to", "beginning"]);
    until("all are stored", SOON, || scheduled(&on) == 14 && stopped(&on) == 0);
}

#[test]
fn damaged_records_are_asked_for_again_and_not_passed_over() {
    let Some(server) = kafka::own_server(None) else { return };
    let Some((mut on, topic)) = on_one_partition(&server) else { return };
    on.cluster.nodes[0].kill();
    on.put(&later(10));
    let file = std::fs::OpenOptions::new().read(true).write(true).open(server.records_of(&on.topic)).unwrap();
    let place = file.metadata().unwrap().len();
    on.put(&later(10));
    // Within the time of its last record: only the checksum tells.
    let (place, mut good) = (place + 35, [0]);
    file.read_exact_at(&mut good, place).unwrap();
    file.write_all_at(&[good[0] ^ 1], place).unwrap();
    on.put(&later(10));
    on.cluster.nodes[0].restart();
    until("it is seen", SOON, || on.cluster.nodes[0].log().contains("came in damaged"));
    until("what comes before is stored", SOON, || scheduled(&on) == 10);
    assert_eq!(on.offsets(&["show"])["partitions"][0]["next"], 10);
    file.write_all_at(&good, place).unwrap();
    until("all are stored", SOON, || scheduled(&on) == 30);
    assert_eq!(on.dead_letters(), 0);
    drop(topic);
}

#[test]
fn a_node_is_unready_while_the_brokers_are_away_and_says_so_at_once() {
    let Some(server) = kafka::own_server(None) else { return };
    let Some(on) = OnTopic::on(&server, 1, &[]) else { return };
    let node = &on.cluster.nodes[0];
    assert_eq!(readiness(node), 200);
    let cancel = || {
        let (url, asked) = (node.url(&format!("/v1/tasks/{}", Uuid::now_v7())), Instant::now());
        (http::request("DELETE", &url, &[("content-type", "application/json")], b"").status, asked.elapsed())
    };
    std::thread::scope(|scope| {
        let cancels: Vec<_> = (0..20).map(|_| scope.spawn(cancel)).collect();
        assert!(cancels.into_iter().all(|one| one.join().unwrap().0 == 202), "many share an answer");
    });
    server.kill();
    until("it is unready", SOON, || readiness(node) == 503);
    let (status, took) = cancel();
    assert!(status == 503 && took < Duration::from_secs(1), "{status} after {took:?}");
    server.restart();
    until("it is ready", SOON, || readiness(node) == 200);
    assert_eq!(cancel().0, 202);
    on.put(&tasks(10, "http://127.0.0.1:1/", Duration::from_hours(1)));
    until("it reads", SOON, || scheduled(&on) == 10);
}
