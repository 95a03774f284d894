//! What is wrong with the actors, in words.

use maud::{Markup, html};

use super::NAME_CHARS;
use super::figures::Node;
use crate::dashboard::look::Look;
use crate::dashboard::words::{clipped, count, duration, minute};

/// A mailbox with more than this is deep: its actor does not keep up.
pub const DEEP: i64 = 1_000;

/// The part of the page.
pub fn section(look: &Look, nodes: &[Node<'_>]) -> Markup {
    let gone = look.lost().map(|one| {
        let (node, since) = (clipped(&one.node, NAME_CHARS), minute(look.at.minus(one.heartbeat_age)));
        format!("Node {node} is gone since {since}, and its actors with it.")
    });
    let wrong: Vec<String> = gone.chain(nodes.iter().flat_map(wrong)).collect();
    let past: Vec<String> = nodes.iter().flat_map(past).collect();
    html! {
        h2 { "What is wrong" }
        @if wrong.is_empty() {
            p.good { "Nothing is wrong." }
        } @else {
            ul.alarms { @for one in &wrong { li.bad { (one) } } }
        }
        @if !past.is_empty() {
            h3 { "Since the nodes' processes began" }
            ul.alarms { @for one in &past { li { (one) } } }
        }
    }
}

/// What is so now.
pub fn wrong(node: &Node<'_>) -> Vec<String> {
    let name = node.name();
    if !node.is_alive() {
        return Vec::new();
    }
    if let Some(age) = node.mute() {
        let age = duration(age.as_secs_f64());
        return vec![format!("Node {name} has not reported for {age}: what its actors do is not known.")];
    }
    let mut told = Vec::new();
    for actor in node.actors() {
        let of = format!("{} of node {name}", clipped(&actor.name, NAME_CHARS));
        if node.is_silent(actor) {
            let silence = duration(node.silence(actor).as_secs_f64());
            told.push(format!("{of} is silent for {silence}."));
        }
        let errors = node.recent_errors(actor);
        if errors > 0 {
            told.push(format!("{of} fails: {} errors since the report before the last one.", count(errors)));
        }
        if actor.mailbox > DEEP {
            let waiting = count(u64::try_from(actor.mailbox).unwrap_or(0));
            told.push(format!("{of} does not keep up: {waiting} messages wait."));
        }
    }
    told
}

/// What was so at some time, and may be over.
fn past(node: &Node<'_>) -> Vec<String> {
    let some = |n: u64, word: &str| match n {
        0 => None,
        1 => Some(format!("1 {word}")),
        n => Some(format!("{} {word}s", count(n))),
    };
    let each = node.actors().iter().filter_map(|actor| {
        let parts: Vec<String> =
            [some(actor.errors, "error"), some(actor.restarts, "restart")].into_iter().flatten().collect();
        let of = format!("{} of node {}", clipped(&actor.name, NAME_CHARS), node.name());
        (!parts.is_empty()).then(|| format!("{of}: {}; its log says why.", parts.join(", ")))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::{nodes, tests};
    use super::*;
    use crate::store::Standing;

    #[test]
    fn where_nothing_is_wrong_it_says_so() {
        let look = tests::look(Standing::Alive, Duration::from_secs(1));
        let html = section(&look, &nodes(&look)).0;
        assert!(html.contains("Nothing is wrong.") && !html.contains("<li"), "{html}");
        assert!(section(&Look::default(), &[]).0.contains("Nothing is wrong."));
        let gone = tests::look(Standing::Dead, Duration::from_secs(1));
        let html = section(&gone, &nodes(&gone)).0;
        assert!(html.contains("Node node is gone since ") && !html.contains("Nothing is wrong."), "{html}");
    }

    #[test]
    fn what_is_wrong_now_is_told_apart_from_what_was() {
        let mut look = tests::look(Standing::Alive, Duration::from_secs(1));
        let actors = tests::actors(&mut look);
        actors[2].silence_ms = 9_000;
        actors[4].mailbox = DEEP + 1;
        (actors[5].errors, actors[5].restarts) = (1, 2_000);
        look.errors.insert((look.generations[0].id, "executor".to_owned()), 3);
        let nodes = nodes(&look);
        assert_eq!(
            wrong(&nodes[0]),
            [
                "heartbeat of node node is silent for 10.0 s.",
                "dispatcher of node node does not keep up: 1\u{202f}001 messages wait.",
                "executor of node node fails: 3 errors since the report before the last one."
            ]
        );
        assert_eq!(past(&nodes[0]), ["executor of node node: 1 error, 2\u{202f}000 restarts; its log says why."]);
    }

    #[test]
    fn a_node_that_does_not_report_is_told_once() {
        let look = tests::look(Standing::Alive, Duration::from_secs(12));
        let told = wrong(&nodes(&look)[0]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("has not reported for 12.0 s"), "{told:?}");
        let draining = tests::look(Standing::Draining, Duration::from_secs(12));
        assert_eq!(wrong(&nodes(&draining)[0]), Vec::<String>::new(), "its actors have ended");
    }
}
