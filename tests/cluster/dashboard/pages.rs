//! Every page, with nothing on it and with much.

use std::time::Duration;

use serde_json::json;

use super::{Field, HOUR_MS, NODES, judged};
use crate::harness::http;
use crate::harness::node::until;

/// Pages that are there from the start.
pub const PLACES: [&str; 5] = ["/", "/tasks", "/cluster", "/actors", "/dead-letters"];

#[test]
fn every_page_of_a_new_cluster_is_in_order_on_any_node() {
    let Some(field) = Field::start() else { return };
    for (node, place) in PLACES.iter().enumerate() {
        judged::page(&field.browser, &field.at(node, place));
    }
    judged::page(&field.browser, &field.at(1, "/cluster/pause"));
    field.open("/");
    let steps = field.browser.text("main pre").expect("a line to begin with");
    assert!(steps.contains("curl ") && steps.contains("/v1/tasks"), "{steps}");
}

#[test]
fn every_page_of_a_busy_cluster_is_in_order() {
    let Some(field) = Field::start() else { return };
    let (failed, unknown) = (field.ended("/fails", "busy", "failed"), field.ended("/silent", "busy", "unknown"));
    let (done, waiting) = (field.ended("/hook", "busy", "succeeded"), field.submit("/hook", "busy", HOUR_MS));
    let pause =
        http::post_json(&field.at(1, "/v1/pauses"), &json!({"label": "of=held", "reason": "their hook is down"}));
    assert_eq!(pause.status, 201);
    field.submit("/hook", "held", 0);
    // For as long as the pages are looked at.
    field.cluster.submit(1, &field.receiver.url("/slow"), 3_000, (Duration::ZERO, Duration::from_mins(2)));
    until("tasks run", super::SOON, || field.count("succeeded") > 10);

    let mut places: Vec<String> = PLACES.map(str::to_owned).into();
    places.extend([&failed, &unknown, &done, &waiting].map(|id| format!("/tasks/{id}")));
    places.extend(["cancel", "run", "reschedule"].map(|deed| format!("/tasks/{waiting}/{deed}")));
    places.extend([format!("/tasks/{failed}/retry"), format!("/tasks/{unknown}/resolve")]);
    places.extend(["/tasks?state=failed", "/tasks?label=of%3Dbusy", "/cluster/pause"].map(str::to_owned));
    places.push("/tasks/all/cancel?label=of%3Dbusy&state=scheduled".to_owned());
    for (n, place) in places.iter().enumerate() {
        judged::page(&field.browser, &field.at(n % NODES, place));
    }
}

#[test]
fn what_is_not_there_is_a_page_too() {
    let Some(field) = Field::start() else { return };
    for (place, status) in [
        ("/tasks/0199c0de-0000-7000-8000-00000000dead", 404),
        ("/tasks/0199c0de-0000-7000-8000-00000000dead/cancel", 404),
        ("/tasks/x", 400),
        ("/tasks?state=nowhere", 400),
        ("/tasks?label=x", 400),
        ("/dead-letters/4711", 404),
        ("/dead-letters/x", 400),
        ("/nowhere", 404),
        ("/tasks/a/b/c", 404),
        ("/cluster/pauses/4711", 404),
    ] {
        field.open(place);
        assert_eq!(field.browser.status(), status, "{place}");
        assert!(field.browser.has(super::REFUSED), "{place} does not say why");
        // The console names the status of the page itself.
        let _status = field.browser.log();
        judged::shown(&field.browser);
    }
}
