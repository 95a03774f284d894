//! A node is killed under load, and started again before the next.

use super::{DEAD_AFTER, Field, Layout, MORE, NEW, NODES, Shape, is_long, shapes, times};
use crate::harness::judge::Bars;

const BARS: Bars = Bars { starts: MORE, stored: MORE, held: DEAD_AFTER.saturating_add(MORE), new: NEW };

fn kill(row: &str, shape: Shape, times: usize, masters: bool) {
    let Some(mut field) = Field::start(&Layout::of(shape)) else { return };
    let (mut replaced, mut recovered, mut waiting) = (Vec::new(), Vec::new(), 0);
    for _ in 0..times {
        field.swing();
        let master = field.master();
        let node = if masters { master } else { (master + rand::random_range(1..NODES)) % NODES };
        let generation = field.fault(node, false, BARS, |field| field.kill(node));
        if masters {
            replaced.push(field.until_deposed(generation));
        }
        field.cluster.nodes[node].restart();
        field.until_dead(generation);
        let at = field.faults[field.faults.len() - 1].at;
        recovered.push(field.look.died_at(generation).duration_since(at).unwrap());
        waiting += field.held().unstarted().len();
    }
    println!(
        "{row} ({shape:?}): another master after {replaced:.2?}, claims recovered after {recovered:.2?}, {waiting} of them \
         not started"
    );
    assert!(recovered.iter().all(|took| *took <= DEAD_AFTER + MORE), "{recovered:?}");
    assert!(waiting > 0 || !is_long(), "some were claimed and not started");
    field.end().judge(&format!("{row} ({shape:?})"));
}

#[test]
fn a_killed_master_is_replaced_at_once_and_its_work_goes_on() {
    for shape in [Shape::Plain, Shape::Topic] {
        kill("killed master", shape, times(10), true);
    }
}

#[test]
fn a_killed_node_that_is_not_master_holds_nobody_up() {
    for shape in shapes() {
        kill("killed node", *shape, times(10), false);
    }
}
