//! Faults under load, each judged by what the receiver got: `TASK_SCHEDULER_TEST_LONG=1` runs the full counts in both
//! shapes of a cluster, otherwise each fault comes once, mostly without Kafka.

mod clocks;
mod cut;
mod database;
mod executor;
mod judged;
mod kill;
mod master;
mod rolling;
mod start;

use std::sync::MutexGuard;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::harness::alone::alone;
use crate::harness::cluster::Cluster;
use crate::harness::judge::{Bars, Evidence, Fault};
use crate::harness::length::is_long;
use crate::harness::load::{Load, RATE};
use crate::harness::look::{Held, Look};
use crate::harness::proxy::Proxy;
use crate::harness::shape::{Shape, shapes};
use crate::harness::{Answer, Call, Node, Receiver, http};
use crate::services::postgres;

const SOON: Duration = Duration::from_secs(20);
const LEASE: Duration = Duration::from_secs(3);
const DEAD_AFTER: Duration = Duration::from_secs(3);
/// On top of what a fault takes by its nature.
const MORE: Duration = Duration::from_millis(1_500);
/// Until a new submission is called that is due at once.
const NEW: Duration = Duration::from_secs(3);
const NODES: usize = 3;
/// What a load must have reached of its rate, as a part, over the time in which nodes answered.
const LEAST_PACE: f64 = 0.8;

/// The count of a row: in the short form once.
fn times(long: usize) -> usize {
    if is_long() { long } else { 1 }
}

/// How long a fault lasts at least: in the short form as long as it takes to show.
fn pause(long: Duration) -> Duration {
    if is_long() { long } else { Duration::ZERO }
}

/// How a field is laid out.
struct Layout<'a> {
    shape: Shape,
    /// Flags of every node.
    flags: &'a [&'a str],
    /// Every node has a proxy of its own between it and the database.
    proxied: bool,
    /// Variables of each node.
    environments: &'a [[(&'a str, &'a str); 3]],
}

impl Layout<'_> {
    /// As it comes.
    fn of(shape: Shape) -> Self {
        Self { shape, flags: &[], proxied: false, environments: &[] }
    }
}

/// Three nodes under load, watched.
struct Field {
    cluster: Cluster,
    proxies: Vec<Proxy>,
    receiver: Receiver,
    load: Load,
    look: Look,
    faults: Vec<Fault>,
    /// All was quiet since the last fault.
    is_quiet: bool,
    _alone: MutexGuard<'static, ()>,
}

impl Field {
    /// On the servers of this test binary; `None` where one is not to be had.
    fn start(layout: &Layout<'_>) -> Option<Self> {
        Self::on(postgres::server()?, layout)
    }

    /// The same on another database server. The receiver answers at once, on `/slow` the first call of a task after 4 s.
    fn on(server: &postgres::Server, layout: &Layout<'_>) -> Option<Self> {
        let topic = layout.shape.flags()?;
        let alone = alone();
        let url = server.schema();
        let proxies: Vec<Proxy> = (0..NODES).filter(|_| layout.proxied).map(|_| Proxy::to(server.address())).collect();
        let starting = |n: usize| {
            let way = proxies.get(n).map_or(server.address(), Proxy::address);
            let (url, name) = (url.replacen(&server.address().to_string(), &way.to_string(), 1), format!("node-{n}"));
            let topic: Vec<&str> = topic.iter().map(String::as_str).collect();
            let environment = layout.environments.get(n).map_or(&[][..], |own| own);
            let flags = [&["--database-url", &url, "--name", &name], &topic[..], layout.flags].concat();
            Node::starting_in(environment, &flags)
        };
        let mut nodes: Vec<Node> = (0..NODES).map(starting).collect();
        nodes.iter_mut().for_each(Node::until_ready);
        let cluster = Cluster { url, nodes };
        let receiver = Receiver::answering(slow);
        let mut look = Look::at(&cluster.url);
        look.trace();
        let load = Load::start(&cluster, &receiver.url("/"));
        until("the load is in full swing", || receiver.count() > RATE * 2);
        Some(Self { cluster, proxies, receiver, load, look, faults: Vec::new(), is_quiet: true, _alone: alone })
    }

    /// Waits until all nodes live, one is master, nothing is overdue and nobody waits to be recovered.
    fn quiet(&mut self) {
        let condition = format!(
            "(SELECT count(*) FROM generation WHERE state = 0) = {NODES} AND NOT EXISTS (SELECT FROM generation WHERE state = 1) \
             AND EXISTS (SELECT FROM master_lease WHERE generation IS NOT NULL AND expires_at > now_us()) \
             AND NOT EXISTS (SELECT FROM task WHERE due_at < now_us() - 500000)"
        );
        until("all is quiet again", || self.look.holds(&condition));
        self.is_quiet = true;
    }

    /// A load that is in full swing, at a moment that nothing announces.
    fn swing(&mut self) {
        self.quiet();
        std::thread::sleep(rand::random_range(Duration::from_millis(500)..Duration::from_millis(1_500)));
    }

    /// The number of the master.
    fn master(&mut self) -> usize {
        let mut found = None;
        until("one is master", || {
            let master = self.look.master();
            found = (0..NODES).find(|node| master.is_some() && self.look.generation(*node) == master);
            found.is_some()
        });
        found.unwrap()
    }

    /// Does something to a node, which says when it was done, and looks right after what its generation holds.
    fn fault(&mut self, node: usize, returns: bool, bars: Bars, act: impl FnOnce(&mut Self) -> SystemTime) -> Uuid {
        let generation = self.look.generation(node).expect("a living node");
        let at = act(self);
        let held = self.look.held_at_a_fault(generation);
        self.was(Fault { generation: Some(generation), held, returns, ..Fault::of_nobody(at, bars) });
        generation
    }

    /// Something was done.
    fn was(&mut self, fault: Fault) {
        self.faults.push(Fault { follows: !self.is_quiet, ..fault });
        self.is_quiet = false;
    }

    /// Kills the process; just before that.
    fn kill(&mut self, node: usize) -> SystemTime {
        let at = SystemTime::now();
        self.cluster.nodes[node].kill();
        at
    }

    /// Sends a signal; just before that.
    fn signal(&self, node: usize, name: &str) -> SystemTime {
        let at = SystemTime::now();
        self.cluster.nodes[node].signal(name);
        at
    }

    /// What the last fault has found.
    fn held(&self) -> &Held {
        &self.faults.last().expect("a fault").held
    }

    /// Waits until another than `generation` is master; how long that took from the last fault on.
    fn until_deposed(&mut self, generation: Uuid) -> Duration {
        until("another is master", || self.look.master().is_some_and(|now| now != generation));
        self.since_fault()
    }

    /// Waits until `generation` is dead; how long that took from the last fault on.
    fn until_dead(&mut self, generation: Uuid) -> Duration {
        until("it is declared dead", || self.look.is_dead(generation));
        self.since_fault()
    }

    fn since_fault(&self) -> Duration {
        self.faults.last().expect("a fault").at.elapsed().unwrap_or_default()
    }

    /// Ends the load, waits until every task has come to its end, and gathers what there is to judge.
    fn end(mut self) -> Evidence {
        self.quiet();
        let end = SystemTime::now();
        let (ledger, pace) = self.load.end();
        println!(
            "{} tasks accepted, {:.0} % of what is to be submitted while nodes answer",
            ledger.len(),
            pace * 100.0
        );
        assert!(pace >= LEAST_PACE, "{pace}: too little was submitted to judge by");
        let all = format!("(SELECT count(*) FROM task_history) = {} AND NOT EXISTS (SELECT FROM task)", ledger.len());
        until("every task has come to its end", || self.look.holds(&all));
        for fault in &mut self.faults {
            if let Some(generation) = fault.generation {
                fault.given = self.look.claimed_for(generation).difference(&fault.held.claimed).copied().collect();
            }
        }
        let unbroken = "(SELECT count(*) = max(epoch) AND min(epoch) = 1 FROM master_term)";
        assert!(self.look.holds(unbroken), "epochs rise by one");
        Evidence {
            faults: self.faults,
            ledger,
            calls: self.receiver.calls(),
            end,
            states: self.look.states(),
            stored: self.look.stored(),
            unknown: self.look.ids("SELECT id FROM test_unknown"),
            overtaken: self.look.overtaken(),
        }
    }
}

fn slow(call: &Call, before: usize) -> Answer {
    let first_slow = call.path == "/slow" && before == 0;
    let after = if first_slow { Duration::from_secs(4) } else { Duration::ZERO };
    Answer { after, ..Answer::status(204) }
}

/// Whether the node takes itself for the master; `None` if it does not say.
fn reigns(node: &Node) -> Option<bool> {
    let answer = http::try_request("GET", &node.url("/metrics"), &[], b"").ok()?;
    let shown = String::from_utf8_lossy(&answer.body).into_owned();
    shown.lines().find_map(|line| line.strip_prefix("task_scheduler_master ")).map(|shown| shown == "1")
}

/// Looks at the database a few times a second.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    crate::harness::node::until(what, SOON * 2, || {
        let held = holds();
        if !held {
            std::thread::sleep(Duration::from_millis(15));
        }
        held
    });
}
