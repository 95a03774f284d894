//! All nodes are restarted one after another, under load.

use std::time::Duration;

use super::{Field, Layout, NODES, Shape, times};
use crate::harness::judge::Bars;

const GAP: Duration = Duration::from_millis(600);
const BARS: Bars = Bars { starts: GAP, stored: GAP, held: GAP, new: GAP };

#[test]
fn a_rolling_restart_loses_and_doubles_nothing() {
    for shape in [Shape::Plain, Shape::Topic] {
        let Some(mut field) = Field::start(&Layout::of(shape)) else { return };
        field.swing();
        for node in (0..times(2)).flat_map(|_| 0..NODES) {
            field.fault(node, false, BARS, |field| field.signal(node, "TERM"));
            let stopped = &mut field.cluster.nodes[node];
            assert_eq!(stopped.wait().code(), Some(0), "{}", stopped.log());
            stopped.restart();
        }
        let evidence = field.end();
        let times = evidence.times();
        assert!(evidence.unknown.is_empty(), "{:?}", evidence.unknown);
        assert!(times.values().all(|times| *times == 1), "each once, of either kind");
        evidence.judge(&format!("rolling restart ({shape:?})"));
    }
}
