//! The dashboard as people meet it: a real browser on a cluster of three nodes. What it did is judged by REST, and by what
//! targets received.

mod deeds;
mod forged;
mod hostile;
mod judged;
mod keyboard;
mod letters;
mod live;
mod many;
mod pages;
mod pauses;
mod screenshots;

use std::sync::MutexGuard;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::alone::alone;
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::{Answer, Browser, Call, Receiver, http};

const SOON: Duration = Duration::from_secs(30);
const NODES: usize = 3;
const HOUR_MS: u64 = 3_600_000;
/// What a form of a page is sent by.
const SUBMIT: &str = "form[method=post] button[type=submit]";
/// Where a page says that something was done.
const DONE: &str = "main [role=status]";
/// Where a page says why it was not.
const REFUSED: &str = "main [role=alert]";

/// A browser, and nothing beside it: it would disturb what is measured, and be disturbed.
type Seat = (Browser, MutexGuard<'static, ()>);

/// `None` where there is no browser.
fn seat() -> Option<Seat> {
    let alone = alone();
    Some((Browser::open()?, alone))
}

struct Field {
    browser: Browser,
    cluster: Cluster,
    receiver: Receiver,
    _alone: MutexGuard<'static, ()>,
}

/// As its path says.
fn answer(call: &Call, before: usize) -> Answer {
    match (call.path.as_str(), before) {
        ("/fails", _) | ("/fails-once", 0) => Answer::status(400),
        ("/silent", _) | ("/silent-once", 0) => Answer::status(0),
        ("/slow", _) => Answer { after: Duration::from_millis(300), ..Answer::status(204) },
        _ => Answer::status(204),
    }
}

impl Field {
    /// `None` where a browser or a server is not to be had.
    fn start() -> Option<Self> {
        let seat = seat()?;
        Some(Self::of(seat, Cluster::start(NODES)?))
    }

    fn of((browser, alone): Seat, cluster: Cluster) -> Self {
        Self { browser, cluster, receiver: Receiver::answering(answer), _alone: alone }
    }

    /// The URL of a path on a node.
    fn at(&self, node: usize, place: &str) -> String {
        self.cluster.nodes[node % NODES].url(place)
    }

    /// Opens a page of node 0.
    fn open(&self, place: &str) {
        self.browser.goto(&self.at(0, place));
    }

    /// What REST answers on another node than the browser's.
    fn get(&self, path: &str) -> Value {
        let answer = http::get(&self.at(1, path));
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    fn task(&self, id: &str) -> Value {
        self.get(&format!("/v1/tasks/{id}"))
    }

    fn count(&self, state: &str) -> u64 {
        self.get("/v1/stats")["tasks"][state].as_u64().unwrap()
    }

    /// Submits a task with this label that calls this path; its id.
    fn submit(&self, path: &str, label: &str, delay_ms: u64) -> String {
        let target = json!({"type": "http", "url": self.receiver.url(path)});
        self.send(&json!({"delay_ms": delay_ms, "target": target, "labels": {"of": label}, "payload": {"order": 42}}))
    }

    fn send(&self, document: &Value) -> String {
        let answer = http::post_json(&self.at(2, "/v1/tasks"), document);
        assert!(matches!(answer.status, 201 | 202), "{}", answer.json());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the task stands there.
    fn until_state(&self, id: &str, state: &str) {
        until(&format!("{id} is {state}"), SOON, || self.task(id)["state"] == state);
    }

    /// The same of a task that is submitted now, and due at once.
    fn ended(&self, path: &str, label: &str, state: &str) -> String {
        let id = self.submit(path, label, 0);
        self.until_state(&id, state);
        id
    }

    /// How often the task was received.
    fn calls(&self, id: &str) -> usize {
        self.receiver.calls().iter().filter(|call| call.header("x-task-id") == Some(id)).count()
    }

    /// Sends the form of the page, and waits for the page behind it, which says that it is done: so.
    fn confirm(&self, behind: &str) -> String {
        self.browser.click(SUBMIT);
        // The form may stand on the very page that is behind it.
        let is_told = || self.browser.place() == behind && self.browser.has(DONE);
        until(&format!("{behind} says that it is done"), SOON, is_told);
        assert_eq!(self.browser.status(), 200);
        judged::quiet(&self.browser);
        self.browser.text(DONE).unwrap()
    }
}
