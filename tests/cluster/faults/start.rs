//! Nodes that are started at the same instant, on an empty database.

use std::time::{Duration, Instant, SystemTime};

use super::{NODES, alone, reigns, shapes, times, until};
use crate::harness::cluster::Cluster;
use crate::harness::look::Look;
use crate::harness::{Node, Receiver};
use crate::services::postgres::server;

/// They are looked at for so long after one was master.
const LOOK: Duration = Duration::from_secs(1);

/// How many nodes take themselves for the master now.
fn reigning(nodes: &[Node]) -> usize {
    nodes.iter().filter(|node| reigns(node)).count()
}

fn start(topic: &[String]) -> Duration {
    let url = server().unwrap().schema();
    let began = Instant::now();
    let topic: Vec<&str> = topic.iter().map(String::as_str).collect();
    let node = |n| Node::starting(&[&["--database-url", &url, "--name", &format!("node-{n}")], &topic[..]].concat());
    let mut cluster = Cluster { nodes: (0..NODES).map(node).collect(), url };
    until("one is master", || {
        let reigning = reigning(&cluster.nodes);
        assert!(reigning <= 1, "{reigning} masters");
        reigning == 1
    });
    let took = began.elapsed();
    while began.elapsed() < took + LOOK {
        assert_eq!(reigning(&cluster.nodes), 1);
        std::thread::sleep(Duration::from_millis(20));
    }
    cluster.nodes.iter_mut().for_each(Node::until_ready);
    let receiver = Receiver::start();
    for node in 0..NODES {
        cluster.submit(node, &receiver.url("/"), 20, (Duration::ZERO, Duration::from_millis(500)));
    }
    let mut look = Look::at(&cluster.url);
    let done = format!("(SELECT count(*) FROM task_history WHERE state = 2) = {}", 20 * NODES);
    until("all have succeeded", || look.holds(&done));
    assert_eq!(receiver.calls().len(), 20 * NODES, "each once");
    let masters: Vec<Option<usize>> = (0..NODES).map(|node| cluster.master(node)).collect();
    assert!(masters[0].is_some() && masters.iter().all(|master| *master == masters[0]), "{masters:?}");
    assert!(look.holds("(SELECT count(*) = 1 AND min(epoch) = 1 FROM master_term)"), "one term, of epoch 1");
    assert!(look.holds("NOT EXISTS (SELECT FROM task_history WHERE epoch <> 1)"), "every claim is of it");
    took
}

#[test]
fn nodes_that_start_together_have_one_master_and_epochs_rise_by_one() {
    for shape in shapes() {
        let _alone = alone();
        let began = SystemTime::now();
        let mut took = Vec::new();
        for _ in 0..times(20) {
            if server().is_none() {
                return;
            }
            let Some(topic) = shape.flags() else { return };
            took.push(start(&topic));
        }
        took.sort();
        println!(
            "started together {} times ({shape:?}, {:.0?} in all): one master each time, after {:.2?} to {:.2?}",
            took.len(),
            began.elapsed().unwrap(),
            took[0],
            took[took.len() - 1]
        );
    }
}
