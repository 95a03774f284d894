//! Pages that stay open: what changes shows without a reload.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Field, HOUR_MS, NODES, SOON, judged, seat};
use crate::harness::cluster::Cluster;
use crate::harness::http;
use crate::harness::node::until;
use crate::services::postgres::own_server;

/// Longest time until another master is seen to be there.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
const SCHEDULED: &str = "#tasks-by-state li:has(a[href='/tasks?state=scheduled']) strong";

impl Field {
    /// Opens a page that is never loaded again from here on.
    fn keep_open(&self, node: usize, place: &str) {
        self.browser.goto(&self.at(node, place));
        judged::until_live(&self.browser);
        self.browser.run("window.loaded = 'once'", &[]);
    }

    /// It is the page that was opened.
    fn is_still_open(&self) -> bool {
        self.browser.run("return window.loaded", &[]) == "once"
    }

    /// Waits until the text of an element is as it is waited for.
    fn until_text(&self, css: &str, what: &str, is: impl Fn(&str) -> bool) {
        let shown = || self.browser.text(css).unwrap_or_default();
        until(&format!("{what} in {css}"), SOON, || is(&shown()));
        assert!(self.is_still_open(), "the page was loaded anew");
    }
}

#[test]
fn another_master_is_seen_within_two_seconds() {
    let Some(mut field) = Field::start() else { return };
    let master = field.cluster.master(0).unwrap();
    let (at, old) = ((master + 1) % NODES, format!("node-{master}"));
    field.keep_open(at, "/");
    field.until_text("#master-name", "the master", |name| name == old);
    field.cluster.nodes[master].kill();
    let killed = Instant::now();
    field.until_text("#master-name", "another master", |name| name.starts_with("node-") && name != old);
    let took = killed.elapsed();
    println!("a master that was killed was seen to be replaced after {took:.2?}");
    assert!(took <= SEEN_WITHIN, "{took:?}");
    let seen = field.browser.text("#master-name").unwrap();
    assert_eq!(field.cluster.master(at).map(|node| format!("node-{node}")), Some(seen));
    judged::quiet(&field.browser);
}

#[test]
fn counts_pauses_and_actors_change_on_open_pages() {
    let Some(field) = Field::start() else { return };
    field.keep_open(0, "/");
    field.until_text(SCHEDULED, "none", |count| count == "0");
    for n in 1..=3_u64 {
        field.submit("/hook", "live", HOUR_MS);
        field.until_text(SCHEDULED, "one more", |count| count == n.to_string());
    }
    judged::quiet(&field.browser);

    field.keep_open(1, "/cluster");
    assert!(!field.browser.text("main").unwrap().contains("of=live"));
    let pause = http::post_json(&field.at(2, "/v1/pauses"), &json!({"label": "of=live"}));
    assert_eq!(pause.status, 201);
    field.until_text("main", "the pause", |text| text.contains("of=live"));
    judged::quiet(&field.browser);

    field.keep_open(2, "/actors");
    let before = field.browser.text("main").unwrap();
    field.cluster.submit(1, &field.receiver.url("/hook"), 100, (Duration::ZERO, Duration::ZERO));
    field.until_text("main", "other figures", |text| text != before);
    judged::quiet(&field.browser);
}

#[test]
fn a_node_that_dies_is_seen_and_one_that_is_asked_itself_says_so() {
    let Some(mut field) = Field::start() else { return };
    let dead = (field.cluster.master(0).unwrap() + 1) % NODES;
    field.keep_open((dead + 1) % NODES, "/cluster");
    assert!(!field.browser.text("#nodes").unwrap().contains("dead"));
    field.cluster.nodes[dead].kill();
    field.until_text("#nodes", "a dead node", |text| text.contains("dead"));
    judged::quiet(&field.browser);
    // Nobody is left to tell anything more.
    field.cluster.nodes[(dead + 1) % NODES].kill();
    field.until_text("#stream-state", "it is not live", |text| text.starts_with("Not live"));
}

#[test]
fn a_node_that_stops_waits_for_no_open_page() {
    let Some(mut field) = Field::start() else { return };
    field.keep_open(0, "/");
    field.cluster.nodes[0].signal("TERM");
    let began = Instant::now();
    assert!(field.cluster.nodes[0].wait().success());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    field.until_text("#stream-state", "it is not live", |text| text.starts_with("Not live"));
}

#[test]
fn a_page_outlives_an_outage_of_the_database_and_says_that_it_is_old() {
    let (Some(seat), Some(server)) = (seat(), own_server(&[])) else { return };
    let field = Field::of(seat, Cluster::on(&server, NODES));
    field.keep_open(0, "/");
    field.until_text(SCHEDULED, "none", |count| count == "0");
    server.kill();
    field.until_text("#stream-state", "it is not live", |text| text.starts_with("Not live"));
    field.until_text(SCHEDULED, "what was known", |count| count == "0");
    server.restart();
    field.until_text("#stream-state", "it is live again", |text| text == "Live");
    until("the nodes take tasks again", SOON, || http::get(&field.at(2, "/readyz")).status == 200);
    field.submit("/hook", "live", HOUR_MS);
    field.until_text(SCHEDULED, "the first", |count| count == "1");
}

#[test]
fn what_somebody_works_in_is_not_taken_away() {
    let Some(field) = Field::start() else { return };
    let id = field.submit("/hook", "live", HOUR_MS);
    field.keep_open(0, "/");
    field.until_text(SCHEDULED, "the first", |count| count == "1");
    let link = "#tasks-by-state a[href='/tasks?state=scheduled']";
    field.browser.run("document.querySelector(arguments[0]).focus()", &[link.into()]);
    let rates = field.browser.text("#rates");
    field.submit("/hook", "live", HOUR_MS);
    // Another section, which is sent with it, tells when it was.
    field.cluster.submit(1, &field.receiver.url("/hook"), 50, (Duration::ZERO, Duration::ZERO));
    field.until_text("#rates", "other rates", |text| Some(text) != rates.as_deref());
    assert!(field.browser.is_on(link), "the keyboard is where it was");
    assert_eq!(field.browser.text(SCHEDULED).as_deref(), Some("1"));
    field.browser.run("document.activeElement.blur()", &[]);
    field.until_text(SCHEDULED, "both", |count| count == "2");
    assert_eq!(field.task(&id)["state"], "scheduled");
}
