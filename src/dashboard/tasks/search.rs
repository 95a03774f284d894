//! Where one says which tasks to see, and what to do with all of them.

use maud::{Markup, html};

use super::super::act::Deed;
use super::super::words;
use super::query::Query;
use crate::domain::State;

/// Longest part of a filter that is repeated, in characters.
const CHARS_SHOWN: usize = 80;
/// How an instant is written.
const INSTANT: &str = "2026-12-24T18:00:00Z";

/// The form, filled in as it was asked.
pub fn form(query: &Query) -> Markup {
    let value = |name| query.first(name).unwrap_or_default();
    let labels: Vec<&str> = query.all("label").collect();
    html! {
        form role="search" aria-label="Tasks" action="/tasks" method="get" {
            div.fields {
                (field("id", "Id", value("id"), "a UUID, for its task"))
                @for (place, label) in labels.iter().enumerate() {
                    (labelled(&format!("label-{place}"), "label", "Label", label, "name=value"))
                }
                (field("label", if labels.is_empty() { "Label" } else { "And label" }, "", "name=value"))
                div {
                    label for="ask-state" { "State" }
                    select #ask-state name="state" {
                        option value="" { "any" }
                        @for state in State::ALL {
                            option value=(state.word()) selected[state.word() == value("state")] { (state.word()) }
                        }
                    }
                }
                (field("target", "Target", value("target"), "http:HOST, kafka:TOPIC or log"))
                (field("from", "Stored from", value("from"), INSTANT))
                (field("to", "Stored before", value("to"), INSTANT))
                div { button type="submit" { "Show" } }
            }
        }
    }
}

fn field(name: &str, label: &str, value: &str, example: &str) -> Markup {
    labelled(name, name, label, value, example)
}

fn labelled(id: &str, name: &str, label: &str, value: &str, example: &str) -> Markup {
    html! {
        div {
            label for={ "ask-" (id) } { (label) }
            input id={ "ask-" (id) } name=(name) value=(value) placeholder=(example)
                autocomplete="off" spellcheck="false";
        }
    }
}

/// The same filter with each state.
pub fn states(query: &Query) -> Markup {
    let others = query.without(&["state", "cursor", "id"]);
    let asked = query.first("state");
    html! {
        nav aria-label="By state" {
            ul.filters {
                li { a href=(others.href("/tasks")) aria-current=[asked.is_none().then_some("true")] { "any state" } }
                @for state in State::ALL {
                    @let current = (asked == Some(state.word())).then_some("true");
                    li {
                        a href=(others.with("state", state.word()).href("/tasks")) aria-current=[current] {
                            (state.word())
                        }
                    }
                }
            }
        }
    }
}

/// What can be done to all that the filter lets through; nothing where there is no filter, so that nobody means all tasks
/// by leaving out a word.
pub fn deeds(query: &Query) -> Markup {
    let condition = query.condition();
    if condition.is_empty() {
        return html! {};
    }
    let state = condition.first("state").and_then(State::from_word);
    let fitting: Vec<Deed> =
        Deed::ALL.into_iter().filter(|deed| state.is_none_or(|state| deed.acts_on() == state)).collect();
    html! {
        @if !fitting.is_empty() {
            section aria-labelledby="on-all" {
                h2 #on-all { "On all of these, also those of other pages" }
                ul.deeds {
                    @for deed in fitting {
                        li { a.button href=(condition.href(&deed.path_of_many())) {
                            (deed.name()) " all that are " (deed.acts_on().word())
                        } }
                    }
                }
            }
        }
    }
}

/// The filter in words.
pub fn conditions(query: &Query) -> Markup {
    html! {
        dl {
            @for (name, value) in query.condition().pairs() {
                dt { (words::clipped(name, CHARS_SHOWN)) }
                dd { (words::clipped(value, CHARS_SHOWN)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_says_what_was_asked_and_every_field_has_a_label() {
        let html = form(&Query::read("label=a%3D%22%3Cb%3E&state=failed&from=x")).into_string();
        assert!(html.contains("name=\"label\" value=\"a=&quot;&lt;b&gt;\""), "{html}");
        assert!(html.contains("<option value=\"failed\" selected>failed</option>"), "{html}");
        assert_eq!(html.matches(" selected").count(), 1);
        let fields = html.matches("<input ").count() + html.matches("<select ").count();
        assert_eq!((fields, html.matches("<label ").count()), (7, 7), "{html}");
        for part in html.split(" for=\"").skip(1) {
            let id = part.split('"').next().unwrap();
            assert_eq!(html.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
        }
    }

    #[test]
    fn a_states_link_keeps_the_other_filters_and_begins_anew() {
        let html = states(&Query::read("label=a%3Db&state=failed&cursor=x")).into_string();
        assert!(html.contains("<a href=\"/tasks?label=a%3Db&amp;state=unknown\">unknown</a>"), "{html}");
        assert!(html.contains("state=failed\" aria-current=\"true\">failed</a>"), "{html}");
        assert!(html.contains("<a href=\"/tasks?label=a%3Db\">any state</a>") && !html.contains("cursor"), "{html}");
    }

    #[test]
    fn what_can_be_done_to_all_needs_a_filter_and_fits_its_state() {
        let links = |query: &str| {
            let html = deeds(&Query::read(query)).into_string();
            html.split("/tasks/all/").skip(1).map(|rest| rest.split('?').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert!(links("").is_empty() && links("cursor=x&limit=5").is_empty() && links("state=succeeded").is_empty());
        assert_eq!(links("label=a%3Db").len(), Deed::ALL.len());
        assert_eq!(links("state=failed&cursor=x"), ["retry"]);
        assert_eq!(links("state=scheduled"), ["cancel", "run", "reschedule"]);
    }

    #[test]
    fn a_filter_in_words_is_text() {
        let html = conditions(&Query::read("label=%3Cb%3E%E2%80%AE%3Dx&limit=5")).into_string();
        assert_eq!(html, "<dl><dt>label</dt><dd>&lt;b&gt;‹U+202E›=x</dd></dl>");
    }
}
