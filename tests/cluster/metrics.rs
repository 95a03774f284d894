//! `/metrics` as Prometheus meets it, and what docker/prometheus makes of it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::node::until;
use crate::harness::on_topic::OnTopic;
use crate::harness::proxy::Proxy;
use crate::harness::{Answer, Node, Receiver, http};
use crate::services::{has_tool, postgres};

const SOON: Duration = Duration::from_secs(20);
/// As long as Prometheus waits for a scrape.
const SCRAPE: Duration = Duration::from_secs(10);

fn scrape(node: &Node) -> String {
    let answer = http::try_within(SCRAPE, ("GET", &node.url("/metrics")), &[], b"").unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    String::from_utf8(answer.body).unwrap()
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).map(|value| value.parse().unwrap())
}

/// What `promtool` says of it: nothing, if nothing is wrong. `None` where there is none.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    if !has_tool("promtool", "install it (Debian: apt-get install prometheus)") {
        return None;
    }
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    Some((output.status.success(), said))
}

fn is_clean(text: &str) {
    if let Some(said) = promtool(&["check", "metrics"], text) {
        assert_eq!(said, (true, String::new()), "\n{text}");
    }
}

/// Twenty tasks that succeed, five that fail, and requests of every kind.
fn keep_busy(node: &Node, receiver: &Receiver) {
    for n in 0..25 {
        let path = if n < 20 { "/well" } else { "/ill" };
        let task = json!({"delay_ms": n, "target": {"type": "http", "url": receiver.url(path)}});
        let status = http::post_json(&node.url("/v1/tasks"), &task).status;
        assert!(matches!(status, 201 | 202), "{status}");
    }
    assert_eq!(http::post_json(&node.url("/v1/tasks"), &json!({})).status, 400);
    for path in ["/v1/tasks?limit=1", "/v1/stats", "/v1/cluster", "/actors", "/readyz"] {
        assert_eq!(http::get(&node.url(path)).status, 200, "{path}");
    }
    for n in 0..3 {
        assert_eq!(http::get(&node.url(&format!("/no-such-path-{n}"))).status, 404);
        assert_eq!(http::request("BREW", &node.url("/v1/stats"), &[], b"").status, 405);
    }
    until("all have ended", SOON, || {
        let text = scrape(node);
        let count = |state: &str| value(&text, &format!("task_scheduler_tasks{{state=\"{state}\"}}"));
        (count("succeeded"), count("failed")) == (Some(20.0), Some(5.0))
    });
}

fn receiver() -> Receiver {
    Receiver::answering(|call, _| Answer::status(if call.path == "/well" { 204 } else { 400 }))
}

#[test]
fn a_busy_node_shows_what_it_does() {
    let (node, receiver) = (Node::start(), receiver());
    keep_busy(&node, &receiver);
    let text = scrape(&node);
    is_clean(&text);
    for (series, expected) in [
        (format!("task_scheduler_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")).as_str(), 1.0),
        ("task_scheduler_starts_total", 25.0),
        ("task_scheduler_outcomes_total{outcome=\"succeeded\"}", 20.0),
        ("task_scheduler_submissions_total{result=\"stored\"}", 25.0),
        ("task_scheduler_submissions_total{result=\"invalid\"}", 1.0),
        ("task_scheduler_lateness_seconds_count", 25.0),
        ("task_scheduler_execution_seconds_count", 25.0),
        ("task_scheduler_database_up", 1.0),
        ("task_scheduler_master", 1.0),
        ("task_scheduler_epoch", 1.0),
        ("task_scheduler_overdue_seconds", 0.0),
        ("task_scheduler_dead_letters", 0.0),
        ("task_scheduler_tasks{state=\"scheduled\"}", 0.0),
        ("task_scheduler_http_requests_total{method=\"POST\",route=\"/v1/tasks\",status=\"2xx\"}", 25.0),
        ("task_scheduler_http_requests_total{method=\"POST\",route=\"/v1/tasks\",status=\"4xx\"}", 1.0),
        ("task_scheduler_http_requests_total{method=\"GET\",route=\"none\",status=\"4xx\"}", 3.0),
        ("task_scheduler_http_requests_total{method=\"other\",route=\"/v1/stats\",status=\"4xx\"}", 3.0),
        ("task_scheduler_http_request_duration_seconds_count{method=\"POST\",route=\"/v1/tasks\"}", 26.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    assert!(!text.contains("no-such-path"), "a path is no label:\n{text}");
    assert!(!text.contains("queue_lag"), "there is no topic:\n{text}");
    for measured in ["task_scheduler_claim_seconds_count", "task_scheduler_ingest_seconds_count"] {
        assert!(value(&text, measured).unwrap() >= 1.0, "{measured} in\n{text}");
    }
    assert!(value(&text, "task_scheduler_clock_offset_seconds").unwrap().abs() < 1.0, "{text}");
    #[cfg(target_os = "linux")]
    assert!(value(&text, "process_resident_memory_bytes").unwrap() > 1e6, "{text}");
}

#[test]
fn a_node_on_a_topic_shows_how_far_it_is_behind() {
    let Some(on) = OnTopic::start(1) else { return };
    let (node, receiver) = (&on.cluster.nodes[0], receiver());
    keep_busy(node, &receiver);
    let text = scrape(node);
    is_clean(&text);
    assert_eq!(value(&text, "task_scheduler_queue_oldest_record_age_seconds"), Some(0.0), "{text}");
    assert!(value(&text, "task_scheduler_queue_lag_records").is_some(), "{text}");
    assert!(!text.contains("queue_retention"), "a topic of the program's own keeps records for ever:\n{text}");
}

#[test]
fn a_scrape_fails_for_no_database() {
    let Some(server) = postgres::server() else { return };
    let proxy = Proxy::to(server.address());
    let url = server.schema().replacen(&server.address().to_string(), &proxy.address().to_string(), 1);
    let mut node = Node::starting(&["--database-url", &url]);
    node.until_ready();
    let up = |text: &str| value(text, "task_scheduler_database_up");
    until("it shows what stands in the database", SOON, || {
        let text = scrape(&node);
        up(&text) == Some(1.0) && value(&text, "task_scheduler_epoch") == Some(1.0)
    });
    proxy.cut();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let text = scrape(&node);
                assert_eq!(up(&text), Some(0.0), "{text}");
                assert!(!text.contains("task_scheduler_tasks"), "what is not known is not shown:\n{text}");
                assert!(value(&text, "task_scheduler_starts_total").is_some(), "the rest is there:\n{text}");
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(5), "they wait for one another: {:?}", began.elapsed());
    proxy.mend();
    until("it shows it again", SOON, || up(&scrape(&node)) == Some(1.0));
}

#[test]
fn the_alerts_are_read_and_fire_as_they_are_to() {
    for arguments in [
        ["check", "config", "docker/prometheus/prometheus.yml"],
        ["check", "rules", "docker/prometheus/alerts.yml"],
        ["test", "rules", "docker/prometheus/alerts_test.yml"],
    ] {
        let Some((well, said)) = promtool(&arguments, "") else { return };
        assert!(well && said.contains("SUCCESS") && !said.contains("FAILED"), "{arguments:?}: {said}");
    }
}
