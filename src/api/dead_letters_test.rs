//! What callers get of dead letters, with a queue that answers as it is told.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::http::header::{CONTENT_TYPE, HOST, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::{App, test};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::{ApiState, Shared, browser, fake, problem, routes};
use crate::domain::{Due, Misfire, TaskId, Timestamp};
use crate::queue::{Polled, PublishError, Published, Queue, Submission};
use crate::store::{DeadLetter, Ingested, OffsetMove, Store, Stretch};

const LOG: &str = r#"{"delay_ms": 5, "target": {"type": "log"}}"#;

/// An API with these records as its dead letters 1, 2, ….
fn buried(answer: Result<Published, PublishError>, records: &[&[u8]]) -> (ApiState, TempDir) {
    let (state, folder) = fake::api(answer);
    let letter = |(n, record): (usize, &&[u8])| DeadLetter {
        origin: format!("t[0]@{n}"),
        reason: "no JSON".to_owned(),
        record: record.to_vec(),
    };
    let offset = OffsetMove { topic_id: "t".to_owned(), partition: 0, from: None, to: 99 };
    let letters = records.iter().enumerate().map(letter).collect();
    state.store.ingest_from(&Stretch { offset, tasks: vec![], records: vec![], letters }).unwrap().unwrap();
    (state, folder)
}

fn stored() -> Published {
    let due = Due { id: TaskId(Uuid::nil()), due_at: Timestamp::from_micros(0), priority: 0, misfire: Misfire::Fire };
    Published::Committed(vec![Ingested::Stored(due)])
}

/// Status, body and `Location`.
async fn ask(state: &ApiState, method: Method, path: &str, body: &[u8]) -> (StatusCode, Value, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shared = Shared::new(state.clone(), &listener).unwrap();
    let app = App::new().wrap(from_fn(browser::guard)).wrap(from_fn(problem::in_words));
    let app = test::init_service(app.configure(|config| routes(config, shared))).await;
    let request = test::TestRequest::default()
        .method(method)
        .uri(path)
        .insert_header((HOST, "localhost"))
        .insert_header((CONTENT_TYPE, "application/json"))
        .set_payload(body.to_vec())
        .to_request();
    let answer = test::call_service(&app, request).await;
    let location = answer.headers().get(LOCATION).map_or("", |place| place.to_str().unwrap()).to_owned();
    let (status, body) = (answer.status(), test::read_body(answer).await);
    (status, serde_json::from_slice(&body).unwrap(), location)
}

async fn get(state: &ApiState, path: &str) -> (StatusCode, Value) {
    let (status, body, _) = ask(state, Method::GET, path, b"").await;
    (status, body)
}

async fn replay(state: &ApiState, id: u32, body: &str) -> (StatusCode, Value, String) {
    ask(state, Method::POST, &format!("/v1/dead-letters/{id}/replay"), body.as_bytes()).await
}

async fn is_replayed(state: &ApiState, id: u32) -> bool {
    let (_, letter) = get(state, &format!("/v1/dead-letters/{id}")).await;
    letter["replayed_at"].is_string()
}

#[actix_web::test]
async fn a_page_goes_on_where_its_cursor_says() {
    let (state, _folder) = buried(Ok(stored()), &[b"a", b"b", b"c"]);
    let (status, first) = get(&state, "/v1/dead-letters?limit=2").await;
    assert_eq!(status, StatusCode::OK);
    let ids = |page: &Value| page["dead_letters"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    let (shown, cursor): (Vec<Value>, _) = (ids(&first), first["next_cursor"].as_str().unwrap());
    assert_eq!(shown, [json!(3), json!(2)]);
    let (_, last) = get(&state, &format!("/v1/dead-letters?limit=2&cursor={cursor}")).await;
    let shown: Vec<Value> = ids(&last);
    assert_eq!((shown, &last["next_cursor"]), (vec![json!(1)], &Value::Null));
    let mut letter = last["dead_letters"][0].clone();
    assert!(letter["buried_at"].take().is_string());
    assert_eq!(
        letter,
        json!({"id": 1, "buried_at": null, "origin": "t[0]@0", "reason": "no JSON", "bytes": 1, "published": false,
            "replayed_at": null})
    );
    for bad in ["limit=0", "limit=1001", "cursor=x", "page=1", "limit=1&limit=1"] {
        let (status, problem) = get(&state, &format!("/v1/dead-letters?{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(problem["parameter"], bad.split('=').next().unwrap());
    }
}

#[actix_web::test]
async fn a_record_is_shown_as_text_or_in_base64() {
    let (state, _folder) = buried(Ok(stored()), &["{\"ä\": ".as_bytes(), &[0xff, 0, 0xfe]]);
    let (_, text) = get(&state, "/v1/dead-letters/1").await;
    assert_eq!((&text["record"], &text["bytes"]), (&json!("{\"ä\": "), &json!(7)));
    let (_, bytes) = get(&state, "/v1/dead-letters/2").await;
    assert_eq!(bytes["record"], json!({"base64": "/wD+"}));
    for (path, says) in
        [("/v1/dead-letters/3", (404, "no-such-dead-letter")), ("/v1/dead-letters/x", (400, "invalid-parameter"))]
    {
        let (status, problem) = get(&state, path).await;
        assert_eq!(status.as_u16(), says.0);
        assert_eq!(problem["type"], format!("urn:task-scheduler:problem:{}", says.1));
    }
}

#[actix_web::test]
async fn a_replay_is_answered_like_a_submission_and_taken_once() {
    let (state, _folder) = buried(Ok(stored()), &[LOG.as_bytes(), b"{"]);
    assert_eq!(get(&state, "/v1/stats").await.1["dead_letters"], 2);
    let (status, body, location) = replay(&state, 1, "").await;
    assert_eq!((status, &body["state"]), (StatusCode::CREATED, &json!("scheduled")), "{body}");
    let id = body["id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/tasks/{id}"));
    assert_eq!(TaskId::from_key("dead letter t[0]@0").to_string(), id, "the same however often it is sent");
    assert!(is_replayed(&state, 1).await);
    let (status, problem, _) = replay(&state, 1, "{}").await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::CONFLICT, &json!("urn:task-scheduler:problem:replayed-already"))
    );
    // Another record instead; it names its id itself.
    let own = Uuid::now_v7();
    let given = format!(r#"{{"record": {{"id": "{own}", "delay_ms": 5, "target": {{"type": "log"}}}}}}"#);
    let (status, body, _) = replay(&state, 2, &given).await;
    assert_eq!((status, &body["id"]), (StatusCode::CREATED, &json!(own)));
    assert_eq!(get(&state, "/v1/stats").await.1["dead_letters"], 0);
    assert_eq!(replay(&state, 3, "").await.0, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn what_is_refused_leaves_the_letter_as_it_was() {
    let large = vec![b' '; 1_048_577];
    let no_target = br#"{"delay_ms": 1}"#;
    let (state, _folder) = buried(Ok(stored()), &[b"{\"delay_ms\"", &[0xff, 0], &large, no_target]);
    for (id, body, status, place) in [
        (1, "", 400, ""),
        (2, "{}", 400, ""),
        (3, "", 413, ""),
        (4, "", 400, "/target"),
        (4, r#"{"record": {"delay_ms": 1, "target": {"type": "fax"}}}"#, 400, "/record/target/type"),
        (4, r#"{"record": "text"}"#, 400, "/record"),
        (4, r#"{"record": null}"#, 400, "/record"),
        (4, r#"{"tasks": []}"#, 400, ""),
        (4, "[", 400, ""),
    ] {
        let (answered, problem, _) = replay(&state, id, body).await;
        assert_eq!((answered.as_u16(), &problem["pointer"]), (status, &json!(place)), "{id} {body}: {problem}");
        assert!(problem["allowed"].is_string() && !is_replayed(&state, id).await, "{id} {body}");
    }
    let conflicts = [Ok(Published::Committed(vec![Ingested::Conflict])), Err(PublishError::Full)];
    for (answer, status) in conflicts.into_iter().zip([StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE]) {
        let (state, _folder) = buried(answer, &[LOG.as_bytes()]);
        assert_eq!(replay(&state, 1, "").await.0, status);
        assert!(!is_replayed(&state, 1).await);
        assert_eq!(get(&state, "/v1/stats").await.1["dead_letters"], 1);
    }
}

/// While it takes a submission, another caller is quicker with the same dead letter.
struct Overtaken(Arc<dyn Store>);

impl Queue for Overtaken {
    fn publish(&self, _batch: Vec<Submission>) -> BoxFuture<'_, Result<Published, PublishError>> {
        assert!(self.0.mark_replayed(1).unwrap());
        std::future::ready(Ok(stored())).boxed()
    }

    fn poll(&self, _limit: usize) -> BoxFuture<'_, Option<Polled>> {
        std::future::ready(None).boxed()
    }

    fn close(&self) {}

    fn depth(&self) -> usize {
        0
    }
}

#[actix_web::test]
async fn a_replay_that_was_overtaken_says_what_became_of_it() {
    let (mut state, _folder) = buried(Ok(stored()), &[LOG.as_bytes()]);
    state.queue = Arc::new(Overtaken(Arc::clone(&state.store)));
    let (status, body, location) = replay(&state, 1, "").await;
    let id = TaskId::from_key("dead letter t[0]@0").to_string();
    assert_eq!((status, &body["id"]), (StatusCode::CREATED, &json!(id)), "its task is stored: {body}");
    assert_eq!(location, format!("/v1/tasks/{id}"));
    assert_eq!(replay(&state, 1, "").await.0, StatusCode::CONFLICT, "from then on");
}
