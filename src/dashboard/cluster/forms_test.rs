//! Pausing and resuming by forms, on a database of its own.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, COOKIE, HeaderName, LOCATION, ORIGIN, SET_COOKIE};
use actix_web::{App, test, web};

use crate::api::{ApiState, BodyReader, KnownIds, Turn, fake};
use crate::dashboard::{Dashboard, routes};
use crate::queue::PublishError;

const FORM: (HeaderName, &str) = (CONTENT_TYPE, "application/x-www-form-urlencoded");

/// What a browser gets.
#[derive(Debug)]
pub struct Got {
    /// Its status.
    pub status: StatusCode,
    /// Where it is sent on to.
    pub location: String,
    /// The first cookie that it is given, as `name=value`.
    pub cookie: String,
    /// The page.
    pub html: String,
}

async fn ask(api: &ApiState, request: test::TestRequest) -> Got {
    ask_of(&Dashboard::new(api), request).await
}

/// Of pages that have looked before.
async fn ask_of(dashboard: &Arc<Dashboard>, request: test::TestRequest) -> Got {
    let api = &dashboard.api;
    let app = App::new()
        .app_data(web::Data::new(BodyReader::new(Duration::from_secs(5))))
        .app_data(web::Data::new(KnownIds::new(api.database_clock.clock().clone())))
        .app_data(web::Data::<Turn>::default())
        .configure(|config| routes(config, dashboard));
    let app = test::init_service(app).await;
    let answer = test::call_service(&app, request.to_request()).await;
    let header = |name: HeaderName| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let cookie = header(SET_COOKIE).split(';').next().unwrap().to_owned();
    let (status, location) = (answer.status(), header(LOCATION));
    let html = String::from_utf8(test::read_body(answer).await.to_vec()).unwrap();
    Got { status, location, cookie, html }
}

/// Opens a page.
pub async fn get(api: &ApiState, path: &str) -> Got {
    ask(api, test::TestRequest::get().uri(path)).await
}

/// Goes on to where an answer sends, with the cookie that it gives.
pub async fn next(api: &ApiState, got: &Got) -> Got {
    ask(api, test::TestRequest::get().uri(&got.location).insert_header((COOKIE, got.cookie.as_str()))).await
}

/// Sends a form of a page that was opened before.
pub async fn post(api: &ApiState, path: &str, fields: &str) -> Got {
    let cookie = get(api, "/cluster/pause").await.cookie;
    let (_, token) = cookie.split_once('=').unwrap();
    post_by(api, path, &cookie, &format!("token={token}&{fields}")).await
}

/// Sends a form of this site with this cookie.
pub async fn post_by(api: &ApiState, path: &str, cookie: &str, form: &str) -> Got {
    let request = test::TestRequest::post().uri(path).insert_header((COOKIE, cookie)).insert_header(FORM);
    ask(api, request.insert_header((ORIGIN, "http://localhost:8080")).set_payload(form.to_owned())).await
}

#[actix_web::test]
async fn a_label_is_paused_and_resumed() {
    let (api, _folder) = fake::api(Err(PublishError::Full));
    let got = post(&api, "/cluster/pauses", "label=tenant%3Dacme&reason=%3Cb%3Enight").await;
    assert_eq!((got.status, got.location.as_str()), (StatusCode::SEE_OTHER, "/cluster"), "{}", got.html);
    let paused = api.store.pauses().unwrap().all;
    assert_eq!(paused[0].label, Some(("tenant".to_owned(), "acme".to_owned())));
    let page = next(&api, &got).await.html;
    for part in
        ["role=\"status\">It is paused", "tenant=acme", "&lt;b&gt;night", "There is no master", "name=\"token\""]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let path = format!("/cluster/pauses/{}/resume", paused[0].id);
    let got = post(&api, &path, "how=at-a-pace&per_second=0").await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(got.html.contains("/per_second is 0") && got.html.contains("value=\"0\""), "{}", got.html);
    let got = post(&api, &path, "how=at-a-pace&per_second=200").await;
    assert_eq!((got.status, got.location.as_str()), (StatusCode::SEE_OTHER, "/cluster"), "{}", got.html);
    assert!(next(&api, &got).await.html.contains("role=\"status\">It is resumed"));
    assert_eq!(api.store.pauses().unwrap().all[0].per_second, Some(200));
    assert_eq!(post(&api, "/cluster/pauses/77/resume", "how=at-once").await.status, StatusCode::NOT_FOUND);
    assert_eq!(post(&api, "/cluster/pauses/x/resume", "how=at-once").await.status, StatusCode::BAD_REQUEST);
}

#[actix_web::test]
async fn only_what_was_just_done_is_said() {
    let (api, _folder) = fake::api(Err(PublishError::Full));
    for path in ["/cluster", "/cluster?done=paused"] {
        let page = get(&api, path).await.html;
        assert!(!page.contains("It is paused"), "{path}: {page}");
    }
    let request = test::TestRequest::get().uri("/cluster").insert_header((COOKIE, "task-scheduler-done=%3Cb%3E"));
    let page = ask(&api, request).await.html;
    assert!(!page.contains("It is paused") && !page.contains("<b>"), "{page}");
}

#[actix_web::test]
async fn what_was_just_done_is_on_the_page_that_says_so() {
    let (api, _folder) = fake::api(Err(PublishError::Full));
    let dashboard = Dashboard::new(&api);
    dashboard.live.look().await.unwrap();
    let cookie = get(&api, "/cluster/pause").await.cookie;
    let (_, token) = cookie.split_once('=').unwrap();
    let form = format!("token={token}&label=tenant%3Dzebra&reason=");
    let got = post_by(&api, "/cluster/pauses", &cookie, &form).await;
    let page = test::TestRequest::get().uri(&got.location).insert_header((COOKIE, got.cookie.as_str()));
    let page = ask_of(&dashboard, page).await.html;
    assert!(page.contains("It is paused") && page.contains("tenant=zebra"), "{page}");
}

#[actix_web::test]
async fn everything_is_paused_only_by_the_form_that_says_so() {
    let (api, _folder) = fake::api(Err(PublishError::Full));
    let got = post(&api, "/cluster/pauses", "label=&reason=kept").await;
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
    assert!(got.html.contains("role=\"alert\"") && got.html.contains("value=\"kept\""), "{}", got.html);
    assert!(api.store.pauses().unwrap().all.is_empty());
    let got = post(&api, "/cluster/pauses", "everything=yes&reason=").await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.html);
    let paused = api.store.pauses().unwrap().all;
    assert_eq!((paused.len(), &paused[0].label, &paused[0].reason), (1, &None, &None));
}

#[actix_web::test]
async fn another_sites_form_changes_nothing() {
    let (api, _folder) = fake::api(Err(PublishError::Full));
    let cookie = get(&api, "/cluster/pause").await.cookie;
    let (_, token) = cookie.split_once('=').unwrap();
    let body = format!("everything=yes&reason=theirs&token={token}");
    for site in [None, Some("cross-site"), Some("none")] {
        let mut request = test::TestRequest::post().uri("/cluster/pauses").insert_header(FORM);
        if let Some(site) = site {
            request = request.insert_header(("sec-fetch-site", site));
        }
        let got = ask(&api, request.insert_header((COOKIE, cookie.as_str())).set_payload(body.clone())).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{site:?}");
        assert!(got.html.contains("<h1>") && got.html.contains("role=\"alert\""), "{}", got.html);
        assert!(!got.html.contains("<form") && !got.html.contains("theirs"), "it is not even asked: {}", got.html);
        assert!(api.store.pauses().unwrap().all.is_empty());
    }
}
