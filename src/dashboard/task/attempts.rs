//! The attempts of a task, as rows.

use maud::{Markup, html};

use super::super::words::{self, clipped};
use crate::domain::{Attempt, AttemptOutcome};

/// Most of them that are shown: the last ones.
const SHOWN: usize = 100;
/// Longest error, in characters.
const CHARS_SHOWN: usize = 2_000;

/// The last ones, the first of them first.
pub fn of(attempts: &[Attempt]) -> Markup {
    let before = attempts.len().saturating_sub(SHOWN);
    html! {
        @if attempts.is_empty() {
            p { "None has ended yet." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Attempts, the first first" {
                table {
                    caption {
                        "Attempts that have ended, the first first"
                        @if before > 0 { "; " (before) " before these are left out" }
                    }
                    thead { tr {
                        // How it ended comes first: it is seen without scrolling.
                        th.number scope="col" { "Attempt" }
                        th scope="col" { "Outcome" }
                        th scope="col" { "Error" }
                        th scope="col" { "Node" }
                        th.number scope="col" { "Epoch" }
                        th.number scope="col" { "Took" }
                        th scope="col" { "Due" }
                        th scope="col" { "Start" }
                        th scope="col" { "End" }
                    } }
                    tbody { @for attempt in attempts.iter().skip(before) { (row(attempt)) } }
                }
            }
        }
    }
}

fn row(attempt: &Attempt) -> Markup {
    let took = attempt.started_at.map(|from| words::duration(attempt.finished_at.since(from).as_secs_f64()));
    html! {
        tr {
            th.number scope="row" { (attempt.attempt) }
            td { (outcome(attempt.outcome)) }
            td.text { @if let Some(error) = &attempt.error { (clipped(error, CHARS_SHOWN)) } }
            td.text { @if let Some(node) = &attempt.node { (clipped(node, CHARS_SHOWN)) } }
            td.number { @if let Some(epoch) = attempt.epoch { (epoch) } }
            td.number { (took.unwrap_or_default()) }
            td { (words::instant(attempt.due_at)) }
            td { @if let Some(at) = attempt.started_at { (words::instant(at)) } @else { "not known" } }
            td { (words::instant(attempt.finished_at)) }
        }
    }
}

/// The word of an outcome.
pub fn outcome(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Succeeded => "succeeded",
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::NotSent => "not sent",
        AttemptOutcome::Ambiguous => "ambiguous",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Epoch, Timestamp};

    fn failed(number: u32) -> Attempt {
        Attempt {
            attempt: number,
            node: Some("<n>".to_owned()),
            epoch: Some(Epoch(3)),
            due_at: Timestamp::from_micros(0),
            started_at: Some(Timestamp::from_micros(1_000)),
            finished_at: Timestamp::from_micros(251_000),
            outcome: AttemptOutcome::Failed,
            error: Some("503 <b>\u{202e}".to_owned()),
        }
    }

    #[test]
    fn a_row_says_who_when_and_how_it_ended() {
        let unknown = Attempt { started_at: None, outcome: AttemptOutcome::Ambiguous, ..failed(2) };
        let html = of(&[failed(1), unknown]).into_string();
        let row = "<td>failed</td><td class=\"text\">503 &lt;b&gt;‹U+202E›</td><td class=\"text\">&lt;n&gt;</td>\
            <td class=\"number\">3</td><td class=\"number\">250.0 ms</td>";
        assert!(html.contains(row), "{html}");
        assert!(html.contains("<td>not known</td>") && html.contains("<td>ambiguous</td>"), "{html}");
        assert!(of(&[]).into_string().contains("None has ended yet"));
    }

    #[test]
    fn only_the_last_ones_are_shown_where_there_are_many() {
        let many: Vec<Attempt> = (1..=103).map(failed).collect();
        let html = of(&many).into_string();
        assert_eq!(html.matches("<tr>").count(), 101);
        assert!(
            html.contains("3 before these") && !html.contains("<th class=\"number\" scope=\"row\">3</th>"),
            "{html}"
        );
        assert!(html.contains("<th class=\"number\" scope=\"row\">103</th>"), "{html}");
    }
}
