//! Tasks are searched for, and the same is done to all that are found.

use serde_json::json;

use super::{DONE, Field, HOUR_MS, REFUSED, SOON, SUBMIT, judged};
use crate::harness::http;
use crate::harness::node::until;

const TASKS: u64 = 30;

impl Field {
    fn submit_many(&self, path: &str, label: &str, delay_ms: u64, tasks: u64) {
        let target = json!({"type": "http", "url": self.receiver.url(path)});
        let one = json!({"delay_ms": delay_ms, "target": target, "labels": {"of": label}});
        let answer = http::post_json(&self.at(1, "/v1/tasks/batch"), &json!(vec![one; tasks as usize]));
        assert!(matches!(answer.status, 201 | 202), "{}", answer.json());
    }

    /// How many with this label stand there.
    fn of_label(&self, label: &str, state: &str) -> u64 {
        let page = self.get(&format!("/v1/tasks?label=of%3D{label}&state={state}&limit=1000"));
        page["tasks"].as_array().unwrap().len() as u64
    }

    /// Goes by the button below a list to the form for all of it, which says how many they are; sends it.
    fn act_on_all(&self, label: &str, deed: &str, fields: &[(&str, &str)], tasks: u64) {
        let browser = &self.browser;
        self.open(&format!("/tasks?label=of%3D{label}"));
        browser.click(&format!("main a[href^='/tasks/all/{deed}?']"));
        browser.until_at(&format!("/tasks/all/{deed}?label=of%3D{label}"));
        assert!(browser.text("main").unwrap().contains(&format!("{tasks} tasks")), "the form does not say how many");
        judged::shown(browser);
        for (name, value) in fields {
            browser.fill(name, value);
        }
        browser.click(SUBMIT);
        until(&format!("{deed} of all is done"), SOON, || browser.has(DONE));
        let done = browser.text(DONE).unwrap();
        assert!(done.contains(&format!("of {tasks} tasks {tasks} were")), "{done}");
        assert_eq!((browser.status(), browser.count("h1"), browser.has(REFUSED)), (200, 1, false));
        judged::quiet(browser);
    }
}

#[test]
fn all_of_a_filter_are_cancelled_and_no_others() {
    let Some(field) = Field::start() else { return };
    field.submit_many("/hook", "gone", HOUR_MS, 600);
    field.submit_many("/hook", "other", HOUR_MS, 5);
    field.act_on_all("gone", "cancel", &[], 600);
    assert_eq!((field.of_label("gone", "cancelled"), field.of_label("other", "scheduled")), (600, 5));
    assert_eq!((field.count("cancelled"), field.receiver.count()), (600, 0));
}

#[test]
fn all_of_a_filter_are_rescheduled_and_run() {
    let Some(field) = Field::start() else { return };
    field.submit_many("/hook", "moved", HOUR_MS, TASKS);
    field.submit_many("/other", "other", HOUR_MS, 5);
    field.act_on_all("moved", "reschedule", &[("run_at", "2031-12-24T18:00:00Z")], TASKS);
    let moved = field.get("/v1/tasks?label=of%3Dmoved&limit=1000");
    let is_moved = |task: &serde_json::Value| task["run_at"] == "2031-12-24T18:00:00.000000Z";
    assert!(moved["tasks"].as_array().unwrap().iter().all(is_moved), "{moved}");
    assert_eq!(field.receiver.count(), 0);
    field.act_on_all("moved", "run", &[], TASKS);
    until("all have succeeded", SOON, || field.of_label("moved", "succeeded") == TASKS);
    let calls = field.receiver.calls();
    assert!(calls.len() as u64 == TASKS && calls.iter().all(|call| call.path == "/hook"), "{}", calls.len());
    assert_eq!(field.of_label("other", "scheduled"), 5);
}

#[test]
fn all_of_a_filter_are_retried_and_resolved() {
    let Some(field) = Field::start() else { return };
    field.submit_many("/fails-once", "failed", 0, TASKS);
    field.submit_many("/silent", "unknown", 0, TASKS);
    until("all have failed", SOON, || field.of_label("failed", "failed") == TASKS);
    until("nobody knows", SOON, || field.of_label("unknown", "unknown") == TASKS);
    field.act_on_all("failed", "retry", &[], TASKS);
    until("all have succeeded", SOON, || field.of_label("failed", "succeeded") == TASKS);
    field.act_on_all("unknown", "resolve", &[("state", "failed")], TASKS);
    assert_eq!((field.of_label("unknown", "failed"), field.count("unknown")), (TASKS, 0));
    let called = |path: &str| field.receiver.calls().iter().filter(|call| call.path == path).count() as u64;
    assert_eq!((called("/fails-once"), called("/silent")), (2 * TASKS, TASKS));
}

#[test]
fn what_cannot_be_done_to_all_is_refused_and_all_stays_as_it_is() {
    let Some(field) = Field::start() else { return };
    field.submit_many("/hook", "a", HOUR_MS, TASKS);
    field.open("/tasks?label=of%3Da");
    field.browser.click("main a[href^='/tasks/all/reschedule?']");
    field.browser.until_at("/tasks/all/reschedule?");
    field.browser.fill("run_at", "tomorrow");
    field.browser.click(SUBMIT);
    until("it is refused", SOON, || field.browser.has(REFUSED));
    assert_eq!(field.browser.status(), 400);
    field.open("/tasks");
    assert!(!field.browser.has("main a[href^='/tasks/all/']"), "without a filter nothing is done to all");
    for place in ["/tasks/all/cancel", "/tasks/all/cancel?label=", "/tasks/all/cancel?state=nowhere"] {
        field.open(place);
        assert_eq!(field.browser.status(), 400, "{place}");
    }
    assert_eq!(field.of_label("a", "scheduled"), TASKS);
}

#[test]
fn a_task_is_found_by_its_id_and_by_what_it_has() {
    let Some(field) = Field::start() else { return };
    let browser = &field.browser;
    let (id, other) = (field.submit("/hook", "wanted", HOUR_MS), field.submit("/hook", "other", HOUR_MS));
    let failed = field.ended("/fails", "wanted", "failed");
    let show = "form[role=search] button[type=submit]";
    let rows = |ids: &[&String]| {
        let all = [&id, &other, &failed];
        let shown = all.iter().filter(|id| browser.has(&format!("main table a[href='/tasks/{id}']")));
        assert_eq!(shown.copied().collect::<Vec<_>>(), ids, "{}", browser.place());
    };
    field.open("/tasks");
    rows(&[&id, &other, &failed]);
    browser.enter("form[role=search] [name=label]", "of=wanted");
    browser.click(show);
    browser.until_at("/tasks?");
    rows(&[&id, &failed]);
    // The address is a link for somebody else.
    let link = browser.place();
    browser.click("main nav a[href*='state=failed']");
    until("only those", SOON, || browser.place().contains("state=failed"));
    rows(&[&failed]);
    browser.goto(&field.at(2, &link));
    rows(&[&id, &failed]);
    judged::shown(browser);
    browser.enter("form[role=search] [name=id]", &other);
    browser.click(show);
    browser.until_at(&format!("/tasks/{other}"));
}
