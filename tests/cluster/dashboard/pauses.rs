//! Pausing and resuming from the cluster's page.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Field, HOUR_MS, REFUSED, SOON, SUBMIT, judged};
use crate::harness::node::until;

const TASKS: usize = 20;

impl Field {
    fn pauses(&self) -> Value {
        self.get("/v1/pauses")["pauses"].clone()
    }

    /// Goes by the button of the only pause to the form that resumes it.
    fn ask_resume(&self) {
        let place = format!("/cluster/pauses/{}/resume", self.pauses()[0]["id"]);
        self.browser.click(&format!("#paused a[href='{place}']"));
        self.browser.until_at(&place);
    }
}

#[test]
fn a_label_is_paused_and_resumed_at_a_pace() {
    let Some(field) = Field::start() else { return };
    let browser = &field.browser;
    field.open("/cluster");
    browser.enter("form[method=post] [name=label]", "of=held");
    browser.enter("form[method=post] [name=reason]", "their hook is <down>");
    assert!(field.confirm("/cluster").contains("is paused"));
    let pause = field.pauses()[0].clone();
    assert_eq!((&pause["label"], &pause["reason"]), (&json!("of=held"), &json!("their hook is <down>")));

    let held: Vec<String> = (0..TASKS).map(|_| field.submit("/hook", "held", 0)).collect();
    field.ended("/hook", "free", "succeeded");
    until("all of them wait", SOON, || field.pauses()[0]["waiting"] == TASKS);
    assert_eq!(field.receiver.count(), 1, "the one that is free");
    let shows = |what: &str| browser.text("#paused").unwrap().contains(what);
    until("the page shows what waits", SOON, || shows("of=held") && shows("their hook is <down>"));
    until("the page shows how many wait", SOON, || browser.text("#paused td.number").as_deref() == Some("20"));
    judged::shown(browser);

    field.ask_resume();
    judged::shown(browser);
    browser.fill("how", "at-a-pace");
    browser.fill("per_second", "10");
    assert!(field.confirm("/cluster").contains("is resumed"));
    field.receiver.wait_for(TASKS + 1, SOON);
    until("nothing is paused", SOON, || field.pauses() == json!([]));
    until("the page shows it", SOON, || shows("Nothing is paused"));
    assert!(held.iter().all(|id| field.calls(id) == 1), "each once");
    let calls = field.receiver.calls();
    let of_held: Vec<_> =
        calls.iter().filter(|call| held.iter().any(|id| call.header("x-task-id") == Some(id.as_str()))).collect();
    let took = of_held[TASKS - 1].at.duration_since(of_held[0].at).unwrap();
    assert!(took >= Duration::from_secs(1), "20 at 10 a second within {took:?}");
}

#[test]
fn everything_is_paused_after_a_second_look_and_resumed_at_once() {
    let Some(field) = Field::start() else { return };
    field.open("/cluster");
    field.browser.click("main a[href='/cluster/pause']");
    field.browser.until_at("/cluster/pause");
    assert_eq!(field.pauses(), json!([]), "nothing is done by looking");
    assert!(field.confirm("/cluster").contains("is paused"));
    assert_eq!(field.pauses()[0]["label"], Value::Null);
    field.submit("/hook", "a", 0);
    until("it waits", SOON, || field.pauses()[0]["waiting"] == 1);
    assert_eq!(field.receiver.count(), 0);
    field.open("/");
    until("an alarm tells of it", SOON, || field.browser.text("#alarms").unwrap().contains("Paused"));
    field.open("/cluster");
    field.ask_resume();
    field.browser.fill("how", "at-once");
    assert!(field.confirm("/cluster").contains("is resumed"));
    field.receiver.wait_for(1, SOON);
}

#[test]
fn a_pause_that_is_refused_keeps_what_was_filled_in() {
    let Some(field) = Field::start() else { return };
    field.submit("/hook", "a", HOUR_MS);
    field.open("/cluster");
    field.browser.fill("label", "acme");
    field.browser.fill("reason", "they asked");
    field.browser.click(SUBMIT);
    until("it is refused", SOON, || field.browser.has(REFUSED));
    assert_eq!(field.browser.status(), 400);
    assert_eq!(field.browser.attribute("form[method=post] [name=reason]", "value").as_deref(), Some("they asked"));
    assert_eq!(field.pauses(), json!([]));
    // Put right, it is taken.
    field.browser.fill("label", "of=acme");
    let _status_of_the_refusal = field.browser.log();
    assert!(field.confirm("/cluster").contains("is paused"));
    assert_eq!((&field.pauses()[0]["label"], &field.pauses()[0]["reason"]), (&json!("of=acme"), &json!("they asked")));
    // Whoever goes to the address that the refused form was at comes to the page that has it.
    field.open("/cluster/pauses");
    assert_eq!((field.browser.place().as_str(), field.browser.status()), ("/cluster", 200));
}
