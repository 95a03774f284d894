//! What is done to one task from its pages.

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use super::{DONE, Field, HOUR_MS, REFUSED, SOON, SUBMIT, judged};
use crate::harness::http;
use crate::harness::node::until;

impl Field {
    /// Goes by the button of a task's page to the form behind it, which says what will happen.
    fn ask(&self, id: &str, deed: &str) {
        self.open(&format!("/tasks/{id}"));
        let place = format!("/tasks/{id}/{deed}");
        self.browser.click(&format!("main a[href='{place}']"));
        self.browser.until_at(&place);
        assert!(self.browser.text("main").unwrap().contains(id), "{place} does not say which task is meant");
    }

    /// Fills in the form of a deed, and sends it. The task's page says what was done.
    fn act(&self, id: &str, (deed, done): (&str, &str), fields: &[(&str, &str)]) {
        self.ask(id, deed);
        for (name, value) in fields {
            self.browser.fill(name, value);
        }
        assert_eq!(self.confirm(&format!("/tasks/{id}")), format!("The task was {done}."));
    }

    /// Sends the form that is open, which is refused with this status and its reason.
    fn is_refused(&self, status: u64) {
        self.browser.click(SUBMIT);
        until("it is refused", SOON, || self.browser.has(REFUSED));
        assert_eq!(self.browser.status(), status);
        assert_eq!(self.browser.count("h1"), 1);
        // The console names the status.
        let _status = self.browser.log();
    }
}

#[test]
fn a_task_is_cancelled_and_not_by_him_who_goes_back() {
    let Some(field) = Field::start() else { return };
    let (id, other) = (field.submit("/hook", "a", HOUR_MS), field.submit("/hook", "a", HOUR_MS));
    field.ask(&id, "cancel");
    field.browser.click(&format!("main a[href='/tasks/{id}']"));
    until("he is back", SOON, || field.browser.place() == format!("/tasks/{id}"));
    assert_eq!(field.task(&id)["state"], "scheduled", "nothing is done by looking");
    field.act(&id, ("cancel", "cancelled"), &[]);
    assert_eq!((&field.task(&id)["state"], &field.task(&other)["state"]), (&json!("cancelled"), &json!("scheduled")));
    assert_eq!((field.count("cancelled"), field.receiver.count()), (1, 0));
    judged::shown(&field.browser);
    // It is said once, and not to whom a link is sent.
    for place in [format!("/tasks/{id}"), format!("/tasks/{other}?done=cancelled")] {
        field.open(&place);
        assert!(!field.browser.has(DONE), "{place} says that something was done");
    }
}

#[test]
fn a_page_that_was_too_old_asks_once_more() {
    let Some(field) = Field::start() else { return };
    let id = field.submit("/hook", "a", HOUR_MS);
    field.ask(&id, "cancel");
    // As if the browser had got another token by another page.
    field.browser.run("document.querySelector('form[method=post] [name=token]').value = '0'.repeat(32)", &[]);
    field.is_refused(403);
    assert!(field.browser.text(REFUSED).unwrap().contains("too old"));
    assert_eq!(field.task(&id)["state"], "scheduled", "nothing is done by it");
    assert!(field.confirm(&format!("/tasks/{id}")).contains("cancelled"));
    assert_eq!(field.task(&id)["state"], "cancelled");
}

#[test]
fn a_task_is_run_now() {
    let Some(field) = Field::start() else { return };
    let (id, other) = (field.submit("/hook", "a", HOUR_MS), field.submit("/hook", "a", HOUR_MS));
    field.act(&id, ("run", "made due now"), &[]);
    field.until_state(&id, "succeeded");
    assert_eq!((field.calls(&id), field.calls(&other)), (1, 0));
}

#[test]
fn a_task_that_has_failed_is_tried_again() {
    let Some(field) = Field::start() else { return };
    let id = field.ended("/fails-once", "a", "failed");
    field.act(&id, ("retry", "scheduled again"), &[]);
    field.until_state(&id, "succeeded");
    assert_eq!(field.calls(&id), 2);
}

#[test]
fn an_unknown_task_is_resolved() {
    let Some(field) = Field::start() else { return };
    for (said, stands, calls) in [("succeeded", "succeeded", 1), ("failed", "failed", 1), ("scheduled", "succeeded", 2)]
    {
        let id = field.ended("/silent-once", "a", "unknown");
        field.act(&id, ("resolve", "resolved"), &[("state", said)]);
        field.until_state(&id, stands);
        assert_eq!(field.calls(&id), calls, "{said}");
    }
    assert_eq!(field.count("unknown"), 0);
}

#[test]
fn a_task_is_rescheduled_and_comes_at_its_new_instant() {
    let Some(field) = Field::start() else { return };
    let id = field.submit("/hook", "a", HOUR_MS);
    field.act(&id, ("reschedule", "rescheduled"), &[("run_at", "2031-12-24T18:00:00+01:00")]);
    assert_eq!(field.task(&id)["run_at"], "2031-12-24T17:00:00.000000Z");
    let soon = (Utc::now() + TimeDelta::seconds(3)).to_rfc3339_opts(SecondsFormat::Micros, true);
    field.act(&id, ("reschedule", "rescheduled"), &[("run_at", soon.as_str())]);
    field.until_state(&id, "succeeded");
    let calls = field.receiver.calls();
    assert_eq!((calls.len(), calls[0].header("x-task-run-at")), (1, Some(soon.as_str())));
    assert!(calls[0].lateness_ms() >= 0.0, "{}", calls[0].lateness_ms());
}

#[test]
fn what_is_refused_says_why_and_changes_nothing() {
    let Some(field) = Field::start() else { return };
    let id = field.submit("/hook", "a", HOUR_MS);
    let before = field.task(&id);
    field.ask(&id, "reschedule");
    field.browser.fill("run_at", "tomorrow");
    field.is_refused(400);
    assert!(field.browser.text(REFUSED).unwrap().contains("tomorrow"));
    assert_eq!(field.task(&id), before);
    // Somebody else was quicker.
    field.ask(&id, "run");
    let cancelled = http::request("DELETE", &field.at(1, &format!("/v1/tasks/{id}")), &[], b"");
    assert_eq!(cancelled.status, 200);
    field.is_refused(409);
    assert!(field.browser.text(REFUSED).unwrap().contains("cancelled"));
    assert_eq!((&field.task(&id)["state"], field.receiver.count()), (&json!("cancelled"), 0));
}

#[test]
fn only_what_can_be_done_is_offered() {
    let Some(field) = Field::start() else { return };
    let all = ["cancel", "run", "reschedule", "retry", "resolve"];
    for (id, offered) in [
        (field.submit("/hook", "a", HOUR_MS), &all[..3]),
        (field.ended("/fails", "a", "failed"), &all[3..4]),
        (field.ended("/silent", "a", "unknown"), &all[4..]),
        (field.ended("/hook", "a", "succeeded"), &all[..0]),
    ] {
        field.open(&format!("/tasks/{id}"));
        for deed in all {
            let is_there = field.browser.has(&format!("main a[href='/tasks/{id}/{deed}']"));
            assert_eq!(is_there, offered.contains(&deed), "{deed} of a task that is {}", field.task(&id)["state"]);
        }
    }
}
