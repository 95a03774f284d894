//! What is paused, and what waits for its end.

use maud::{Markup, html};

use crate::dashboard::look::Look;
use crate::dashboard::words::{clipped, count, instant};
use crate::domain::Pause;
use crate::domain::limits::{PAUSE_REASON_CHARS_MAX, WAITING_COUNTED_MAX};

/// Longest label that is shown, in characters.
const LABEL_CHARS: usize = 200;
const HEADS: [&str; 6] = ["What", "State", "Since", "Waiting tasks", "Reason", "To do"];

/// The part of the page.
pub fn section(look: &Look) -> Markup {
    html! {
        h2 { "What is paused" }
        @if look.pauses.is_empty() {
            p { "Nothing is paused." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Pauses as a table" {
                table {
                    caption {
                        "What is paused is not claimed. With the last task that waits for its end a resumed one is gone."
                    }
                    thead { tr { @for head in HEADS { th scope="col" { (head) } } } }
                    tbody { @for (pause, waiting) in &look.pauses { (row(pause, *waiting)) } }
                }
            }
        }
    }
}

fn row(pause: &Pause, waiting: u64) -> Markup {
    let about = about(pause);
    let deed = if pause.is_in_force() { "Resume" } else { "Change the pace of" };
    html! {
        tr {
            th scope="row" { (about) }
            td { (state(pause)) }
            td { (instant(pause.paused_at)) }
            td.number { (counted(waiting)) }
            td.text { @if let Some(reason) = &pause.reason { (clipped(reason, PAUSE_REASON_CHARS_MAX)) } @else { "–" } }
            td { a.button href={ "/cluster/pauses/" (pause.id) "/resume" } { (deed) " " (about) } }
        }
    }
}

/// What it holds back.
pub fn about(pause: &Pause) -> String {
    match &pause.label {
        Some((name, value)) => clipped(&format!("{name}={value}"), LABEL_CHARS),
        None => "everything".to_owned(),
    }
}

/// How many wait for its end.
pub fn counted(waiting: u64) -> String {
    if waiting > WAITING_COUNTED_MAX { format!("more than {}", count(WAITING_COUNTED_MAX)) } else { count(waiting) }
}

/// In force, or how it is being resumed.
pub fn state(pause: &Pause) -> Markup {
    html! {
        @if let Some(resumed_at) = pause.resumed_at {
            span.state { "being resumed" } ", since " (instant(resumed_at)) ", "
            @if let Some(per_second) = pause.per_second {
                (count(u64::from(per_second))) " a second"
            } @else {
                "all at once"
            }
        } @else {
            span.state.warn { "paused" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn pause(label: Option<(&str, &str)>) -> Pause {
        Pause {
            id: 7,
            label: label.map(|(name, value)| (name.to_owned(), value.to_owned())),
            reason: Some("they <b>asked".to_owned()),
            paused_at: Timestamp::from_micros(1_000_000),
            resumed_at: None,
            per_second: None,
        }
    }

    #[test]
    fn a_pause_tells_what_waits_and_how_it_ends() {
        let html = row(&pause(Some(("tenant", "acme\u{202e}"))), 12).0;
        assert!(html.contains("tenant=acme‹U+202E›</th>") && html.contains(">12</td>"), "{html}");
        assert!(html.contains("href=\"/cluster/pauses/7/resume\">Resume tenant=acme"), "{html}");
        assert!(html.contains("they &lt;b&gt;asked"), "{html}");
        assert_eq!(counted(WAITING_COUNTED_MAX + 1), "more than 10\u{202f}000");
    }

    #[test]
    fn what_is_being_resumed_says_how_fast() {
        let resumed = |per_second| Pause { resumed_at: Some(Timestamp::from_micros(2)), per_second, ..pause(None) };
        assert!(state(&pause(None)).0.contains(">paused<"));
        assert!(state(&resumed(None)).0.ends_with("all at once"));
        let html = row(&resumed(Some(2_000)), 0).0;
        assert!(html.contains("2\u{202f}000 a second") && html.contains("Change the pace of everything"), "{html}");
    }

    #[test]
    fn where_nothing_is_paused_it_says_so() {
        assert!(section(&Look::default()).0.contains("Nothing is paused."));
        let look = Look { pauses: vec![(pause(None), 1)], ..Look::default() };
        assert!(section(&look).0.contains("<th scope=\"row\">everything</th>"));
    }
}
