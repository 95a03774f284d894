//! Forms of this site whose token is not the browser's: asked for once more, and done by the second confirmation alone.

use actix_web::http::StatusCode;

use super::cluster::forms_test::{get, post_by};
use super::tasks::fixture::{api, stored};
use crate::api::ApiState;
use crate::domain::State;
use crate::store::{DeadLetter, OffsetMove, Stretch};

/// The token of the form of a page.
fn token(html: &str) -> &str {
    html.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap()
}

/// Sends the form of a page that was opened before the browser got another token. It is asked for once more, at the same
/// address, with the browser's own token and what was filled in; that form is sent then.
async fn confirmed_twice(api: &ApiState, (page, path): (&str, &str), (fields, kept): (&str, &str)) -> StatusCode {
    let (first, other) = (get(api, page).await, get(api, page).await);
    let cookie = &other.cookie;
    assert_ne!(token(&first.html), token(&other.html));
    let again = post_by(api, path, cookie, &format!("token={}&{fields}", token(&first.html))).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "{path}");
    assert!(again.html.contains("too old") && again.html.contains("role=\"alert\""), "{path}: {}", again.html);
    assert_eq!(token(&again.html), token(&other.html), "{path}");
    assert!(again.html.contains(kept), "{kept} is lost: {}", again.html);
    assert_eq!(again.cookie, "", "{path}: the browser has one");
    let without = post_by(api, path, "", &format!("token={}&{fields}", token(&first.html))).await;
    assert_eq!((without.status, without.cookie.is_empty()), (StatusCode::FORBIDDEN, false), "{path} without a cookie");
    let got = post_by(api, path, cookie, &format!("token={}&{fields}", token(&again.html))).await;
    got.status
}

#[actix_web::test]
async fn a_task_is_cancelled_by_the_second_confirmation() {
    let (api, _folder) = api();
    let id = stored(&api, r#""labels": {"a": "b"}"#);
    let path = format!("/tasks/{id}/cancel");
    let first = get(&api, &path).await;
    post_by(&api, &path, &get(&api, &path).await.cookie, &format!("token={}", token(&first.html))).await;
    assert_eq!(api.store.find(id).unwrap().unwrap().state, State::Scheduled, "nothing is done by the first");
    assert_eq!(confirmed_twice(&api, (&path, &path), ("", "called off")).await, StatusCode::SEE_OTHER);
    assert_eq!(api.store.find(id).unwrap().unwrap().state, State::Cancelled);
}

#[actix_web::test]
async fn many_are_cancelled_by_the_second_confirmation() {
    let (api, _folder) = api();
    let id = stored(&api, r#""labels": {"a": "b"}"#);
    let path = "/tasks/all/cancel?label=a%3Db";
    let first = get(&api, path).await;
    post_by(&api, path, &get(&api, path).await.cookie, &format!("token={}", token(&first.html))).await;
    assert_eq!(api.store.find(id).unwrap().unwrap().state, State::Scheduled, "nothing is done by the first");
    assert_eq!(confirmed_twice(&api, (path, path), ("", "1 task")).await, StatusCode::OK);
    assert_eq!(api.store.find(id).unwrap().unwrap().state, State::Cancelled);
}

#[actix_web::test]
async fn a_pause_begins_and_ends_by_the_second_confirmation() {
    let (api, _folder) = api();
    let first = get(&api, "/cluster").await;
    let form = format!("token={}&everything=yes", token(&first.html));
    post_by(&api, "/cluster/pauses", &get(&api, "/cluster").await.cookie, &form).await;
    assert!(api.store.pauses().unwrap().all.is_empty(), "nothing is done by the first");
    let filled = ("label=a%3Db&reason=night", "value=\"night\"");
    assert_eq!(confirmed_twice(&api, ("/cluster", "/cluster/pauses"), filled).await, StatusCode::SEE_OTHER);
    let pause = api.store.pauses().unwrap().all.remove(0);
    assert_eq!(pause.label, Some(("a".to_owned(), "b".to_owned())));
    let path = format!("/cluster/pauses/{}/resume", pause.id);
    let first = get(&api, &path).await;
    let form = format!("token={}&how=at-a-pace&per_second=7", token(&first.html));
    post_by(&api, &path, &get(&api, &path).await.cookie, &form).await;
    assert_eq!(api.store.pauses().unwrap().all[0].resumed_at, None, "nothing is done by the first");
    let filled = ("how=at-a-pace&per_second=77", "value=\"77\"");
    assert_eq!(confirmed_twice(&api, (&path, &path), filled).await, StatusCode::SEE_OTHER);
    assert_eq!(api.store.pauses().unwrap().all[0].per_second, Some(77));
}

#[actix_web::test]
async fn a_dead_letter_that_was_edited_stays_in_its_form() {
    let (api, _folder) = api();
    let letter = DeadLetter { origin: "t[0]@0".to_owned(), reason: "no".to_owned(), record: b"{".to_vec() };
    let offset = OffsetMove { topic_id: "t".to_owned(), partition: 0, from: None, to: 1 };
    let stretch = Stretch { offset, tasks: vec![], records: vec![], letters: vec![letter] };
    api.store.ingest_from(&stretch).unwrap().unwrap();
    let places = ("/dead-letters/1", "/dead-letters/1/replay");
    let edited = ("record=edited", "\nedited</textarea>");
    assert_eq!(confirmed_twice(&api, places, edited).await, StatusCode::BAD_REQUEST, "it is no task");
    assert_eq!(api.store.buried_record(1).unwrap().unwrap().0.replayed_at, None);
}

#[actix_web::test]
async fn where_a_form_is_sent_to_a_page_can_be_loaded() {
    let (api, _folder) = api();
    let cancel = format!("/tasks/{}/cancel", stored(&api, r#""labels": {"a": "b"}"#));
    for (path, status, location) in [
        ("/cluster/pauses", 303, "/cluster"),
        ("/dead-letters/7/replay", 303, "/dead-letters/7"),
        ("/dead-letters/x/replay", 400, ""),
        ("/cluster/pauses/7/resume", 404, ""),
        (cancel.as_str(), 200, ""),
        ("/tasks/all/cancel?label=a%3Db", 200, ""),
    ] {
        let got = get(&api, path).await;
        assert_eq!((got.status.as_u16(), got.location.as_str()), (status, location), "{path}");
    }
}
