//! Nodes that are started at the same instant: on an empty database, and again and again when all of them have ended.

use std::time::{Duration, Instant};

use super::{NODES, alone, reigns, shapes, until};
use crate::harness::cluster::Cluster;
use crate::harness::length;
use crate::harness::look::Look;
use crate::harness::{Node, Receiver};
use crate::services::postgres::server;

/// They are looked at for so long after one was master.
const LOOK: Duration = Duration::from_secs(1);
/// Tasks of a round through each node.
const TASKS: usize = 20;

/// How many nodes take themselves for the master now.
fn reigning(nodes: &[Node]) -> usize {
    nodes.iter().filter(|node| reigns(node) == Some(true)).count()
}

/// Waits for the one master of this round, and sees it work; how long it took from `began` on.
fn one_master(cluster: &mut Cluster, look: &mut Look, round: usize, began: Instant) -> Duration {
    until("one is master", || {
        let reigning = reigning(&cluster.nodes);
        assert!(reigning <= 1, "{reigning} masters");
        reigning == 1
    });
    let took = began.elapsed();
    cluster.nodes.iter_mut().for_each(Node::until_ready);
    let looked = Instant::now();
    while looked.elapsed() < LOOK {
        let said: Vec<bool> = cluster.nodes.iter().map(|node| reigns(node).expect("a node that answers")).collect();
        assert_eq!(said.iter().filter(|reigns| **reigns).count(), 1, "{said:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let receiver = Receiver::start();
    for node in 0..NODES {
        cluster.submit(node, &receiver.url("/"), TASKS, (Duration::ZERO, Duration::from_millis(500)));
    }
    let ended = TASKS * NODES;
    let done = format!("(SELECT count(*) FROM task_history WHERE state = 2 AND epoch = {round}) = {ended}");
    until("all have succeeded, every one claimed in this round's epoch", || look.holds(&done));
    assert_eq!(receiver.calls().len(), ended, "each once");
    let masters: Vec<Option<usize>> = (0..NODES).map(|node| cluster.master(node)).collect();
    assert!(masters[0].is_some() && masters.iter().all(|master| *master == masters[0]), "{masters:?}");
    let terms = format!("(SELECT count(*) = {round} AND min(epoch) = 1 AND max(epoch) = {round} FROM master_term)");
    assert!(look.holds(&terms), "one term for each round, epochs rise by one");
    took
}

/// Ends them all, by turns as a crash does and as they are told: the master last, so that none of the others replaces it.
fn end(cluster: &mut Cluster, round: usize) {
    let master = cluster.master(0).expect("a master");
    let signal = if round.is_multiple_of(2) { "TERM" } else { "KILL" };
    for last in [false, true] {
        let nodes = cluster.nodes.iter_mut().enumerate().filter(|(n, _)| (*n == master) == last);
        for (_, node) in nodes {
            node.signal(signal);
            node.wait();
        }
    }
}

#[test]
fn nodes_that_start_together_have_one_master_and_epochs_rise_by_one() {
    for shape in shapes() {
        let _alone = alone();
        let (Some(server), Some(topic)) = (server(), shape.flags()) else { return };
        let (url, began) = (server.schema(), Instant::now());
        let topic: Vec<&str> = topic.iter().map(String::as_str).collect();
        let node =
            |n| Node::starting(&[&["--database-url", &url, "--name", &format!("node-{n}")], &topic[..]].concat());
        let mut cluster = Cluster { nodes: (0..NODES).map(node).collect(), url: url.clone() };
        let (mut look, mut started, mut took) = (Look::at(&url), began, Vec::new());
        for round in 1..=length::of(3, 20) {
            if round > 1 {
                end(&mut cluster, round);
                started = Instant::now();
                cluster.nodes.iter_mut().for_each(Node::launch_again);
            }
            took.push(one_master(&mut cluster, &mut look, round, started));
        }
        took.sort();
        println!(
            "started together {} times ({shape:?}, {:.0?} in all): one master each time, after {:.2?} to {:.2?}, one epoch more \
             each time",
            took.len(),
            began.elapsed(),
            took[0],
            took[took.len() - 1]
        );
    }
}
