//! Kafka dies under load, and comes back.

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::alone::alone;
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, flags};
use crate::harness::stream::{Asked, Stream};
use crate::harness::tally::{Ledger, Task, judge, spread};
use crate::harness::{Call, Receiver, http, length};
use crate::services::{kafka, postgres};

const SOON: Duration = Duration::from_secs(20);
const RATE: usize = 300;
/// What a caller is promised.
const ANSWERED: Duration = Duration::from_secs(5);
/// Of what was stored before.
const STORED: usize = 2_000;
const IN_TIME_MS: f64 = 500.0;

/// Tasks that are due while Kafka is away; back when they are stored.
fn stored(on: &OnTopic, hook: &str, over: Duration) -> Ledger {
    let begin = SystemTime::now() + Duration::from_secs(4);
    let mut ledger = Ledger::default();
    let one = |n: usize| {
        let micros = DateTime::<Utc>::from(begin + over.mul_f64(n as f64 / STORED as f64)).timestamp_micros();
        let due = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
        let id = Uuid::now_v7().to_string();
        ledger.offered.insert(id.clone(), Task { due: due.into(), at_most_once: true });
        let run_at = due.to_rfc3339_opts(SecondsFormat::Micros, true);
        json!({"id": id, "run_at": run_at, "target": {"type": "http", "url": hook}})
    };
    let batch: Vec<Value> = (0..STORED).map(one).collect();
    assert_eq!(http::post_json(&on.cluster.nodes[1].url("/v1/tasks/batch"), &Value::from(batch)).status, 202);
    ledger.accepted = ledger.offered.keys().cloned().collect();
    until("they are stored", SOON, || on.is_ingested());
    ledger
}

/// How long each of these questions takes at each node while the brokers are away.
fn ask_meanwhile(on: &OnTopic, known: &str) -> Duration {
    let mut longest = Duration::ZERO;
    for node in &on.cluster.nodes {
        for path in ["/healthz", "/v1/stats", "/v1/cluster", &format!("/v1/tasks/{known}"), "/v1/tasks?limit=10"] {
            let asked = Instant::now();
            assert_eq!(http::get(&node.url(path)).status, 200, "{path}");
            longest = longest.max(asked.elapsed());
        }
    }
    longest
}

/// Single submissions and a cancel of what is not stored, which needs the brokers: how long the answers take.
fn ask_in_vain(on: &OnTopic) -> Vec<Duration> {
    let unknown = format!("/v1/tasks/{}", Uuid::now_v7());
    let document = json!({"delay_ms": 0, "target": {"type": "log"}});
    let ask = |node: usize, method: &'static str, path: &str| {
        let (url, asked) = (on.cluster.nodes[node].url(path), Instant::now());
        let body = if method == "POST" { document.to_string() } else { String::new() };
        let answer = http::request(method, &url, &[("content-type", "application/json")], body.as_bytes());
        assert_eq!(answer.status, 503, "{}", answer.json());
        assert!(answer.header("retry-after").is_some());
        asked.elapsed()
    };
    let questions =
        [(0, "POST", "/v1/tasks"), (1, "POST", "/v1/tasks"), (2, "POST", "/v1/tasks"), (2, "DELETE", &unknown)];
    std::thread::scope(|scope| {
        let ask = &ask;
        let asked: Vec<_> =
            questions.into_iter().map(|(node, method, path)| scope.spawn(move || ask(node, method, path))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Milliseconds from when its task was asked for to this call; negative if it was early.
fn late_ms(ledger: &Ledger, call: &Call) -> f64 {
    let due = ledger.offered[call.header("x-task-id").unwrap()].due;
    let late = DateTime::<Utc>::from(call.at) - DateTime::<Utc>::from(due);
    late.num_nanoseconds().unwrap() as f64 / 1e6
}

#[test]
fn brokers_that_die_under_load_are_told_of_and_caught_up_with() {
    let _alone = alone();
    let Some(server) = kafka::own_server(None) else { return };
    let Some(on) = OnTopic::on(&server, 3, &[]) else { return };
    let (receiver, pause) = (Receiver::start(), Duration::from_secs(length::of(6, 20)));
    let mut ledger = stored(&on, &receiver.url("/"), pause);
    let stream = Stream::start(&on, &receiver.url("/"), RATE);
    until("there is a load", SOON, || stream.accepted() >= RATE);
    server.kill();
    // From here on nothing comes from the brokers any more.
    let (killed, killed_at) = (Instant::now(), SystemTime::now());
    let known = ledger.accepted.iter().next().unwrap().clone();
    let (mut longest, mut refused) = (Duration::ZERO, Vec::new());
    while killed.elapsed() < pause {
        longest = longest.max(ask_meanwhile(&on, &known));
        refused.extend(ask_in_vain(&on));
    }
    let (restarted, restarted_at) = (Instant::now(), SystemTime::now());
    server.restart();
    let back = Instant::now();
    let accepted_again = |node: usize| {
        stream.asked().iter().any(|one| one.node == node && one.sent > restarted && one.status == Some(202))
    };
    until("every node takes submissions again", SOON, || (0..3).all(accepted_again));
    println!("Kafka away for {pause:?}: every node takes submissions again {:?} after it was back", back.elapsed());
    let (asked, ended) = (stream.asked(), Instant::now());
    ledger.add(stream.end());
    on.settle(Duration::from_mins(1));
    println!("all is ingested and called {:?} after the load ended", ended.elapsed());

    let meanwhile: Vec<&Asked> =
        asked.iter().filter(|one| one.sent > killed && one.sent + one.took < restarted).collect();
    let slowest = asked.iter().map(|one| one.took).max().unwrap();
    println!(
        "{} batches answered meanwhile, the slowest of all after {slowest:?}; {} single submissions and cancels of what is not \
         stored answered 503, the slowest after {:?}; other questions within {longest:?}",
        meanwhile.len(),
        refused.len(),
        refused.iter().max()
    );
    assert!(meanwhile.iter().all(|one| one.status == Some(503)), "{meanwhile:?}");
    assert!(meanwhile.len() >= 3 && slowest <= ANSWERED, "{slowest:?}");
    assert!(longest <= Duration::from_secs(1), "{longest:?}");
    assert!(refused.iter().all(|took| *took <= ANSWERED), "{refused:?}");
    let late: Vec<f64> = receiver
        .calls()
        .iter()
        .filter(|call| call.at > killed_at && call.at < restarted_at)
        .map(|call| late_ms(&ledger, call))
        .collect();
    println!("{} calls while Kafka was away: {}", late.len(), spread(late.clone()));
    assert!(late.len() >= STORED / 2 && late.iter().all(|late| *late <= IN_TIME_MS), "{}", spread(late));
    judge(&format!("Kafka away for {pause:?}"), &on, &ledger, &receiver, None);
}

#[test]
fn what_is_submitted_while_the_database_is_away_is_accepted_and_called_later() {
    let (Some(brokers), Some(database)) = (kafka::server(), postgres::own_server(&[])) else { return };
    let (address, topic, receiver) = (brokers.brokers(), brokers.topic(), Receiver::start());
    let cluster = Cluster::with(&database, 1, &flags(&address, &topic));
    database.kill();
    let url = cluster.nodes[0].url("/v1/tasks");
    let mut document = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    assert_eq!(http::post_json(&url, &document).status, 202);
    document["id"] = Uuid::now_v7().to_string().into();
    let asked = Instant::now();
    assert_eq!(http::post_json(&url, &document).status, 202);
    println!("a submission whose id nobody could look up was accepted after {:?}", asked.elapsed());
    assert!(asked.elapsed() <= ANSWERED, "{:?}", asked.elapsed());
    assert_eq!(receiver.count(), 0, "nothing is called that is not stored");
    database.restart();
    receiver.wait_for(2, SOON);
    until("both have succeeded", SOON, || cluster.counts(0)["succeeded"] == 2);
    assert_eq!(receiver.count(), 2, "each once");
}
