//! Dead letters on their pages: shown as text, mended, and submitted again.

use actix_web::http::StatusCode;
use tempfile::TempDir;
use uuid::Uuid;

use crate::api::{ApiState, fake};
use crate::dashboard::cluster::forms_test::{get, next, post};
use crate::domain::{Due, Misfire, TaskId, Timestamp};
use crate::queue::Published;
use crate::store::{DeadLetter, Ingested, OffsetMove, Stretch};

const LOG: &str = "{\"delay_ms\": 5,\r\n \"target\": {\"type\": \"log\"}}";

/// A node whose queue takes everything, with these records as its dead letters 1, 2, ….
fn buried(records: &[&[u8]]) -> (ApiState, TempDir) {
    let due = Due { id: TaskId(Uuid::nil()), due_at: Timestamp::from_micros(0), priority: 0, misfire: Misfire::Fire };
    let (api, folder) = fake::api(Ok(Published::Committed(vec![Ingested::Stored(due)])));
    let letter = |(n, record): (usize, &&[u8])| DeadLetter {
        origin: format!("t[0]@{n}"),
        reason: "no <b>JSON\u{202e}".to_owned(),
        record: record.to_vec(),
    };
    let offset = OffsetMove { topic_id: "t".to_owned(), partition: 0, from: None, to: 99 };
    let letters = records.iter().enumerate().map(letter).collect();
    api.store.ingest_from(&Stretch { offset, tasks: vec![], records: vec![], letters }).unwrap().unwrap();
    (api, folder)
}

fn form(record: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("record", record).finish()
}

fn is_replayed(api: &ApiState, id: i64) -> bool {
    api.store.buried_record(id).unwrap().unwrap().0.replayed_at.is_some()
}

#[actix_web::test]
async fn pages_show_records_as_text() {
    let (api, _folder) = buried(&[b"<script>\xe2\x80\xae", &[0xff, 0]]);
    let list = get(&api, "/dead-letters").await.html;
    let page = get(&api, "/dead-letters/1").await.html;
    for html in [&list, &page] {
        assert!(html.contains("no &lt;b&gt;JSON‹U+202E›") && !html.contains("<script>"), "{html}");
        assert!(!html.contains('\u{202e}'), "{html}");
    }
    assert!(page.contains("&lt;script&gt;\\u202e</textarea>"), "{page}");
    assert!(get(&api, "/dead-letters/2").await.html.contains("/wA=</pre>"));
    for (path, status) in [("/dead-letters/3", 404), ("/dead-letters/x", 400), ("/dead-letters?cursor=x", 400)] {
        let got = get(&api, path).await;
        assert_eq!(got.status.as_u16(), status, "{path}");
        assert!(got.html.contains("role=\"alert\"") && got.html.contains("href=\"/dead-letters\""), "{}", got.html);
    }
}

#[actix_web::test]
async fn a_record_that_nobody_has_edited_is_submitted_as_it_came() {
    let (api, _folder) = buried(&[LOG.as_bytes()]);
    let got = post(&api, "/dead-letters/1/replay", &form(LOG)).await;
    let task = TaskId::from_key("dead letter t[0]@0");
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.html);
    assert_eq!(got.location, "/dead-letters/1");
    assert!(is_replayed(&api, 1));
    let page = next(&api, &got).await.html;
    assert!(page.contains(&format!("href=\"/tasks/{task}\"")) && !page.contains("<form"), "{page}");
    let later = get(&api, &got.location).await.html;
    assert!(!later.contains("role=\"status\""), "it is said once: {later}");
    let got = post(&api, "/dead-letters/1/replay", &form(LOG)).await;
    assert_eq!(got.status, StatusCode::CONFLICT, "only once");
    assert!(got.html.contains("was submitted again before"), "{}", got.html);
}

#[actix_web::test]
async fn what_is_refused_stays_in_its_form_with_the_reason_above() {
    let (api, _folder) = buried(&[b"{"]);
    for (record, place) in [
        ("{\"delay_ms\": 1, \"target\": {\"type\": \"fax\"}}", "/target/type is"),
        ("{\"delay_ms\": 1}", "/target is missing"),
        ("", "the document is empty"),
        ("{\"delay_ms\": 1, \"target\": {\"type\": \"log\"}} {}", "the document is"),
    ] {
        let got = post(&api, "/dead-letters/1/replay", &form(record)).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{record}");
        let (alert, text) = (got.html.find(place).unwrap(), got.html.find("<textarea").unwrap());
        assert!(alert < text, "{record}: {}", got.html);
        let kept = record.replace('"', "&quot;");
        assert!(got.html.contains(&format!("\n{kept}</textarea>")), "{record}: {}", got.html);
        assert!(!is_replayed(&api, 1), "{record}");
    }
    let mended = post(&api, "/dead-letters/1/replay", &form(LOG)).await;
    assert_eq!(mended.status, StatusCode::SEE_OTHER, "{}", mended.html);
    assert!(is_replayed(&api, 1));
}
