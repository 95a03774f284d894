//! Dead letters, looked at, mended and submitted again.

use serde_json::{Value, json};

use super::{DONE, Field, NODES, REFUSED, SOON, SUBMIT, judged, seat};
use crate::harness::node::until;
use crate::harness::on_topic::OnTopic;

const BROKEN: &[u8] = &[0xff, 0x00, 0xfe];

impl Field {
    fn letter(&self, id: &Value) -> Value {
        self.get(&format!("/v1/dead-letters/{id}"))
    }
}

#[test]
fn a_dead_letter_is_mended_and_submitted_again() {
    let Some(seat) = seat() else { return };
    let Some(on) = OnTopic::start(NODES) else { return };
    let topic = on.topic();
    let field = Field::of(seat, on.cluster);
    let browser = &field.browser;
    let target = json!({"type": "http", "url": field.receiver.url("/hook")});
    let wrong = json!({"run_at": "soon", "target": target, "payload": "first </textarea> line\nsecond"}).to_string();
    topic.put([(Some("a"), Some(wrong.as_bytes())), (Some("b"), Some(BROKEN))]);
    until("both are buried", SOON, || field.get("/v1/stats")["dead_letters"] == 2);
    let letters = field.get("/v1/dead-letters")["dead_letters"].clone();
    let of = |record: &[u8]| {
        let found = letters.as_array().unwrap().iter().find(|one| one["bytes"] == record.len());
        found.unwrap_or_else(|| panic!("{letters}"))["id"].clone()
    };
    let (soon, broken) = (of(wrong.as_bytes()), of(BROKEN));
    judged::page(browser, &field.at(1, "/dead-letters"));
    field.open("/");
    until("an alarm tells of them", SOON, || browser.text("#alarms").unwrap().to_lowercase().contains("dead letter"));

    for id in [&broken, &soon] {
        field.open("/dead-letters");
        let place = format!("/dead-letters/{id}");
        browser.click(&format!("main a[href='{place}']"));
        browser.until_at(&place);
        judged::shown(browser);
    }
    let edited = browser.run("return document.querySelector('textarea[name=record]').value", &[]);
    assert_eq!(edited, wrong, "the record as it came");
    // As it came it is refused again, and stays.
    browser.click(SUBMIT);
    until("it is refused", SOON, || browser.has(REFUSED));
    assert_eq!((browser.status(), &field.letter(&soon)["replayed_at"]), (400, &Value::Null));
    let _status_of_the_refusal = browser.log();

    let mended = wrong.replace("\"run_at\":\"soon\"", "\"delay_ms\":0");
    assert_ne!(mended, wrong);
    browser.fill("record", &mended);
    field.confirm(&format!("/dead-letters/{soon}"));
    judged::shown(browser);
    assert!(!browser.has("form[method=post]"), "it is submitted once");
    let calls = field.receiver.wait_for(1, SOON);
    let id = calls[0].header("x-task-id").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&calls[0].body).unwrap(), "first </textarea> line\nsecond");
    assert!(field.letter(&soon)["replayed_at"].is_string() && field.letter(&broken)["replayed_at"].is_null());
    browser.click(&format!("{DONE} a[href='/tasks/{id}']"));
    browser.until_at(&format!("/tasks/{id}"));
    field.until_state(id, "succeeded");
    assert_eq!(field.receiver.count(), 1);
}
