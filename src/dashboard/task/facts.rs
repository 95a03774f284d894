//! What was asked for and how it stands, field by field.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::tasks::{Query, label};
use super::super::words::{self, clipped};
use crate::domain::retry::RetryPolicy;
use crate::domain::time::millis_of;
use crate::domain::{Delivery, Misfire, Target, Task, Timestamp, tags};

/// Longest text of a field, in characters.
const CHARS_SHOWN: usize = 2_000;

/// All fields but the payload.
pub fn of(task: &Task) -> Markup {
    html! { dl { (standing(task)) (asked(task)) (times(task)) } }
}

fn standing(task: &Task) -> Markup {
    html! {
        dt { "id" } dd { code { (task.id) } }
        dt { "state" }
        dd {
            (words::state(task.state))
            @if task.paused { ", due and paused: it waits until the pause is resumed" }
        }
        dt { "attempts" } dd { (task.attempt) " of at most " (task.spec.retry.max_attempts) }
        @if let Some(error) = &task.last_error { dt { "last error" } dd { (clipped(error, CHARS_SHOWN)) } }
        @if let Some(node) = &task.node { dt { "node" } dd { (clipped(node, CHARS_SHOWN)) } }
        @if let Some(epoch) = task.epoch { dt { "epoch" } dd { (epoch) } }
        @if let Some(lateness) = task.lateness() {
            dt { "lateness" } dd { (words::duration(lateness.as_secs_f64())) }
        }
    }
}

fn asked(task: &Task) -> Markup {
    let spec = &task.spec;
    html! {
        dt { "target" } dd { (target(&spec.target)) }
        dt { "labels" }
        dd {
            @if spec.labels.is_empty() { "none" }
            @for (name, value) in &spec.labels { (label(name, value, CHARS_SHOWN)) " " }
        }
        dt { "priority" } dd { (spec.priority) }
        dt { "delivery" } dd { (delivery(spec.delivery)) }
        dt { "retry" } dd { (retry(&spec.retry)) }
        dt { "timeout" } dd { (millis(millis_of(spec.timeout))) " a call" }
        dt { "misfire" } dd { (misfire(spec.misfire)) }
    }
}

fn times(task: &Task) -> Markup {
    let optional = |name: &str, at: Option<Timestamp>| {
        html! { @if let Some(at) = at { dt { (name) } dd { (words::instant(at)) } } }
    };
    html! {
        dt { "run_at" } dd { (words::instant(task.run_at)) }
        dt { "due_at" } dd { (words::instant(task.due_at)) }
        (optional("accepted_at", task.accepted_at))
        dt { "created_at" } dd { (words::instant(task.created_at)) }
        (optional("dispatched_at", task.dispatched_at))
        (optional("started_at", task.started_at))
        (optional("finished_at", task.finished_at))
    }
}

/// A URL is text and no link: whoever reads it decides where to go.
fn target(target: &Target) -> Markup {
    let address = tags::address(target);
    let others = Query::of("target", &address).href("/tasks");
    html! {
        @match target {
            Target::Http(http) => {
                code { (clipped(&http.method, CHARS_SHOWN)) " " (clipped(&http.url, CHARS_SHOWN)) }
                (headers(&http.headers))
            }
            Target::Kafka(kafka) => {
                "Kafka topic " code { (clipped(&kafka.topic, CHARS_SHOWN)) }
                @if let Some(cluster) = &kafka.cluster { " of the cluster " code { (clipped(cluster, CHARS_SHOWN)) } }
                @if let Some(key) = &kafka.key { ", key " code { (clipped(key, CHARS_SHOWN)) } }
                (headers(&kafka.headers))
            }
            Target::Log => { "a line in the log of the node that executes it" }
        }
        " (" a href=(others) { "all with this target" } ")"
    }
}

fn headers(headers: &BTreeMap<String, String>) -> Markup {
    html! {
        @for (name, value) in headers { br; code { (clipped(name, CHARS_SHOWN)) ": " (clipped(value, CHARS_SHOWN)) } }
    }
}

fn delivery(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::AtMostOnce => "at most once: if nobody can know whether the target was reached, it is unknown",
        Delivery::AtLeastOnce => "at least once: if nobody can know whether the target was reached, it is called again",
    }
}

fn retry(retry: &RetryPolicy) -> String {
    if retry.max_attempts <= 1 {
        return "none".to_owned();
    }
    format!(
        "at most {} attempts; after a failure {}, then each time {} times as long, up to {}; jitter {}",
        retry.max_attempts,
        millis(retry.initial_ms),
        retry.factor,
        millis(retry.max_ms),
        retry.jitter
    )
}

fn misfire(misfire: Misfire) -> String {
    match misfire {
        Misfire::Fire => "fired, however late".to_owned(),
        Misfire::ExpireAfterMs(ms) => format!("called off where it would be later than {}", millis(ms)),
    }
}

fn millis(ms: u64) -> String {
    words::duration(std::time::Duration::from_millis(ms).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::super::super::tasks::fixture::{self, stored};
    use super::*;
    use crate::domain::limits::LABEL_CHARS_MAX;

    #[test]
    fn labels_are_whole_however_long() {
        let (api, _folder) = fixture::api();
        let (name, value) = ("n".repeat(LABEL_CHARS_MAX), "v".repeat(LABEL_CHARS_MAX));
        let id = stored(&api, &format!(r#""labels": {{"{name}": "{value}", "a=b": "c"}}"#));
        let html = of(&api.store.find(id).unwrap().unwrap()).into_string();
        assert!(html.contains(&format!("\">{name}={value}</a>")) && !html.contains('…'), "{html}");
        assert!(html.contains("<span>a=b=c</span>") && !html.contains("label=a%3Db%3Dc"), "{html}");
    }

    #[test]
    fn every_field_is_shown_and_what_is_hostile_is_text() {
        let (api, _folder) = fixture::api();
        let fields = r#""target": {"type": "http", "url": "http://h.example/?<b>\u202e\"", "headers": {"x-a": "<i>"}},
            "labels": {"tenant": "<u>"}, "priority": 7, "delivery": "at_least_once", "timeout_ms": 5000,
            "misfire": {"expire_after_ms": 60000}, "retry": {"max_attempts": 3}"#;
        let id = stored(&api, fields);
        let mut task = api.store.find(id).unwrap().unwrap();
        task.last_error = Some("</dd>\u{7}".to_owned());
        (task.node, task.epoch) = (Some("<node>".to_owned()), Some(crate::domain::Epoch(4)));
        let html = of(&task).into_string();
        for shown in [
            format!("<code>{id}</code>").as_str(),
            "<code>POST http://h.example/?&lt;b&gt;‹U+202E›&quot;</code>",
            "x-a: &lt;i&gt;",
            "tenant=&lt;u&gt;</a>",
            "<dd>7</dd>",
            "at least once",
            "<dd>5.0 s a call</dd>",
            "later than 60.0 s",
            "at most 3 attempts; after a failure 1.0 s, then each time 2 times as long, up to 5 min; jitter 0.2",
            "&lt;/dd&gt;‹U+0007›",
            "&lt;node&gt;",
            "<dt>epoch</dt><dd>4</dd>",
            "href=\"/tasks?target=http%3Ah.example\"",
        ] {
            assert!(html.contains(shown), "{shown} is not in {html}");
        }
        assert!(!html.contains("finished_at") && !html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert_eq!(html.matches("<dt>").count(), html.matches("<dd>").count());
    }
}
