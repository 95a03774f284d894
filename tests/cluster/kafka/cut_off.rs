//! A node is cut off from the brokers alone, or from brokers and database: nothing arrives, nothing is refused.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::SOON;
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, flags};
use crate::harness::proxy::Proxy;
use crate::harness::stream::Stream;
use crate::harness::tally::{Watch, judge};
use crate::harness::{Node, Receiver, http, length};
use crate::services::kafka::{self, Server};
use crate::services::postgres;

const RATE: usize = 300;
const LEASE: Duration = Duration::from_secs(3);
/// Nothing stands still for longer than this, besides the lease.
const MORE: Duration = Duration::from_millis(1_500);
const DEAD_AFTER: Duration = Duration::from_secs(3);
/// Until other nodes read what it has read.
const TAKEN_OVER: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_secs(9);
const ALL: [usize; 3] = [0, 1, 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Brokers,
    Both,
}

/// Three nodes, of which `node-0` reaches brokers and database through proxies.
struct Field {
    on: OnTopic,
    brokers: Proxy,
    database: Proxy,
    _server: Server,
}

impl Field {
    fn start() -> Option<Self> {
        let brokers = Proxy::unaimed();
        let server = kafka::own_server(Some(brokers.address()))?;
        brokers.aim(server.proxied_listener());
        let postgres = postgres::server()?;
        let database = Proxy::to(postgres.address());
        let (url, topic) = (postgres.schema(), server.topic());
        let (direct, by_proxy) = (server.brokers(), brokers.address().to_string());
        let cut_off = url.replacen(&postgres.address().to_string(), &database.address().to_string(), 1);
        let mut cluster = Cluster { url: url.clone(), nodes: Vec::new() };
        for (node, (url, brokers)) in [(&cut_off, &by_proxy), (&url, &direct), (&url, &direct)].into_iter().enumerate()
        {
            let name = format!("node-{node}");
            let place = ["--database-url", url, "--name", &name];
            let mut node = Node::starting(&[&place[..], &flags(brokers, &topic)].concat());
            node.until_ready();
            cluster.nodes.push(node);
        }
        let on = OnTopic { cluster, topic, brokers: direct };
        until("the first one is master", SOON, || on.cluster.master(1) == Some(0));
        Some(Self { on, brokers, database, _server: server })
    }

    /// Whether `node-0` takes itself for the master; it must say.
    fn reigns(&self) -> bool {
        let shown = String::from_utf8(http::get(&self.on.cluster.nodes[0].url("/metrics")).body).unwrap();
        let said = shown.lines().find_map(|line| line.strip_prefix("task_scheduler_master ")).expect("a word on it");
        said == "1"
    }

    fn cut(&self, from: From) {
        self.brokers.cut();
        if from == From::Both {
            self.database.cut();
        }
    }

    /// It resigns by itself before its lease has ended, and another is master soon.
    fn deposed(&self, fault: Instant) -> String {
        until("it resigns by itself", SOON, || !self.reigns());
        let resigned = fault.elapsed();
        assert!(resigned <= LEASE, "{resigned:?}");
        until("another is master", SOON, || self.on.cluster.master(1).is_some_and(|now| now != 0));
        assert!(fault.elapsed() <= LEASE + MORE, "{:?}", fault.elapsed());
        format!("resigned after {resigned:.2?}, another master after {:.2?}, ", fault.elapsed())
    }

    /// What it answers to a submission while it is cut off.
    fn refuses(&self) {
        let (url, asked) = (self.on.cluster.nodes[0].url("/v1/tasks"), Instant::now());
        let refused = http::post_json(&url, &json!({"delay_ms": 0, "target": {"type": "log"}}));
        assert_eq!(refused.status, 503, "{}", refused.json());
        assert!(asked.elapsed() <= Duration::from_secs(5), "{:?}", asked.elapsed());
    }

    fn until_back(&self) {
        let node = &self.on.cluster.nodes[0];
        until("it is ready", SOON, || http::get(&node.url("/readyz")).status == 200);
        until("it is alive", SOON, || {
            let seen = self.on.cluster.seen_by(1);
            seen["nodes"].as_array().unwrap().iter().filter(|node| node["state"] == "alive").count() == 3
        });
        until("it reads its share", SOON, || self.on.is_shared_among(&ALL));
    }
}

/// The longest time without any call in this time.
fn gap(receiver: &Receiver, from: SystemTime, to: SystemTime) -> Duration {
    let mut at: Vec<SystemTime> =
        receiver.calls().iter().map(|call| call.at).filter(|at| (from..to).contains(at)).chain([from, to]).collect();
    at.sort();
    at.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap()).max().unwrap_or_default()
}

#[test]
fn a_node_cut_off_from_the_brokers_or_from_all_leaves_its_partitions_and_comes_back() {
    let Some(field) = Field::start() else { return };
    let receiver = Receiver::start();
    let rounds = length::of(1, 3);
    until("each reads its share", SOON, || field.on.is_shared_among(&ALL));
    let (mut watch, mut deposed, mut cuts) = (Watch::over(&field.on, RATE), 0, Vec::new());
    let stream = Stream::start(&field.on, &receiver.url("/"), RATE);
    for _ in 0..rounds {
        for from in [From::Brokers, From::Both] {
            let accepted = stream.accepted();
            until("there is a load", SOON, || stream.accepted() >= accepted + RATE);
            let (fault, at, master) = (Instant::now(), SystemTime::now(), field.reigns());
            if from == From::Both {
                watch.fault(0, || field.cut(from));
            } else {
                field.cut(from);
            }
            let is_deposed = master && from == From::Both;
            let told = if is_deposed { field.deposed(fault) } else { String::new() };
            deposed += usize::from(is_deposed);
            until("others read its share", SOON, || field.on.is_shared_among(&[1, 2]));
            let taken_over = fault.elapsed();
            assert!(taken_over <= TAKEN_OVER, "{taken_over:?}");
            field.refuses();
            std::thread::sleep(PAUSE.saturating_sub(fault.elapsed()));
            let (mended, gap) = (Instant::now(), gap(&receiver, at, SystemTime::now()));
            field.brokers.mend();
            field.database.mend();
            field.until_back();
            let back = mended.elapsed();
            let accepted =
                || stream.asked().iter().any(|one| one.node == 0 && one.sent > mended && one.status == Some(202));
            until("it takes submissions", SOON, accepted);
            println!(
                "cut off from {from:?}, {}master: {told}its partitions taken over after {taken_over:.2?}, longest time \
                 without a call {gap:.2?}; after the mend its share read after {back:.2?}, submissions taken after {:.2?}",
                if master { "" } else { "not " },
                mended.elapsed()
            );
            let longest = if is_deposed { LEASE + MORE } else { MORE };
            assert!(gap <= longest, "{gap:?}");
            // Its claims wait until it is dead, what is on the topic until another reads that.
            let recovered = if is_deposed { LEASE } else { Duration::ZERO } + DEAD_AFTER + MORE;
            cuts.push((from, at, if from == From::Both { recovered.max(TAKEN_OVER) } else { TAKEN_OVER }));
        }
    }
    let accepted = stream.accepted();
    until("there is a load", SOON, || stream.accepted() >= accepted + RATE);
    let slowest = stream.asked().iter().map(|one| one.took).max().unwrap();
    let ledger = stream.end();
    field.on.settle(Duration::from_mins(1));
    println!("the slowest answer to a submission came after {slowest:?}");
    let nexts = cuts.iter().skip(1).map(|(_, next, _)| *next).chain([SystemTime::now()]);
    for ((from, at, bar), next) in cuts.iter().zip(nexts) {
        let longest = ledger.longest_lateness(&receiver, &mut watch, (*at, next));
        println!("cut off from {from:?}: until the next cut, accepted tasks were called up to {longest:.2?} late");
        assert!(longest <= *bar, "{longest:?} of {bar:?}");
    }
    assert!(deposed > 0, "a master was cut off from both");
    let row = format!("{rounds} times cut off from the brokers, and from both");
    judge(&row, &field.on, &ledger, &receiver, Some(&mut watch));
}
