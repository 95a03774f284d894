//! Forms that no page of this dashboard has made: refused, and nothing is changed. Without a browser, so that whatever can
//! be sent is.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::{HOUR_MS, SOON, pages};
use crate::harness::Receiver;
use crate::harness::cluster::Cluster;
use crate::harness::http::{self, Answer};
use crate::harness::node::until;
use crate::services::postgres::server;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// What a browser holds when it has opened a page.
struct Opened {
    cookie: String,
    token: String,
}

struct Site {
    cluster: Cluster,
    receiver: Receiver,
}

impl Site {
    fn url(&self, path: &str) -> String {
        self.cluster.nodes[0].url(path)
    }

    fn submit(&self, path: &str, label: &str, delay_ms: u64) -> String {
        let target = json!({"type": "http", "url": self.receiver.url(path)});
        let document = json!({"delay_ms": delay_ms, "target": target, "labels": {"of": label}});
        http::post_json(&self.url("/v1/tasks"), &document).json()["id"].as_str().unwrap().to_owned()
    }

    /// Everything that a form could change.
    fn stands(&self) -> Value {
        let get = |path: &str| http::get(&self.url(path)).json();
        json!([get("/v1/tasks?limit=1000"), get("/v1/pauses"), get("/v1/stats")["tasks"], self.receiver.count()])
    }

    fn opened(&self, place: &str) -> Opened {
        let page = http::get(&self.url(place));
        let html = String::from_utf8(page.body.clone()).unwrap();
        assert_eq!(page.status, 200, "{place}: {html}");
        let cookie = page.header("set-cookie").unwrap_or_else(|| panic!("{place} gives no token"));
        assert!(cookie.contains("SameSite=Strict") && cookie.contains("HttpOnly"), "{cookie}");
        let field = html.split("name=\"token\"").nth(1).unwrap_or_else(|| panic!("no token in the form of {place}"));
        let token = field.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        Opened { cookie: cookie.split(';').next().unwrap().to_owned(), token }
    }

    /// Where a browser says that a form of these pages comes from.
    fn origin(&self) -> String {
        self.url("")
    }

    fn send(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)], token: Option<&str>) -> Answer {
        let mut body = Serializer::new(String::new());
        body.extend_pairs(fields);
        if let Some(token) = token {
            body.append_pair("token", token);
        }
        http::request("POST", &self.url(path), &[&[FORM], headers].concat(), body.finish().as_bytes())
    }
}

/// A form: where its page is, where it is sent to, and what is filled in.
struct Case {
    page: String,
    path: String,
    fields: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn sent_to_its_page(path: String, fields: &[(&'static str, &'static str)]) -> Self {
        Self { page: path.clone(), path, fields: fields.to_vec() }
    }
}

/// Every form there is, each for tasks of its own.
fn cases(site: &Site) -> Vec<Case> {
    let mut cases = Vec::new();
    for (deed, hook, delay_ms, state, fields) in [
        ("cancel", "/hook", HOUR_MS, "scheduled", None),
        ("run", "/hook", HOUR_MS, "scheduled", None),
        ("reschedule", "/hook", HOUR_MS, "scheduled", Some(("run_at", "2031-12-24T18:00:00Z"))),
        ("retry", "/fails-once", 0, "failed", None),
        ("resolve", "/silent", 0, "unknown", Some(("state", "failed"))),
    ] {
        let (one, of_all) = (site.submit(hook, deed, delay_ms), site.submit(hook, &format!("all-{deed}"), delay_ms));
        for id in [&one, &of_all] {
            until("it stands so", SOON, || http::get(&site.url(&format!("/v1/tasks/{id}"))).json()["state"] == state);
        }
        let fields: Vec<_> = fields.into_iter().collect();
        cases.push(Case::sent_to_its_page(format!("/tasks/{one}/{deed}"), &fields));
        cases.push(Case::sent_to_its_page(format!("/tasks/all/{deed}?label=of%3Dall-{deed}"), &fields));
    }
    let pause = http::post_json(&site.url("/v1/pauses"), &json!({"label": "of=else"})).json()["id"].clone();
    cases.push(Case::sent_to_its_page(format!("/cluster/pauses/{pause}/resume"), &[("per_second", "10")]));
    let (page, path) = ("/cluster".to_owned(), "/cluster/pauses".to_owned());
    cases.push(Case { page, path: path.clone(), fields: vec![("label", "of=forged")] });
    cases.push(Case { page: "/cluster/pause".to_owned(), path, fields: vec![("everything", "yes")] });
    cases
}

fn site() -> Option<Site> {
    let (cluster, receiver) = (Cluster::on(server()?, 2), Receiver::answering(super::answer));
    Some(Site { cluster, receiver })
}

/// What is wrong with it, its headers and its token.
type Forged<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>);

#[test]
fn a_forged_form_is_refused_and_changes_nothing() {
    let Some(site) = site() else { return };
    let cases = cases(&site);
    let before = site.stands();
    for Case { page, path, fields } in &cases {
        let Opened { cookie, token } = site.opened(page);
        let (origin, other_port) = (site.origin(), site.cluster.nodes[1].url(""));
        let (right, wrong) = (("cookie", cookie.as_str()), "0".repeat(token.len()));
        let (here, by_browser) = (("origin", origin.as_str()), |site: &'static str| ("sec-fetch-site", site));
        let forged: [Forged<'_>; 17] = [
            ("nothing", &[], None),
            ("nothing but the origin", &[here], None),
            ("no token", &[right, here], None),
            ("another token", &[right, here], Some(&wrong)),
            ("another token, by the browser's word", &[right, by_browser("same-origin")], Some(&wrong)),
            ("an empty token", &[right, here], Some("")),
            ("no cookie", &[here], Some(&token)),
            ("an empty cookie and token", &[("cookie", "task-scheduler-token="), here], Some("")),
            ("another site", &[right, ("origin", "http://evil.example")], Some(&token)),
            ("a hidden site", &[right, ("origin", "null")], Some(&token)),
            ("another server of this machine", &[right, ("origin", other_port.as_str())], Some(&token)),
            ("no word of where it comes from", &[right], Some(&token)),
            ("another site by the browser's word", &[right, by_browser("cross-site")], Some(&token)),
            ("another site in spite of its origin", &[right, here, by_browser("cross-site")], Some(&token)),
            ("another server in spite of its origin", &[right, here, by_browser("same-site")], Some(&token)),
            ("no page at all", &[right, by_browser("none")], Some(&token)),
            ("two words", &[right, by_browser("same-origin"), by_browser("cross-site")], Some(&token)),
        ];
        for (what, headers, token) in forged {
            let answer = site.send(path, headers, fields, token);
            let html = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status, 403, "{path} with {what}: {html}");
            assert!(answer.header("location").is_none(), "{path} with {what}");
        }
        let foreign = site.send(path, &[right, here, ("host", "evil.example")], fields, Some(&token));
        assert_eq!(foreign.status, 403, "{path} under another name");
        let text = [right, here, ("content-type", "text/plain")];
        let as_text = http::request("POST", &site.url(path), &text, format!("token={token}").as_bytes());
        assert!(matches!(as_text.status, 403 | 415), "{path} as text: {}", as_text.status);
        assert_eq!(site.stands(), before, "{path}");
    }
}

/// Who does not say where it comes from is told so by a page.
#[test]
fn a_form_from_nowhere_gets_a_page_that_says_why() {
    let Some(site) = site() else { return };
    let Opened { cookie, token } = site.opened("/cluster/pause");
    let answer = site.send("/cluster/pauses", &[("cookie", cookie.as_str())], &[("everything", "yes")], Some(&token));
    let html = String::from_utf8_lossy(&answer.body);
    assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/html; charset=utf-8")));
    assert!(html.contains("role=\"alert\">the header Origin is missing") && !html.contains("<form"), "{html}");
}

/// What is refused above is refused for its token and its origin alone.
#[test]
fn the_same_form_is_taken_from_its_own_page() {
    let Some(site) = site() else { return };
    let tasks =
        |query: &str| http::get(&site.url(&format!("/v1/tasks?{query}"))).json()["tasks"].as_array().unwrap().len();
    for (n, Case { page, path, fields }) in cases(&site).into_iter().enumerate() {
        if path == "/cluster/pauses" {
            until("each was done to one task and to all", SOON, || {
                // Run and tried again with success, and settled.
                tasks("state=succeeded") == 4 && tasks("state=failed") == 2 && tasks("state=cancelled") == 2
            });
        }
        let (opened, origin) = (site.opened(&page), site.origin());
        // Either will do.
        let proof = if n.is_multiple_of(2) { ("origin", origin.as_str()) } else { ("sec-fetch-site", "same-origin") };
        let answer = site.send(&path, &[("cookie", opened.cookie.as_str()), proof], &fields, Some(&opened.token));
        let html = String::from_utf8_lossy(&answer.body);
        assert!(
            matches!(answer.status, 200 | 303) && !html.contains("role=\"alert\""),
            "{path}: {} {html}",
            answer.status
        );
        if answer.status == 303 {
            assert!(!answer.header("location").unwrap().contains('?'), "{path}: what was done is no address's to say");
            let done = answer.header("set-cookie").unwrap();
            assert!(done.starts_with("task-scheduler-done=") && done.contains("; SameSite=Strict"), "{path}: {done}");
        }
    }
    let moved = http::get(&site.url("/v1/tasks?state=scheduled")).json();
    let is_moved = |task: &Value| task["run_at"] == "2031-12-24T18:00:00.000000Z";
    assert!(moved["tasks"].as_array().unwrap().iter().filter(|task| is_moved(task)).count() == 2, "{moved}");
    let pauses = http::get(&site.url("/v1/pauses")).json()["pauses"].take();
    let labels: Vec<&Value> = pauses.as_array().unwrap().iter().filter(|one| one["resumed_at"].is_null()).collect();
    assert_eq!(labels.len(), 2, "a label and everything: {pauses}");
}

#[test]
fn nothing_changes_by_looking() {
    let Some(site) = site() else { return };
    let cases = cases(&site);
    let before = site.stands();
    let places = cases.iter().map(|case| case.page.as_str()).chain(pages::PLACES);
    for place in places {
        for method in ["GET", "HEAD"] {
            assert_eq!(http::request(method, &site.url(place), &[], b"").status, 200, "{method} {place}");
        }
    }
    // Where a form was refused its address stays: whoever loads it anew is led to a page.
    for path in cases.iter().map(|case| case.path.as_str()).chain(["/dead-letters/7/replay"]) {
        for method in ["GET", "HEAD"] {
            let status = http::request(method, &site.url(path), &[], b"").status;
            assert!(matches!(status, 200 | 303), "{method} {path}: {status}");
        }
    }
    assert_eq!(site.stands(), before);
}
