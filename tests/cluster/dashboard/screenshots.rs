//! Pictures of every page, for people to look at: only where `TASK_SCHEDULER_SCREENSHOTS` names a folder for them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::{Field, HOUR_MS, NODES, SOON, judged, pages};
use crate::harness::browser::View;
use crate::harness::http;
use crate::harness::node::until;

const FOLDER: &str = "TASK_SCHEDULER_SCREENSHOTS";
/// How long the busy cluster has run when it is pictured: pictures by minute need some of them.
const RUN: Duration = Duration::from_mins(4);
/// Tasks over that time.
const TASKS: usize = 9_600;

impl Field {
    /// This page of a node in every view.
    fn picture(&self, folder: &Path, node: usize, (name, place): (&str, &str)) {
        self.browser.goto(&self.at(node, place));
        if self.browser.has("body[data-stream]") {
            judged::until_live(&self.browser);
        }
        if place == "/" {
            until("the hours are counted", SOON, || self.browser.has("#forecast figure"));
        }
        for view in View::ALL {
            self.browser.look(view);
            let scheme = if view.dark { "dark" } else { "light" };
            self.browser.screenshot(&folder.join(format!("{name}-{}-{scheme}.png", view.width)));
        }
    }

    fn pictures(&self, folder: &Path, node: usize, when: &str) {
        for place in pages::PLACES {
            let name = if place == "/" { "overview" } else { &place[1..] };
            self.picture(folder, node, (&format!("{when}-{name}"), place));
        }
    }
}

fn batch(field: &Field, path: &str, labels: &serde_json::Value, tasks: usize, (from, over): (u64, u64)) {
    let target = json!({"type": "http", "url": field.receiver.url(path)});
    let due = |n: usize| from + over * n as u64 / tasks as u64;
    let one = |n: usize| json!({"delay_ms": due(n), "target": target, "labels": labels, "payload": {"order": n}});
    let answer = http::post_json(&field.at(1, "/v1/tasks/batch"), &(0..tasks).map(one).collect());
    assert!(matches!(answer.status, 201 | 202), "{}", answer.json());
}

#[test]
fn pictures_of_every_page() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    let Some(mut field) = Field::start() else { return };
    field.pictures(&folder, 0, "empty");

    let run_ms = RUN.as_millis() as u64;
    batch(&field, "/hook", &json!({"tenant": "acme", "of": "orders"}), TASKS, (0, run_ms));
    batch(&field, "/slow", &json!({"tenant": "globex", "of": "mails"}), TASKS / 4, (0, run_ms * 2));
    // What the next hour brings.
    batch(&field, "/hook", &json!({"tenant": "acme", "of": "reminders"}), 5_000, (run_ms, HOUR_MS));
    // Some minutes of one tenant are late.
    let ran = |parts: usize| {
        until("it has run for a while", RUN + SOON, || field.count("succeeded") > (TASKS * parts / 4) as u64);
    };
    ran(1);
    let paused = http::post_json(&field.at(1, "/v1/pauses"), &json!({"label": "tenant=globex"}));
    assert_eq!(paused.status, 201);
    ran(2);
    let resume = format!("/v1/pauses/{}/resume", paused.json()["id"]);
    assert_eq!(http::post_json(&field.at(1, &resume), &json!({})).status, 200);
    let ended = field.submit("/hook", "shown", 0);
    ran(4);
    field.pictures(&folder, 0, "busy");
    let waiting = field.submit("/hook", "shown", HOUR_MS);
    for (name, place) in [
        ("busy-task", format!("/tasks/{ended}")),
        ("busy-task-waiting", format!("/tasks/{waiting}")),
        ("busy-cancel", format!("/tasks/{waiting}/cancel")),
        ("busy-reschedule", format!("/tasks/{waiting}/reschedule")),
        ("busy-filter", "/tasks?label=tenant%3Dacme&state=scheduled".to_owned()),
        ("busy-cancel-all", "/tasks/all/cancel?label=tenant%3Dacme&state=scheduled".to_owned()),
    ] {
        field.picture(&folder, 1, (name, &place));
    }

    batch(&field, "/silent", &json!({"tenant": "initech"}), 12, (0, 1));
    batch(&field, "/fails", &json!({"tenant": "initech"}), 5, (0, 1));
    let pause = json!({"label": "tenant=initech", "reason": "their hook is down"});
    until("nobody knows", SOON, || field.count("unknown") >= 12);
    assert_eq!(http::post_json(&field.at(1, "/v1/pauses"), &pause).status, 201);
    batch(&field, "/hook", &json!({"tenant": "initech"}), 40, (0, 1));
    let unknown = field.submit("/silent", "shown", 0);
    field.until_state(&unknown, "unknown");
    let dead = field.cluster.master(0).unwrap();
    // `get` asks node 1: that one lives.
    let dead = if dead == 1 { 2 } else { dead };
    field.cluster.nodes[dead].kill();
    until("it is taken for dead", SOON, || field.get("/v1/cluster").to_string().contains("\"state\":\"dead\""));
    let at = (0..NODES).find(|node| *node != dead && *node != 1).unwrap();
    field.pictures(&folder, at, "trouble");
    field.picture(&folder, at, ("trouble-task-unknown", &format!("/tasks/{unknown}")));
    field.picture(&folder, at, ("trouble-resolve", &format!("/tasks/{unknown}/resolve")));
    let resume = format!("/cluster/pauses/{}/resume", field.get("/v1/pauses")["pauses"][0]["id"]);
    field.picture(&folder, at, ("trouble-resume", &resume));
}
