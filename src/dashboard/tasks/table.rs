//! Tasks as rows.

use maud::{Markup, html};

use super::super::words::{self, clipped};
use super::query::Query;
use crate::domain::{Task, TaskId, tags};

/// Longest text of a cell, in characters.
const CHARS_SHOWN: usize = 80;
/// Labels of one task that are shown; the others are on its page.
const LABELS_SHOWN: usize = 4;

/// The rows, in their order.
pub fn of(tasks: &[Task]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Tasks, the newest first" {
            table {
                caption { "Tasks, the newest first" }
                thead { tr {
                    th scope="col" { "Task" }
                    th scope="col" { "State" }
                    th scope="col" { "Due" }
                    th scope="col" { "Target" }
                    th scope="col" { "Labels" }
                    th.number scope="col" { "Lateness" }
                    th.number scope="col" { "Attempts" }
                    th scope="col" { "Last error" }
                } }
                tbody { @for task in tasks { (row(task)) } }
            }
        }
    }
}

fn row(task: &Task) -> Markup {
    let more = task.spec.labels.len().saturating_sub(LABELS_SHOWN);
    let lateness = task.lateness().map(|lateness| words::duration(lateness.as_secs_f64()));
    html! {
        tr {
            th scope="row" { a.id href={ "/tasks/" (task.id) } title=(task.id) { (short(task.id)) } }
            td { (words::state(task.state)) @if task.paused { " paused" } }
            td { (words::instant(task.due_at)) }
            td.text { (clipped(&tags::address(&task.spec.target), CHARS_SHOWN)) }
            td.text {
                @for (name, value) in task.spec.labels.iter().take(LABELS_SHOWN) { (label(name, value, CHARS_SHOWN)) " " }
                @if more > 0 { "and " (more) " more" }
            }
            td.number { (lateness.unwrap_or_default()) }
            td.number { (task.attempt) " of " (task.spec.retry.max_attempts) }
            td.text { @if let Some(error) = &task.last_error { (clipped(error, CHARS_SHOWN)) } }
        }
    }
}

/// A label, at most so many characters of it, as a link to all that have it. Where its name holds a `=` there is none: a
/// filter ends the name at the first, and would look for another label.
pub fn label(name: &str, value: &str, most: usize) -> Markup {
    let text = format!("{name}={value}");
    let shown = clipped(&text, most);
    html! {
        @if name.contains('=') {
            span { (shown) }
        } @else {
            a href=(Query::of("label", &text).href("/tasks")) { (shown) }
        }
    }
}

/// The beginning, which tells when it was made where that is in it, and the end.
fn short(id: TaskId) -> String {
    let text = id.to_string();
    let (start, end) = (text.get(..8).unwrap_or_default(), text.get(30..).unwrap_or_default());
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, stored};
    use super::*;

    #[test]
    fn a_row_leads_to_its_task_and_shows_what_is_hostile_as_text() {
        let (api, _folder) = fixture::api();
        let hostile = r#""labels": {"<b>": "x\u202ey&", "l1": "1", "l2": "2", "l3": "3", "l4": "4"}"#;
        let id = stored(&api, hostile);
        let mut task = api.store.find(id).unwrap().unwrap();
        task.last_error = Some(format!("<script>alert(1)</script>\u{1b}[2J{}", "z".repeat(500)));
        let html = of(&[task]).into_string();
        assert!(html.contains(&format!("href=\"/tasks/{id}\" title=\"{id}\">{}</a>", short(id))), "{html}");
        assert!(
            html.contains("href=\"/tasks?label=%3Cb%3E%3Dx%E2%80%AEy%26\">&lt;b&gt;=x‹U+202E›y&amp;</a>"),
            "{html}"
        );
        assert!(html.contains("and 1 more") && html.contains("0 of 5"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;‹U+001B›[2Jzz") && html.contains("z…"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<b>") && html.len() < 5_000, "{html}");
    }

    #[test]
    fn every_link_of_a_label_finds_what_has_it() {
        let (api, _folder) = fixture::api();
        for (name, value) in [("a", "b"), ("a:b", "c"), ("a", "b=c"), ("a", ""), ("a b&", " %"), (":", ":")] {
            let id = stored(&api, &format!("\"labels\": {}", serde_json::json!({ name: value })));
            let html = label(name, value, CHARS_SHOWN).into_string();
            let query = html.split("href=\"/tasks?").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
            let found = api.store.list(&Query::read(&query).filter().unwrap()).unwrap();
            assert!(found.tasks.iter().any(|task| task.id == id), "{name}={value} by {query}");
        }
        assert_eq!(label("a=b", "<c>", CHARS_SHOWN).into_string(), "<span>a=b=&lt;c&gt;</span>");
    }

    #[test]
    fn an_id_is_shortened_in_its_middle() {
        let id = TaskId(uuid::Uuid::from_u128(0x0199_c0de_1234_7000_8000_0000_00ab_cdef));
        assert_eq!(short(id), "0199c0de…abcdef");
    }
}
