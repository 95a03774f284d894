//! What callers get when the queue does not take what they send.

use std::net::TcpListener;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use actix_web::middleware::from_fn;
use actix_web::{App, test};
use serde_json::{Value, json};

use super::{ApiState, Shared, browser, compress, fake, problem, request_id, routes};
use crate::queue::{PublishError, Published};

/// The answer to a `POST`, and whether it says when to come back.
async fn post(state: &ApiState, path: &str, body: &Value) -> (StatusCode, Value, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shared = Shared::new(state.clone(), &listener).unwrap();
    let app = App::new().wrap(from_fn(browser::guard)).wrap(from_fn(problem::in_words));
    let app = app.wrap(from_fn(compress::answers)).wrap(from_fn(request_id::name));
    let app = test::init_service(app.configure(|config| routes(config, shared))).await;
    let request = test::TestRequest::post()
        .uri(path)
        .insert_header((HOST, "localhost"))
        .insert_header((CONTENT_TYPE, "application/json"))
        .set_payload(body.to_string())
        .to_request();
    let answer = test::call_service(&app, request).await;
    let (status, later) = (answer.status(), answer.headers().contains_key(RETRY_AFTER));
    let body = test::read_body(answer).await;
    (status, serde_json::from_slice(&body).unwrap(), later)
}

fn with_id(id: &str) -> Value {
    json!({ "id": id, "delay_ms": 1, "target": { "type": "log" } })
}

const ID: &str = "0199c0de-0000-7000-8000-000000000001";

#[actix_web::test]
async fn a_full_or_closed_queue_is_503_with_retry_after() {
    for cause in [PublishError::Full, PublishError::Closed] {
        let (state, _folder) = fake::api(Err(cause));
        for (path, body) in [("/v1/tasks", with_id(ID)), ("/v1/tasks/batch", json!([with_id(ID), with_id(ID)]))] {
            let (status, problem, later) = post(&state, path, &body).await;
            assert_eq!((status, later), (StatusCode::SERVICE_UNAVAILABLE, true), "{problem}");
            assert_eq!(problem["type"], "urn:task-scheduler:problem:unavailable");
        }
        assert_eq!(state.metrics.submissions.with_label_values(&["refused"]).get(), 3);
    }
}

#[actix_web::test]
async fn what_was_not_acknowledged_names_the_id_to_repeat_with() {
    let (state, _folder) = fake::api(Err(PublishError::Unacknowledged("the commit took too long".to_owned())));
    let (status, problem, later) = post(&state, "/v1/tasks", &with_id(ID)).await;
    assert_eq!((status, later, &problem["id"]), (StatusCode::SERVICE_UNAVAILABLE, true, &json!(ID)));
    // Also one that the node has made.
    let (_, problem, _) = post(&state, "/v1/tasks", &json!({ "delay_ms": 1, "target": { "type": "log" } })).await;
    assert!(problem["id"].is_string(), "{problem}");
    // In a batch the ids count: each is named.
    let (status, batch, later) = post(&state, "/v1/tasks/batch", &json!([with_id(ID)])).await;
    assert_eq!((status, later), (StatusCode::SERVICE_UNAVAILABLE, true), "{batch}");
    assert_eq!(batch["type"], "urn:task-scheduler:problem:unacknowledged");
    assert_eq!(batch["results"][0]["problem"]["id"], json!(ID));
    // One that is refused for good is not to be repeated.
    let (status, batch, _) = post(&state, "/v1/tasks/batch", &json!([with_id(ID), {}])).await;
    assert_eq!((status, &batch["results"][0]["problem"]["id"]), (StatusCode::OK, &json!(ID)));
}

#[actix_web::test]
async fn what_is_safe_in_the_queue_is_accepted() {
    let (state, _folder) = fake::api(Ok(Published::Queued));
    let (status, answer, _) = post(&state, "/v1/tasks", &with_id(ID)).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "id": ID, "state": "accepted" })));
    let (status, answer, _) = post(&state, "/v1/tasks/batch", &json!([with_id(ID)])).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "results": [{ "id": ID, "status": 202 }] })));
}

#[actix_web::test]
async fn what_the_queue_has_no_room_for_at_all_is_413() {
    let (state, _folder) = fake::api(Err(PublishError::TooLarge));
    let (status, problem, later) = post(&state, "/v1/tasks", &with_id(ID)).await;
    assert_eq!((status, later), (StatusCode::PAYLOAD_TOO_LARGE, false), "{problem}");
    assert_eq!((&problem["type"], &problem["id"]), (&json!("urn:task-scheduler:problem:too-large"), &json!(ID)));
    // In a batch each is told its own end.
    let lost = PublishError::Unacknowledged("lost".to_owned());
    let (state, _folder) = fake::api(Ok(Published::Each(vec![Err(PublishError::TooLarge), Ok(()), Err(lost)])));
    let (status, batch, _) = post(&state, "/v1/tasks/batch", &json!([with_id(ID), with_id(ID), with_id(ID)])).await;
    let results = &batch["results"];
    assert_eq!((status, &results[0]["problem"]["status"]), (StatusCode::OK, &json!(413)), "{batch}");
    assert_eq!((&results[1]["status"], &results[2]["problem"]["status"]), (&json!(202), &json!(503)), "{batch}");
}

#[actix_web::test]
async fn a_stopping_node_takes_nothing() {
    let (state, _folder) = fake::api(Ok(Published::Queued));
    state.status.stop();
    for (path, body) in [("/v1/tasks", with_id(ID)), ("/v1/tasks/batch", json!([with_id(ID)]))] {
        let (status, problem, later) = post(&state, path, &body).await;
        assert_eq!((status, later), (StatusCode::SERVICE_UNAVAILABLE, true), "{problem}");
    }
}
