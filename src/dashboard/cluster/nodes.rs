//! Every node with what it can do and holds: its lives that go on, and a few that are over.

use std::collections::BTreeSet;
use std::time::Duration;

use maud::{Markup, html};

use super::standing::{is_off, offset, standing};
use super::{NAME_CHARS, WORD_CHARS, warnings};
use crate::dashboard::look::Look;
use crate::dashboard::words::{ago, clipped, count, duration};
use crate::domain::figures::Snapshot;
use crate::store::{Generation, Standing};

const HEADS: [&str; 8] = ["Node", "State", "Heartbeat", "Free slots", "Clock", "Version", "Address", "Queue"];

/// The part of the page.
pub fn section(look: &Look) -> Markup {
    let warnings = warnings::of(look);
    html! {
        h2 { "Nodes" }
        @if !warnings.is_empty() {
            ul.alarms { @for warning in &warnings { li.bad { (warning) } } }
        }
        @if look.generations.is_empty() {
            p { "No node is known yet: the actors of this one are starting." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Nodes as a table" {
                table {
                    caption { "Nodes that live, and the last lives that are over." }
                    thead { tr { @for head in HEADS { th scope="col" { (head) } } } }
                    tbody { @for one in &look.generations { (row(look, one)) } }
                }
            }
        }
        @if nodes(look) == 1 { (alone()) }
    }
}

/// How many nodes live, by their names: a restart overlaps with what it replaces.
fn nodes(look: &Look) -> usize {
    look.living().map(|one| one.node.as_str()).collect::<BTreeSet<_>>().len()
}

fn alone() -> Markup {
    html! {
        p {
            "This is one node. Started without " code { "--database-url" } " it is alone with its file, and needs nobody "
            "else. A cluster is made of nodes with the same database, each with a name of its own:"
        }
        pre tabindex="0" role="region" aria-label="How a node of a cluster is started" {
            "task-scheduler node --name b --database-url postgres://scheduler:secret@db.example.org/scheduler"
        }
    }
}

fn row(look: &Look, one: &Generation) -> Markup {
    let (class, state) = standing(look, one);
    let is_alive = one.standing == Standing::Alive;
    let is_master = look.master().is_some_and(|master| master.id == one.id);
    let report = look.reports.iter().find(|report| report.generation == one.id);
    html! {
        tr {
            th scope="row" { (clipped(&one.node, NAME_CHARS)) @if is_master { " (master)" } }
            td { span class={ "state " (class) } { (state) } }
            td { (ago(one.heartbeat_age)) }
            td { @if is_alive { (one.free_slots) " of " (one.slots) } @else { "–" } }
            td {
                @if one.standing == Standing::Dead { "–" } @else {
                    span.bad[is_off(one)] { (offset(one.clock_offset_us)) @if is_off(one) { " off" } }
                }
            }
            td { (clipped(&one.version, WORD_CHARS)) }
            td { (clipped(&one.address, WORD_CHARS)) }
            td { @if let Some(report) = report { (queue(&report.snapshot)) } @else { "–" } }
        }
    }
}

/// What waits on its way into the database.
fn queue(snapshot: &Snapshot) -> Markup {
    let number = |n: i64| count(u64::try_from(n).unwrap_or(0));
    let age = Duration::from_millis(snapshot.queue_age_ms).as_secs_f64();
    html! {
        (number(snapshot.queue_depth)) " in memory"
        @if snapshot.queue_lag > 0 {
            "; " (number(snapshot.queue_lag)) " in its part of the topic, the oldest for " (duration(age))
        }
        @if snapshot.queue_stopped > 0 {
            "; " strong.bad { (count(snapshot.queue_stopped)) " partitions are stopped" }
        }
    }
}

#[cfg(test)]
pub mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::api::fake;
    use crate::domain::GenerationId;

    /// A life of a node of this name: the higher its number, the later.
    pub fn node(id: u128, name: &str, standing: Standing) -> Generation {
        let mut one = fake::generation(GenerationId(Uuid::from_u128(id)), standing);
        one.node = name.to_owned();
        one
    }

    /// A cluster of these.
    pub fn look(generations: Vec<Generation>) -> Look {
        Look { generations, ..Look::default() }
    }

    #[test]
    fn dead_silent_and_earlier_ones_are_told_apart() {
        let (mut silent, mut off) = (node(3, "b", Standing::Alive), node(5, "d", Standing::Alive));
        silent.heartbeat_age = Duration::from_secs(5);
        off.clock_offset_us = -1_500_000;
        let dead = node(4, "c", Standing::Dead);
        let look = look(vec![node(1, "a", Standing::Dead), node(2, "a", Standing::Alive), silent, dead, off]);
        let words: Vec<&str> = look.generations.iter().map(|one| standing(&look, one).1).collect();
        assert_eq!(words, ["an earlier life", "alive", "silent", "dead", "alive"]);
        let html = section(&look).0;
        assert!(html.contains("<span class=\"state dead\">dead</span>"), "{html}");
        assert!(html.contains("<span class=\"bad\">−1.5 s off</span>"), "{html}");
        assert!(html.contains("<li class=\"bad\">Node b is silent"), "{html}");
    }

    #[test]
    fn one_node_says_how_a_cluster_is_made_and_two_do_not() {
        let one = look(vec![node(1, "a", Standing::Draining), node(2, "a", Standing::Alive)]);
        assert!(section(&one).0.contains("--database-url postgres://"));
        let two = look(vec![node(1, "a", Standing::Alive), node(2, "b", Standing::Alive)]);
        assert!(!section(&two).0.contains("--database-url"));
        assert!(section(&look(vec![])).0.contains("No node is known yet"));
    }

    #[test]
    fn foreign_words_are_text() {
        let mut one = node(1, "<script>\u{202e}", Standing::Alive);
        one.version = "<img>".to_owned();
        one.address = "\u{1b}[2J".to_owned();
        let html = section(&look(vec![one])).0;
        assert!(!html.contains("<script>") && !html.contains("<img>") && !html.contains('\u{1b}'), "{html}");
        assert!(html.contains("&lt;script&gt;‹U+202E›"), "{html}");
    }

    #[test]
    fn a_queue_tells_what_waits_where() {
        let mut snapshot = Snapshot { queue_depth: 3, ..Snapshot::default() };
        assert_eq!(queue(&snapshot).0, "3 in memory");
        (snapshot.queue_lag, snapshot.queue_age_ms, snapshot.queue_stopped) = (1_200, 3_000, 2);
        let html = queue(&snapshot).0;
        assert!(html.contains("1\u{202f}200 in its part of the topic, the oldest for 3.0 s"), "{html}");
        assert!(html.contains("2 partitions are stopped"), "{html}");
    }
}
