//! A cluster on PostgreSQL: how fast it drains beside the raw loop, and how late its calls are.

use std::time::{Duration, SystemTime};

use task_scheduler::store::Store as _;
use task_scheduler::store::postgres::PostgresStore;

use super::throughput::drain_rate;
use super::{Bar, Figure, median, quantile};
use crate::harness::cluster::Cluster;
use crate::harness::{Call, Node, Receiver};
use crate::raw::postgres::RawPostgres;
use crate::services::postgres::Server;

const TASKS: usize = 200_000;
const RATE: usize = 1_000;

/// 200,000 due `log` tasks, `pairs` times in turn with the raw loop; the median of the ratios.
pub fn drain(server: &Server, pairs: usize) -> Vec<Figure> {
    let (mut ratios, mut nodes, mut raws) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        let url = schema(server);
        let mut raw = RawPostgres::on(&url);
        let inserted = rate(raw.insert(TASKS, -1_000_000));
        let (drained, took) = raw.drain();
        assert_eq!(drained, TASKS);
        let (raw, node) = (rate(took), drained_by_a_node(&schema(server)));
        println!("      raw insert {inserted:.0}/s; raw drain {raw:.0}/s, node's drain {node:.0}/s");
        ratios.push(node / raw);
        nodes.push(node);
        raws.push(raw);
    }
    vec![Figure {
        name: "drain of 200,000 due log tasks / raw loop",
        value: median(ratios),
        unit: "",
        bar: Bar::AtLeast(0.4),
        detail: format!("{:.0}/s against {:.0}/s, medians of {pairs}", median(nodes), median(raws)),
    }]
}

fn schema(server: &Server) -> String {
    let url = server.schema();
    PostgresStore::new(&url, 1).prepare().unwrap();
    url
}

/// A node that starts with everything due and a silent log; tasks per second between its first and last end.
fn drained_by_a_node(url: &str) -> f64 {
    RawPostgres::on(url).insert(TASKS, -1_000_000);
    let node = Node::silent_with(&["--database-url", url]);
    drain_rate(&node, TASKS)
}

fn rate(took: Duration) -> f64 {
    TASKS as f64 / took.as_secs_f64()
}

/// 1,000 tasks/s over HTTP on three nodes for `seconds`, `runs` times; the medians over the runs.
pub fn lateness(server: &Server, runs: usize, seconds: usize) -> Vec<Figure> {
    let (mut firsts, mut middles, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let late = run(server, seconds);
        let (p50, p99) = (quantile(&late, 0.5), quantile(&late, 0.99));
        println!(
            "      {} calls: first {:.3} ms, p50 {p50:.3} ms, p99 {p99:.3} ms, last {:.3} ms",
            late.len(),
            late[0],
            late[late.len() - 1]
        );
        firsts.push(late[0]);
        middles.push(p50);
        lasts.push(p99);
    }
    let detail = format!("{RATE}/s on three nodes for {seconds} s, {runs} runs");
    let figure = |name, value, bar| Figure { name, value, unit: "ms", bar, detail: detail.clone() };
    vec![
        figure("earliest call after its instant", firsts.into_iter().fold(f64::INFINITY, f64::min), Bar::AtLeast(0.0)),
        figure("lateness over HTTP, p50", median(middles), Bar::AtMost(2.0)),
        figure("lateness over HTTP, p99", median(lasts), Bar::AtMost(25.0)),
    ]
}

/// All latenesses of one run in milliseconds, sorted; negative ones are early.
fn run(server: &Server, seconds: usize) -> Vec<f64> {
    let (cluster, receiver) = (Cluster::on(server, 3), Receiver::start());
    let hook = receiver.url("/");
    let began = SystemTime::now();
    for second in 0..seconds {
        // Two seconds ahead, each second through another node.
        let ahead = Duration::from_secs(second as u64 + 2).saturating_sub(began.elapsed().unwrap());
        cluster.submit(second % 3, &hook, RATE, (ahead, Duration::from_secs(1)));
        std::thread::sleep(Duration::from_secs(second as u64 + 1).saturating_sub(began.elapsed().unwrap()));
    }
    receiver.wait_for(seconds * RATE, Duration::from_secs(20));
    let mut all: Vec<f64> = receiver.calls().iter().map(Call::lateness_ms).collect();
    all.sort_by(f64::total_cmp);
    all
}
