//! What 20 browsers that are open on the overview do to the lateness of calls.

use super::filled::{Filling, KEEPS_ALL};
use super::listeners::Listeners;
use super::steady::{RATE, p99};
use super::{Bar, Figure, median};
use crate::harness::Node;
use crate::harness::cluster::Cluster;
use crate::services::postgres::Server;

const BROWSERS: usize = 20;
const NODES: usize = 3;
/// Seconds of a run that is not counted: it makes the plans, and reads what is read again and again.
const WARM_UP: usize = 5;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Runs without and with, in turn.
    pub pairs: usize,
    /// How long each lasts.
    pub seconds: usize,
    /// Tasks that wait, in thousands; as many have ended.
    pub thousands: u32,
}

/// On a file.
pub fn embedded(size: Size) -> Vec<Figure> {
    let filling = Filling::next_hour(size.thousands);
    let folder = filling.folder();
    let node = Node::in_folder(folder.path(), &KEEPS_ALL);
    let figure = measure("p99 with 20 browsers / without (file)", (&node, &node), size);
    assert!(filling.is_still_ahead(), "what was filled in has come due");
    vec![figure]
}

/// On three nodes: all browsers at one, the tasks come in by another.
pub fn cluster(server: &Server, size: Size) -> Vec<Figure> {
    let filling = Filling::next_hour(size.thousands);
    let cluster = Cluster::at(filling.schema(server), NODES, &KEEPS_ALL);
    let nodes = (&cluster.nodes[0], &cluster.nodes[1]);
    let figure = measure("p99 with 20 browsers / without (PostgreSQL)", nodes, size);
    assert!(filling.is_still_ahead(), "what was filled in has come due");
    vec![figure]
}

fn measure(name: &'static str, (shows, takes): (&Node, &Node), size: Size) -> Figure {
    let Size { pairs, seconds, thousands } = size;
    p99(takes, WARM_UP);
    let (mut withs, mut withouts, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let with_browsers = || {
        let browsers = Listeners::open(shows.address(), "overview", BROWSERS);
        let with = p99(takes, seconds);
        println!("      {name}: the worst of the browsers: {:.2?}", browsers.close());
        with
    };
    for pair in 0..pairs {
        // In turn first and last: what grows meanwhile is no one's.
        let (without, with) = if pair % 2 == 0 {
            let without = p99(takes, seconds);
            (without, with_browsers())
        } else {
            let with = with_browsers();
            (p99(takes, seconds), with)
        };
        println!("      {name}: {with:.3} ms / {without:.3} ms");
        withouts.push(without);
        withs.push(with);
        ratios.push(with / without);
    }
    let detail = format!(
        "{:.3} ms with, {:.3} ms without; {RATE}/s for {seconds} s, {} tasks wait and as many have ended, {pairs} pairs",
        median(withs),
        median(withouts),
        thousands * 1_000
    );
    Figure { name, value: median(ratios), unit: "", bar: Bar::AtMost(1.5), detail }
}
