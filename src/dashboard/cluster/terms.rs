//! Who has been master, and why each reign ended.

use maud::{Markup, html};

use super::NAME_CHARS;
use crate::dashboard::look::Look;
use crate::dashboard::pictures::terms::history;
use crate::dashboard::words::{clipped, count, duration, instant};
use crate::domain::Timestamp;
use crate::store::Term;

/// Reigns of the table.
const SHOWN: usize = 10;
/// Longest reason that is shown, in characters.
const REASON_CHARS: usize = 200;
const HEADS: [&str; 6] = ["Epoch", "Node", "Since", "Until", "Lasted", "Why it ended"];

/// The part of the page.
pub fn section(look: &Look) -> Markup {
    html! {
        h2 { "Masters so far" }
        @if look.terms.is_empty() {
            p { "Nobody has been master yet." }
        } @else {
            figure.latest tabindex="0" {
                (history(&look.terms, look.at))
                figcaption { "The last reigns, by node and time." }
            }
            div.scroll tabindex="0" role="region" aria-label="The last masters as a table" {
                table {
                    caption { "The last " (look.terms.len().min(SHOWN)) ", the newest first." }
                    thead { tr { @for head in HEADS { th scope="col" { (head) } } } }
                    tbody {
                        @for (place, term) in look.terms.iter().enumerate().take(SHOWN) { (row(look, place, term)) }
                    }
                }
            }
        }
    }
}

/// When it ended. One whose end nobody has written down ended when the next began.
fn end(look: &Look, place: usize, term: &Term) -> Option<Timestamp> {
    let newer = place.checked_sub(1).and_then(|newer| look.terms.get(newer));
    term.ended_at.or(newer.map(|newer| newer.elected_at))
}

fn row(look: &Look, place: usize, term: &Term) -> Markup {
    let end = end(look, place, term);
    let lasted = end.unwrap_or(look.at).since(term.elected_at);
    // The newest one may be its generation's that is dead by now.
    let lasts = end.is_none() && look.term().is_some();
    html! {
        tr {
            th scope="row" { (count(u64::try_from(term.epoch.0).unwrap_or(0))) }
            td { (clipped(&term.node, NAME_CHARS)) }
            td { (instant(term.elected_at)) }
            td { @if let Some(end) = end { (instant(end)) } @else if lasts { "now" } @else { "not known" } }
            td { (duration(lasted.as_secs_f64())) }
            td.text {
                @match &term.end_reason {
                    Some(reason) => { (clipped(reason, REASON_CHARS)) }
                    None if lasts => { "–" }
                    None => { "nobody has said" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::api::fake;
    use crate::domain::{Epoch, GenerationId};
    use crate::store::Standing;

    fn term(epoch: i64, ended_at: Option<i64>, end_reason: Option<&str>) -> Term {
        Term {
            epoch: Epoch(epoch),
            generation: GenerationId(Uuid::nil()),
            node: "<a>".to_owned(),
            elected_at: Timestamp::from_micros(1_000_000),
            ended_at: ended_at.map(Timestamp::from_micros),
            end_reason: end_reason.map(str::to_owned),
        }
    }

    fn rows(terms: Vec<Term>, standing: Standing) -> Vec<String> {
        let at = Timestamp::from_micros(31_000_000);
        let generations = vec![fake::generation(GenerationId(Uuid::nil()), standing)];
        let look = Look { at, terms, generations, ..Look::default() };
        look.terms.iter().enumerate().map(|(place, term)| row(&look, place, term).0).collect()
    }

    #[test]
    fn a_reign_tells_how_long_it_lasted_and_why_it_ended() {
        let ended = term(2, Some(3_000_000), Some("stopped <b>\u{202e}"));
        let rows = rows(vec![term(4, None, None), term(3, None, None), ended], Standing::Alive);
        assert!(rows[0].contains("<td>now</td><td>30.0 s</td>"), "{}", rows[0]);
        assert!(rows[1].contains("nobody has said") && !rows[1].contains("now"), "{}", rows[1]);
        assert!(rows[2].contains("<td>2.0 s</td>") && rows[2].contains("stopped &lt;b&gt;‹U+202E›"), "{}", rows[2]);
    }

    #[test]
    fn a_dead_one_does_not_reign_any_more() {
        let rows = rows(vec![term(4, None, None)], Standing::Dead);
        assert!(rows[0].contains("not known") && rows[0].contains("nobody has said"), "{}", rows[0]);
    }

    #[test]
    fn ten_of_them_are_listed() {
        let terms = (0..30).map(|epoch| term(epoch, Some(2_000_000), None)).collect();
        let html = section(&Look { terms, at: Timestamp::from_micros(9_000_000), ..Look::default() }).0;
        assert_eq!(html.matches("<th scope=\"row\">").count(), SHOWN);
        assert!(section(&Look::default()).0.contains("Nobody has been master yet"));
    }
}
