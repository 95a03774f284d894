//! What nodes of a cluster take for themselves: memory, and what they ask of the database while nothing is to be done.

use std::time::Duration;

use task_scheduler::store::Store as _;
use task_scheduler::store::postgres::PostgresStore;

use super::costs::until_ended;
use super::meter::Meter;
use super::process::{cpu_seconds, resident_mb};
use super::{Bar, Figure};
use crate::harness::node::until;
use crate::harness::{Node, http};
use crate::raw::postgres::RawPostgres;

const WAITING: usize = 100_000;
const HOUR_US: i64 = 3_600_000_000;
const SETTLES: Duration = Duration::from_secs(3);

/// A master and a follower with 100,000 future tasks, over `seconds`; then the master after a drain of `tasks`.
pub fn measure(meter: &mut Meter, seconds: u64, tasks: usize) -> Vec<Figure> {
    let url = meter.server.schema();
    PostgresStore::new(&url, 1).prepare().unwrap();
    RawPostgres::on(&url).insert(WAITING, HOUR_US);
    let [master_url, follower_url] = ["master", "follower"].map(|name| meter.user(name, &url));
    let master = Node::silent_with(&["--database-url", &master_url, "--name", "master"]);
    until("it is master", Duration::from_secs(20), || is_master(&master));
    let follower = Node::silent_with(&["--database-url", &follower_url, "--name", "follower"]);
    std::thread::sleep(SETTLES);
    let nodes = [(&master, "master"), (&follower, "follower")];
    let before = nodes.map(|(node, user)| Used::by(meter, node, user));
    std::thread::sleep(Duration::from_secs(seconds));
    let after = nodes.map(|(node, user)| Used::by(meter, node, user));
    assert!(is_master(&master), "it was deposed");
    let over = |n: usize| after[n].since(&before[n], seconds as f64);
    let mut figures =
        idle(&over(0), ["idle master: statements", "idle master: part of a core", "idle master: memory"], seconds);
    figures.extend(idle(
        &over(1),
        ["idle follower: statements", "idle follower: part of a core", "idle follower: memory"],
        seconds,
    ));
    assert!(follower.stop().success());
    RawPostgres::on(&url).insert(tasks, -1_000_000);
    until_ended(&master, tasks);
    figures.push(Figure {
        name: "memory after a drain",
        value: resident_mb(master.pid()),
        unit: "MB",
        bar: Bar::None,
        detail: format!("{tasks} tasks by this node alone, {WAITING} future ones besides"),
    });
    figures
}

fn is_master(node: &Node) -> bool {
    let seen = http::get(&node.url("/v1/cluster")).json();
    seen["nodes"].as_array().unwrap().iter().any(|node| node["name"] == "master" && node["is_master"] == true)
}

/// What a node has used, up to now or in a second.
struct Used {
    statements: f64,
    cpu: f64,
    sessions_cpu: f64,
    resident_mb: f64,
}

impl Used {
    fn by(meter: &mut Meter, node: &Node, user: &str) -> Self {
        Self {
            statements: meter.statements_of(user) as f64,
            cpu: cpu_seconds(node.pid()),
            sessions_cpu: meter.sessions_of(user).into_iter().map(cpu_seconds).sum(),
            resident_mb: resident_mb(node.pid()),
        }
    }

    fn since(&self, before: &Self, seconds: f64) -> Self {
        Self {
            statements: (self.statements - before.statements) / seconds,
            cpu: (self.cpu - before.cpu) / seconds,
            sessions_cpu: (self.sessions_cpu - before.sessions_cpu) / seconds,
            resident_mb: self.resident_mb,
        }
    }
}

fn idle(used: &Used, [statements, cpu, memory]: [&'static str; 3], seconds: u64) -> Vec<Figure> {
    let figure = |name, value, unit, more: &str| Figure {
        name,
        value,
        unit,
        bar: Bar::None,
        detail: format!("{WAITING} future tasks, over {seconds} s{more}"),
    };
    let sessions = format!("; its sessions in PostgreSQL {:.2} %", used.sessions_cpu * 100.0);
    vec![
        figure(statements, used.statements, "/s", ""),
        figure(cpu, used.cpu * 100.0, "%", &sessions),
        figure(memory, used.resident_mb, "MB", ""),
    ]
}
