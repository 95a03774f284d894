//! The actors of one node as a table.

use maud::{Markup, html};

use super::NAME_CHARS;
use super::figures::Node;
use super::wrong::DEEP;
use crate::dashboard::words::{ago, clipped, count, duration, rate};
use crate::domain::figures::ActorFigures;
use crate::store::Reported;

/// The numbers stand to the right.
const HEADS: [(&str, &str); 9] = [
    ("Actor", ""),
    ("State", ""),
    ("Mailbox", "number"),
    ("Messages", "number"),
    ("p50", "number"),
    ("p99", "number"),
    ("Errors", "number"),
    ("Restarts", "number"),
    ("Last sign of life", "number"),
];

/// What the node has reported.
pub fn table(node: &Node<'_>, report: &Reported) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Actors of node " (node.name()) " as a table" } {
            table {
                caption { "Messages a second; p50 and p99: time per message." }
                thead { tr { @for (head, class) in HEADS { th scope="col" class=(class) { (head) } } } }
                tbody { @for actor in &report.snapshot.actors { (row(node, actor)) } }
            }
        }
    }
}

fn row(node: &Node<'_>, actor: &ActorFigures) -> Markup {
    let state = if !node.is_alive() {
        "draining"
    } else if node.is_silent(actor) {
        "silent"
    } else {
        "alive"
    };
    let time = |q| actor.handling.quantile(q).map_or_else(|| "–".to_owned(), duration);
    html! {
        tr {
            th scope="row" { (clipped(&actor.name, NAME_CHARS)) }
            td { span class={ "state " (state) } { (state) } }
            td.number { span.bad[actor.mailbox > DEEP] { (count(u64::try_from(actor.mailbox).unwrap_or(0))) } }
            td.number { (node.rate(actor).map_or_else(|| "–".to_owned(), rate)) }
            td.number { (time(0.5)) }
            td.number { (time(0.99)) }
            td.number { (count(actor.errors)) }
            td.number { (count(actor.restarts)) }
            td.number { (ago(node.silence(actor))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::{nodes, tests};
    use super::*;
    use crate::domain::buckets::Buckets;
    use crate::metrics::ActorName;
    use crate::store::Standing;

    fn shown(look: &crate::dashboard::look::Look) -> String {
        let node = nodes(look)[0];
        table(&node, node.report.unwrap()).0
    }

    #[test]
    fn shows_every_actor_and_who_is_silent() {
        let mut look = tests::look(Standing::Alive, Duration::ZERO);
        tests::actors(&mut look)[2].silence_ms = 60_000;
        let html = shown(&look);
        for name in ActorName::ALL {
            assert!(html.contains(&format!("<th scope=\"row\">{}</th>", name.word())), "{html}");
        }
        let state = |name: &str, word: &str| {
            html.contains(&format!("{name}</th><td><span class=\"state {word}\">{word}</span></td>"))
        };
        assert!(state("executor", "alive") && state("heartbeat", "silent"), "{html}");
        assert!(html.contains("60.0 s ago"), "{html}");
        let draining = shown(&tests::look(Standing::Draining, Duration::from_mins(1)));
        assert!(draining.contains("state draining") && !draining.contains("state silent"), "{draining}");
    }

    #[test]
    fn figures_are_written_for_people_and_foreign_names_are_text() {
        let mut look = tests::look(Standing::Alive, Duration::ZERO);
        tests::actors(&mut look).truncate(1);
        let actor = &mut tests::actors(&mut look)[0];
        actor.name = "<b>\u{202e}".to_owned();
        (actor.mailbox, actor.errors, actor.restarts) = (1_001, 1_234, 2);
        actor.handling = Buckets::of([(5_000, 100)]);
        let name = actor.name.clone();
        look.rates.insert((look.reports[0].generation, name), 12.0);
        let html = shown(&look);
        for part in
            ["&lt;b&gt;‹U+202E›", "<span class=\"bad\">1\u{202f}001</span>", ">1\u{202f}234<", ">12/s<", ".0 ms<"]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
