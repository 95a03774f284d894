//! What stands out among the nodes, in words: who is dead or silent, clocks that are off, versions that differ.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::standing::{is_off, offset, standing};
use super::{NAME_CHARS, WORD_CHARS};
use crate::dashboard::look::Look;
use crate::dashboard::words::{clipped, duration};
use crate::store::Generation;

/// So long a node that is gone is told of; its row stays.
const GONE_LATELY: Duration = Duration::from_hours(1);

/// What stands out among the nodes.
pub fn of(look: &Look) -> Vec<String> {
    let name = |one: &Generation| clipped(&one.node, NAME_CHARS);
    let mut told = Vec::new();
    for one in &look.generations {
        let age = duration(one.heartbeat_age.as_secs_f64());
        match standing(look, one).0 {
            "dead" if one.heartbeat_age < GONE_LATELY => {
                let told_of = format!(
                    "Node {} is dead, seen last {age} ago. What it had claimed was given to others.",
                    name(one)
                );
                told.push(told_of);
            }
            "silent" => told.push(format!("Node {} is silent for {age}: it gets no work.", name(one))),
            _ => {}
        }
    }
    for one in look.living().filter(|one| is_off(one)) {
        let offset = offset(one.clock_offset_us);
        told.push(format!("The clock of node {} is off: the database's is {offset} from it.", name(one)));
    }
    told.extend(versions(look));
    told
}

/// Which versions run, if it is more than one.
fn versions(look: &Look) -> Option<String> {
    let mut by_version: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in look.living() {
        by_version.entry(&one.version).or_default().insert(&one.node);
    }
    if by_version.len() < 2 {
        return None;
    }
    let each = by_version.into_iter().map(|(version, nodes)| {
        let nodes: Vec<String> = nodes.into_iter().map(|node| clipped(node, NAME_CHARS)).collect();
        format!("{} on {}", clipped(version, WORD_CHARS), nodes.join(", "))
    });
    Some(format!("Several versions run: {}.", each.collect::<Vec<_>>().join("; ")))
}

#[cfg(test)]
mod tests {
    use super::super::nodes::tests::{look, node};
    use super::*;
    use crate::store::Standing;

    #[test]
    fn who_is_dead_or_silent_is_told_of() {
        let mut silent = node(3, "b", Standing::Alive);
        silent.heartbeat_age = Duration::from_secs(5);
        let dead = node(4, "c", Standing::Dead);
        let told = of(&look(vec![node(1, "a", Standing::Dead), node(2, "a", Standing::Alive), silent, dead]));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("Node b is silent for 5.0 s"), "{told:?}");
        assert!(told[1].starts_with("Node c is dead"), "{told:?}");
    }

    #[test]
    fn who_is_gone_for_long_is_no_news() {
        let mut gone = node(1, "a", Standing::Dead);
        gone.heartbeat_age = Duration::from_hours(5);
        assert_eq!(of(&look(vec![gone])), Vec::<String>::new());
    }

    #[test]
    fn several_versions_and_clocks_that_are_off_stand_out() {
        let (mut old, mut off) = (node(1, "a\u{202e}", Standing::Alive), node(2, "b", Standing::Alive));
        old.version = "0.0.1".to_owned();
        off.clock_offset_us = -1_500_000;
        let told = of(&look(vec![old, off])).join("\n");
        assert!(told.contains("node b is off: the database's is −1.5 s from it"), "{told}");
        assert!(told.contains("Several versions run: 0.0.0 on b; 0.0.1 on a‹U+202E›."), "{told}");
    }
}
