//! A node is cut off from the database: nothing arrives, nothing is refused.

use std::time::{Duration, SystemTime};

use super::{DEAD_AFTER, Field, LEASE, Layout, MORE, NEW, NODES, SOON, pause, reigns, shapes, times};
use crate::harness::http;
use crate::harness::judge::Bars;
use crate::harness::node::until;

const PAUSE: Duration = Duration::from_secs(8);
const OTHERS: Duration = LEASE.saturating_add(MORE);
/// Of a master: until its lease has ended nobody claims.
const MASTER: Bars = Bars { starts: OTHERS, stored: OTHERS, held: OTHERS.saturating_add(DEAD_AFTER), new: OTHERS };
/// Of another node: only its own claims wait.
const FOLLOWER: Bars = Bars { starts: MORE, stored: MORE, held: DEAD_AFTER.saturating_add(MORE), new: NEW };

fn cut(row: &str, masters: bool) {
    for shape in shapes() {
        let Some(mut field) = Field::start(&Layout { proxied: true, ..Layout::of(*shape) }) else { return };
        for _ in 0..times(3) {
            field.swing();
            let master = field.master();
            let node = if masters { master } else { (master + 1) % NODES };
            assert_eq!(reigns(&field.cluster.nodes[node]), Some(masters));
            let bars = if masters { MASTER } else { FOLLOWER };
            let generation = field.fault(node, true, bars, |field| {
                let at = SystemTime::now();
                field.proxies[node].cut();
                at
            });
            if masters {
                until("it resigns by itself", SOON, || reigns(&field.cluster.nodes[node]) == Some(false));
                let resigned = field.since_fault();
                assert_eq!(field.look.master(), Some(generation), "in time: before its lease has ended");
                let replaced = field.until_deposed(generation);
                println!("{row} ({shape:?}): resigned after {resigned:.2?}, another master after {replaced:.2?}");
            }
            let dead = field.until_dead(generation);
            std::thread::sleep(pause(PAUSE).saturating_sub(field.since_fault()));
            field.proxies[node].mend();
            let mended = SystemTime::now();
            field.quiet();
            let url = field.cluster.nodes[node].url("/readyz");
            until("it is ready", SOON, || http::get(&url).status == 200);
            println!("{row} ({shape:?}): dead after {dead:.2?}, back {:.2?} after the mend", mended.elapsed().unwrap());
        }
        field.end().judge(&format!("{row} ({shape:?})"));
    }
}

#[test]
fn a_master_that_is_cut_off_resigns_by_itself_and_comes_back() {
    cut("master cut off", true);
}

#[test]
fn a_node_that_is_cut_off_is_replaced_and_comes_back() {
    cut("node cut off", false);
}
