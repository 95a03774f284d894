//! What the REST API does for those who use it right.

use std::collections::HashSet;
use std::io::Read as _;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use task_scheduler::clock::Clock;

use crate::harness::{Node, Receiver, http};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PATIENCE: Duration = Duration::from_secs(20);

/// A task that is not due while a test runs.
fn later() -> Value {
    json!({ "delay_ms": 3_600_000, "target": { "type": "log" } })
}

fn now() -> Value {
    json!({ "delay_ms": 0, "target": { "type": "log" } })
}

/// Submits, and gives back the id.
fn submit(node: &Node, document: &Value) -> String {
    let answer = http::post_json(&node.url("/v1/tasks"), document);
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn get(node: &Node, path: &str) -> Value {
    let answer = http::get(&node.url(path));
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

fn task(node: &Node, id: &str) -> Value {
    get(node, &format!("/v1/tasks/{id}"))
}

/// Asks until the answer is as it is waited for.
fn until_there(node: &Node, path: &str, there: impl Fn(&Value) -> bool) -> Value {
    let clock = Clock::new();
    loop {
        let answer = get(node, path);
        if there(&answer) {
            return answer;
        }
        assert!(clock.mono().0 < PATIENCE, "{path} stays {answer}");
        std::thread::yield_now();
    }
}

/// Asks until the task stands there.
fn until(node: &Node, id: &str, state: &str) -> Value {
    until_there(node, &format!("/v1/tasks/{id}"), |task| task["state"] == state)
}

/// All pages of a list.
fn pages(node: &Node, query: &str) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(node, &format!("/v1/tasks?{query}{cursor}"));
        pages.push(page["tasks"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

fn ids(tasks: &[Value]) -> Vec<String> {
    tasks.iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
}

fn is_instant(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2026-12-24T18:00:00.000000Z".len() && text.ends_with('Z')
}

#[test]
fn a_task_is_read_back_as_it_was_submitted() {
    let node = Node::start();
    let document = json!({
        "run_at": "2030-12-24T18:00:00+01:00",
        "target": { "type": "http", "url": "http://example.org/hook?x=1", "method": "PUT", "headers": { "X-Mine": "1" } },
        "payload": { "order": 42, "exact": 1.10 }, "delivery": "at_least_once", "priority": 3, "timeout_ms": 500,
        "retry": { "max_attempts": 2, "initial_ms": 10, "factor": 1.5, "max_ms": 20, "jitter": 0.0 },
        "misfire": { "expire_after_ms": 60_000 }, "labels": { "team": "a" },
    });
    let answer = http::post_json(&node.url("/v1/tasks"), &document);
    assert_eq!(answer.status, 201);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.json(), json!({ "id": id, "state": "scheduled" }));
    assert_eq!(answer.header("location"), Some(format!("/v1/tasks/{id}").as_str()));

    let task = task(&node, &id);
    for name in ["payload", "delivery", "priority", "timeout_ms", "retry", "misfire", "labels"] {
        assert_eq!(task[name], document[name], "{name}");
    }
    assert_eq!(task["run_at"], "2030-12-24T17:00:00.000000Z");
    assert_eq!(task["due_at"], task["run_at"]);
    assert_eq!(task["target"]["headers"], json!({ "x-mine": "1" }));
    assert_eq!((&task["state"], &task["attempt"]), (&json!("scheduled"), &json!(0)));
    assert!(is_instant(&task["accepted_at"]) && is_instant(&task["created_at"]), "{task}");
    assert!(task["accepted_at"].as_str() <= task["created_at"].as_str(), "{task}");
    for name in ["dispatched_at", "started_at", "finished_at", "lateness_ms", "last_error", "node", "epoch"] {
        assert_eq!(task.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!(get(&node, &format!("/v1/tasks/{id}/attempts")), json!({ "attempts": [] }));
}

#[test]
fn a_task_that_has_run_tells_how() {
    let node = Node::start();
    let receiver = Receiver::start();
    let id = submit(
        &node,
        &json!({ "delay_ms": 100, "target": { "type": "http", "url": receiver.url("/hook") }, "payload": { "order": 42 } }),
    );
    let calls = receiver.wait_for(1, PATIENCE);
    assert_eq!(calls[0].body, br#"{"order":42}"#);
    let task = until(&node, &id, "succeeded");
    assert_eq!((&task["attempt"], &task["epoch"], &task["last_error"]), (&json!(1), &json!(1), &Value::Null));
    assert!(task["lateness_ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{task}");
    for name in ["dispatched_at", "started_at", "finished_at"] {
        assert!(is_instant(&task[name]), "{name}: {task}");
    }
    let attempts = get(&node, &format!("/v1/tasks/{id}/attempts"))["attempts"].clone();
    assert_eq!((&attempts[0]["attempt"], &attempts[0]["outcome"]), (&json!(1), &json!("succeeded")), "{attempts}");
    assert_eq!(attempts[0]["node"], task["node"]);
    assert_eq!(attempts.as_array().unwrap().len(), 1);

    let stats = until_there(&node, "/v1/stats", |stats| !stats["lateness_ms"]["p50"].is_null());
    assert_eq!(stats["tasks"]["succeeded"], 1);
    assert!(stats["lateness_ms"]["p50"].as_f64().is_some_and(|ms| ms > 0.0), "{stats}");
    assert!(stats["rates"]["ended_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{stats}");
}

#[test]
fn raw_bytes_come_back_as_base64() {
    let node = Node::start();
    let mut document = later();
    document["payload"] = json!({ "base64": "AP8=" });
    let id = submit(&node, &document);
    assert_eq!(task(&node, &id)["payload"], document["payload"]);
}

#[test]
fn an_idempotency_key_becomes_the_id() {
    let node = Node::start();
    let document = later().to_string();
    let post = |key: &str| {
        http::request("POST", &node.url("/v1/tasks"), &[JSON, ("Idempotency-Key", key)], document.as_bytes()).json()
    };
    let first = post("order-42");
    assert_eq!(first["id"], "ae7882a6-06bf-5462-9b2b-db7bab27e574");
    assert_eq!(post("order-42"), first);
    assert_ne!(post("Bestellung 43 – ü")["id"], first["id"]);
    assert_eq!(get(&node, "/v1/stats")["tasks"]["scheduled"], 2);
}

#[test]
fn a_list_is_paged_newest_first_and_leaves_payloads_out() {
    let node = Node::start();
    let mut batch = Vec::new();
    for n in 0..250 {
        let mut task = later();
        task["labels"] = json!({ "n": n.to_string() });
        task["payload"] = json!({ "n": n });
        batch.push(task);
    }
    let (first, second) = batch.split_at(130);
    for part in [first, second] {
        assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &json!(part)).status, 201);
    }
    for (query, sizes) in [("", vec![100, 100, 50]), ("limit=125", vec![125, 125]), ("limit=1000", vec![250])] {
        let pages = pages(&node, query);
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{query}");
        let tasks = pages.concat();
        assert_eq!(ids(&tasks).into_iter().collect::<HashSet<_>>().len(), 250, "each once");
        let keys: Vec<_> =
            tasks.iter().map(|task| (task["created_at"].as_str().unwrap(), task["id"].as_str().unwrap())).collect();
        assert!(keys.is_sorted_by(|a, b| a > b), "the newest first");
        assert!(tasks.iter().all(|task| task.get("payload").is_none()));
    }
}

#[test]
fn a_list_takes_every_filter() {
    let node = Node::start();
    let labelled = |labels: Value| {
        let mut task = later();
        task["labels"] = labels;
        submit(&node, &task)
    };
    let plain = submit(&node, &later());
    let red = labelled(json!({ "colour": "red", "url": "http://h/?a=b" }));
    let big = labelled(json!({ "colour": "red", "size": "big" }));
    let gone = labelled(json!({ "colour": "blue" }));
    assert_eq!(http::request("DELETE", &node.url(&format!("/v1/tasks/{gone}")), &[], b"").status, 200);

    let list = |query: &str| ids(get(&node, &format!("/v1/tasks?{query}"))["tasks"].as_array().unwrap());
    assert_eq!(list(""), [&gone, &big, &red, &plain].map(String::as_str));
    assert_eq!(list("state=cancelled"), [gone.as_str()]);
    assert_eq!(list("state=scheduled"), [&big, &red, &plain].map(String::as_str));
    assert_eq!(list("state=succeeded"), [""; 0]);
    assert_eq!(list("label=colour=red"), [&big, &red].map(String::as_str));
    assert_eq!(list("label=colour%3Dred&label=size%3Dbig"), [big.as_str()]);
    assert_eq!(list("label=colour:blue"), [gone.as_str()]);
    assert_eq!(list("label=url%3Dhttp://h/?a%3Db"), [red.as_str()]);
    assert_eq!(list("label=colour=green"), [""; 0]);
    assert_eq!(list("label=colour=red&state=scheduled&limit=1"), [big.as_str()]);
    assert_eq!(list("target=log&state=scheduled"), list("state=scheduled"));
    assert_eq!(list("target=kafka:west/orders"), [""; 0]);

    let created = |id: &str| task(&node, id)["created_at"].as_str().unwrap().to_owned();
    assert_eq!(list(&format!("from={}", created(&big))), [&gone, &big].map(String::as_str), "from is included");
    assert_eq!(list(&format!("to={}", created(&big))), [&red, &plain].map(String::as_str), "to is not");
    assert_eq!(list(&format!("from={}&to={}", created(&red), created(&gone))), [&big, &red].map(String::as_str));
}

#[test]
fn a_scheduled_task_is_cancelled_and_stays_so() {
    let node = Node::start();
    let id = submit(&node, &later());
    let url = node.url(&format!("/v1/tasks/{id}"));
    // As curl sends it, and as a client sends it that always names a content type.
    for headers in [vec![], vec![JSON]] {
        let answer = http::request("DELETE", &url, &headers, b"");
        assert_eq!((answer.status, answer.json()), (200, json!({ "id": id, "state": "cancelled" })));
    }
    assert_eq!(task(&node, &id)["state"], "cancelled");
    assert!(is_instant(&task(&node, &id)["finished_at"]));
    assert_eq!(get(&node, "/v1/stats")["tasks"]["cancelled"], 1);
    // The same document under the same id is still the same task.
    let mut again = later();
    again["id"] = json!(submit(&node, &later()));
    assert_eq!(http::post_json(&node.url("/v1/tasks"), &again).status, 409, "the first had no id in its document");
}

#[test]
fn an_ended_task_cannot_be_cancelled_or_resolved() {
    let node = Node::start();
    let id = submit(&node, &now());
    until(&node, &id, "succeeded");
    let cancel = http::request("DELETE", &node.url(&format!("/v1/tasks/{id}")), &[], b"");
    let resolve = http::post_json(&node.url(&format!("/v1/tasks/{id}/resolve")), &json!({ "state": "failed" }));
    for answer in [cancel, resolve] {
        let problem = answer.json();
        assert_eq!((answer.status, &problem["state"]), (409, &json!("succeeded")), "{problem}");
        assert_eq!(problem["type"], "urn:task-scheduler:problem:wrong-state");
        assert_eq!(problem["id"], id);
    }
}

#[test]
fn an_unknown_task_is_resolved() {
    let node = Node::start();
    // Takes every call and closes without an answer: nobody can know.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in silent.incoming() {
            let _some = stream.unwrap().read(&mut [0; 1024]);
        }
    });
    let document = json!({ "delay_ms": 0, "target": { "type": "http", "url": url } });
    for (asked, stands) in [("succeeded", "succeeded"), ("failed", "failed"), ("scheduled", "unknown")] {
        let id = submit(&node, &document);
        until(&node, &id, "unknown");
        let resolve = node.url(&format!("/v1/tasks/{id}/resolve"));
        let answer = http::post_json(&resolve, &json!({ "state": asked }));
        assert_eq!((answer.status, answer.json()), (200, json!({ "id": id, "state": asked })));
        // What was fired again is unknown again, with one attempt more.
        let task = until(&node, &id, stands);
        if asked == "scheduled" {
            assert!(task["attempt"].as_u64().unwrap() <= 2);
        } else {
            assert_eq!(http::post_json(&resolve, &json!({ "state": asked })).json(), answer.json(), "the same again");
            assert_eq!(http::post_json(&resolve, &json!({ "state": "scheduled" })).status, 409);
        }
    }
}

#[test]
fn a_batch_is_answered_task_by_task_in_its_order() {
    let node = Node::start();
    let url = node.url("/v1/tasks/batch");
    let id = |n: usize| format!("0199c0de-0000-7000-8000-{n:012}");
    let with_id = |n: usize| {
        let mut task = later();
        task["id"] = json!(id(n));
        task
    };
    let all: Vec<Value> = (0..2_500).map(with_id).collect();
    let answer = http::post_json(&url, &json!(all));
    assert_eq!(answer.status, 201);
    let expected: Vec<Value> = (0..2_500).map(|n| json!({ "id": id(n), "status": 201 })).collect();
    assert_eq!(answer.json(), json!({ "results": expected }));
    assert_eq!(http::post_json(&url, &json!(all)).json(), answer.json(), "the same answer as before");
    assert_eq!(get(&node, "/v1/stats")["tasks"]["scheduled"], 2_500);

    // The same id again within a batch follows the same rule: the same is the same, another is a conflict.
    let mut other = with_id(9_000);
    other["priority"] = json!(1);
    let mut bad = with_id(9_001);
    bad["priority"] = json!(10);
    let answer = http::post_json(&url, &json!([with_id(9_000), with_id(9_000), other, bad, with_id(9_002)]));
    assert_eq!(answer.status, 200);
    let results = answer.json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(201), &json!(201)), "{results}");
    assert_eq!((&results[2]["index"], &results[2]["problem"]["status"]), (&json!(2), &json!(409)), "{results}");
    assert_eq!(results[3]["problem"]["pointer"], "/3/priority");
    assert_eq!(results[4], json!({ "id": id(9_002), "status": 201 }));
    assert_eq!(get(&node, "/v1/stats")["tasks"]["scheduled"], 2_502);
}

#[test]
fn a_batch_may_be_a_task_per_line() {
    let node = Node::start();
    let lines = format!("{}\r\n\n{}", later(), later());
    for content_type in ["application/x-ndjson", "application/json; charset=utf-8"] {
        let answer =
            http::request("POST", &node.url("/v1/tasks/batch"), &[("Content-Type", content_type)], lines.as_bytes());
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json()["results"].as_array().unwrap().len(), 2);
    }
    assert_eq!(http::post_json(&node.url("/v1/tasks/batch"), &json!([])).json(), json!({ "results": [] }));
    assert_eq!(get(&node, "/v1/stats")["tasks"]["scheduled"], 4);
}

#[test]
fn the_cluster_shows_its_node_master_and_term() {
    let node = Node::with(&["--name", "alpha", "--slots", "4"]);
    // Ready is not yet master: a node takes submissions without one.
    let cluster = until_there(&node, "/v1/cluster", |cluster| cluster["master"].is_string());
    let one = &cluster["nodes"][0];
    assert_eq!(cluster["nodes"].as_array().unwrap().len(), 1, "{cluster}");
    assert_eq!((&one["name"], &one["state"], &one["is_master"]), (&json!("alpha"), &json!("alive"), &json!(true)));
    assert_eq!((&one["slots"], &one["free_slots"]), (&json!(4), &json!(4)), "{one}");
    assert_eq!(one["address"], node.address().to_string());
    assert_eq!(one["version"], env!("CARGO_PKG_VERSION"));
    assert!(one["heartbeat_age_ms"].is_u64() && one["clock_offset_ms"].is_number(), "{one}");
    assert_eq!((&cluster["epoch"], &cluster["master"]), (&json!(1), &one["id"]));
    let term = &cluster["terms"][0];
    assert_eq!((&term["epoch"], &term["node"]), (&json!(1), &json!("alpha")), "{term}");
    assert!(is_instant(&term["elected_at"]));
    assert_eq!((&term["ended_at"], &term["end_reason"]), (&Value::Null, &Value::Null));
}

#[test]
fn the_stats_have_every_state() {
    let node = Node::start();
    let stats = get(&node, "/v1/stats");
    let words = ["scheduled", "dispatched", "succeeded", "failed", "unknown", "cancelled", "expired"];
    assert_eq!(stats["tasks"].as_object().unwrap().len(), words.len());
    assert!(words.iter().all(|state| stats["tasks"][state] == 0), "{stats}");
    assert_eq!(stats["lateness_ms"], json!({ "p50": null, "p99": null }));
    let queue = json!({ "depth": 0, "lag": 0, "oldest_ms": 0, "retention_ms": null, "stopped": 0 });
    assert_eq!((&stats["queue"], &stats["dead_letters"]), (&queue, &json!(0)));
    assert!(stats["rates"].is_object());
}

#[test]
fn a_node_tells_its_health_and_its_figures() {
    let node = Node::start();
    assert_eq!(get(&node, "/healthz"), json!({ "status": "alive" }));
    assert_eq!(get(&node, "/readyz"), json!({ "status": "ready" }));
    submit(&node, &later());
    let metrics = http::get(&node.url("/metrics"));
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(text.contains("task_scheduler_submissions_total{result=\"stored\"} 1"), "{text}");
}

#[test]
fn a_page_shows_every_actor_and_lets_nothing_foreign_in() {
    let node = Node::start();
    let page = || http::get(&node.url("/actors"));
    let text = || String::from_utf8(page().body).unwrap();
    assert_eq!((page().status, page().header("content-type")), (200, Some("text/html; charset=utf-8")));
    let answer = page();
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    crate::harness::node::until("it has reported", Duration::from_secs(20), || text().contains(">executor</th>"));
    let html = text();
    for actor in ["supervisor", "kafka_ingest", "heartbeat", "master_resolver", "dispatcher", "executor"] {
        let row = format!("<th scope=\"row\">{actor}</th><td><span class=\"state alive\">alive</span></td>");
        assert!(html.contains(&row), "{actor}: {html}");
    }
}

#[test]
fn a_browser_of_this_machine_may_write_from_the_nodes_own_pages() {
    let node = Node::start();
    let origin = format!("http://{}", node.address());
    let answer =
        http::request("POST", &node.url("/v1/tasks"), &[JSON, ("Origin", &origin)], later().to_string().as_bytes());
    assert_eq!(answer.status, 201);
    for host in ["localhost", "[::1]:9999", "tasks.example.org"] {
        let node = Node::with(&["--allowed-host", "tasks.example.org"]);
        assert_eq!(http::request("GET", &node.url("/v1/stats"), &[("Host", host)], b"").status, 200, "{host}");
    }
}
