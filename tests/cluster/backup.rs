//! A backup that is made while the node runs, and a node that is started on it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sqlite::SqliteConnection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, flags, received, tasks};
use crate::harness::{Answer, Node, Receiver, http};
use crate::services::postgres::{self, Server, program};
use crate::services::{free_port, missing};

const SOON: Duration = Duration::from_secs(30);
/// How long a call to `/slow` takes: it is under way when the backup is made.
const SLOW: Duration = Duration::from_secs(4);
/// Of each kind.
const TASKS: usize = 5;

/// Tasks of one kind, with their documents.
struct Kind(Vec<(String, Value)>);

impl Kind {
    fn new(url: &str, delay_ms: u64, delivery: &str) -> Self {
        let one = |id: String| {
            let document = json!({"id": id, "delay_ms": delay_ms, "delivery": delivery,
                "target": {"type": "http", "url": url}});
            (id, document)
        };
        Self((0..TASKS).map(|_| one(Uuid::now_v7().to_string())).collect())
    }

    fn submit(self, node: &Node) -> Self {
        for (_, document) in &self.0 {
            assert_eq!(http::post_json(&node.url("/v1/tasks"), document).status, 201);
        }
        self
    }

    /// How often each was called.
    fn calls(&self, receiver: &Receiver) -> Vec<usize> {
        let all = received(receiver);
        self.0.iter().map(|(id, _)| all.get(id).copied().unwrap_or(0)).collect()
    }

    /// Their states; `None` where there is no such task.
    fn states(&self, node: &Node) -> Vec<Option<String>> {
        let state = |(id, _): &(String, Value)| {
            let answer = http::get(&node.url(&format!("/v1/tasks/{id}")));
            (answer.status == 200).then(|| answer.json()["state"].as_str().unwrap().to_owned())
        };
        self.0.iter().map(state).collect()
    }

    fn all_are(&self, node: &Node, state: &str) -> bool {
        self.states(node).iter().all(|is| is.as_deref() == Some(state))
    }
}

/// `backup` is made in the midst of a first node's work; `restore` starts another on it in a new place.
fn what_is_restored(first: Node, backup: impl FnOnce(), restore: impl FnOnce() -> Node) {
    let receiver = Receiver::answering(|call, _| Answer {
        after: if call.path == "/slow" { SLOW } else { Duration::ZERO },
        ..Answer::status(204)
    });
    let (hook, slow) = (receiver.url("/"), receiver.url("/slow"));
    let ended = Kind::new(&hook, 0, "at_most_once").submit(&first);
    until("some have ended", SOON, || ended.all_are(&first, "succeeded"));
    let later = Kind::new(&hook, 3_000, "at_most_once").submit(&first);
    let far = Kind::new(&hook, 3_600_000, "at_most_once").submit(&first);
    let [once, at_least_once] = ["at_most_once", "at_least_once"].map(|how| Kind::new(&slow, 0, how).submit(&first));
    until("the slow ones are called", SOON, || received(&receiver).len() == 3 * TASKS);
    backup();
    let after = Kind::new(&hook, 0, "at_most_once").submit(&first);
    for kind in [&later, &after, &once, &at_least_once] {
        until("all that is due is called and ends", SOON, || kind.all_are(&first, "succeeded"));
    }
    assert!(first.stop().success());
    assert!(received(&receiver).values().all(|calls| *calls == 1));

    let node = restore();
    until("what had not fired at the backup fires again", SOON, || later.calls(&receiver) == [2; TASKS]);
    until("what was under way may be repeated", SOON, || at_least_once.calls(&receiver) == [2; TASKS]);
    until("what may not be repeated waits for somebody", SOON, || once.all_are(&node, "unknown"));
    until("it ends", SOON, || later.all_are(&node, "succeeded") && at_least_once.all_are(&node, "succeeded"));
    assert_eq!(far.states(&node), vec![Some("scheduled".to_owned()); TASKS]);
    assert_eq!(after.states(&node), vec![None; TASKS], "what was accepted after the backup is gone");
    // The same id is the same task, also of one that had ended.
    for (id, document) in &ended.0 {
        let again = http::post_json(&node.url("/v1/tasks"), document);
        assert_eq!((again.status, &again.json()["id"]), (201, &json!(id)));
    }
    assert!(ended.all_are(&node, "succeeded"));
    let after = after.submit(&node);
    until("it can be submitted again", SOON, || after.all_are(&node, "succeeded"));
    for (kind, calls) in [(&ended, 1), (&far, 0), (&once, 1), (&later, 2), (&at_least_once, 2), (&after, 2)] {
        assert_eq!(kind.calls(&receiver), [calls; TASKS]);
    }
}

#[test]
fn a_node_goes_on_from_a_backup_of_its_file() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = |folder: &Path| folder.join("task-scheduler.db").display().to_string();
    let (from, to) = (file(folder.path()), file(place.path()));
    let backup = move || {
        let mut connection = SqliteConnection::establish(&from).unwrap();
        connection.batch_execute(&format!("PRAGMA busy_timeout = 5000; VACUUM INTO '{to}'")).unwrap();
    };
    what_is_restored(Node::in_folder(folder.path(), &[]), backup, || Node::in_folder(place.path(), &[]));
}

/// A dump of one schema.
struct Dump<'a> {
    server: &'a Server,
    url: String,
    programs: [PathBuf; 2],
    file: tempfile::NamedTempFile,
}

impl<'a> Dump<'a> {
    /// Of this schema, not made yet; `None` where its programs are not.
    fn of(server: &'a Server, url: &str) -> Option<Self> {
        let (Some(dump), Some(restore)) = (program("pg_dump"), program("psql")) else {
            missing("postgres", "there is no pg_dump or psql on this machine", "install postgresql-client");
            return None;
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        Some(Self { server, url: url.to_owned(), programs: [dump, restore], file })
    }

    /// Makes it, whatever is going on.
    fn make(&self) {
        let (database, options) = self.url.split_once('?').unwrap();
        let schema = options.rsplit_once("%3D").unwrap().1;
        let mut command = Command::new(&self.programs[0]);
        command.args(["--schema", schema, "--file"]).arg(self.file.path()).arg(database);
        assert!(command.status().unwrap().success());
    }

    /// Into a new database; its URL.
    fn restore(&self) -> String {
        let (database, options) = self.url.split_once('?').unwrap();
        let name = format!("restored_{}", free_port());
        PgConnection::establish(database).unwrap().batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        let restored = self.server.url_of(&name);
        let mut command = Command::new(&self.programs[1]);
        command.args(["--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "--output", "/dev/null", "--file"]);
        assert!(command.arg(self.file.path()).arg(&restored).status().unwrap().success());
        format!("{restored}?{options}")
    }
}

#[test]
fn a_cluster_goes_on_from_a_dump() {
    let Some(server) = postgres::server() else { return };
    let url = server.schema();
    let Some(dump) = Dump::of(server, &url) else { return };
    let started = |url: &str| Node::with(&["--database-url", url, "--name", "n"]);
    what_is_restored(started(&url), || dump.make(), || started(&dump.restore()));
}

#[test]
fn what_came_on_a_topic_after_the_dump_is_read_again() {
    let Some(mut on) = OnTopic::start(1) else { return };
    let Some(dump) = Dump::of(postgres::server().unwrap(), &on.cluster.url) else { return };
    let receiver = Receiver::start();
    let [before, after] = [20, 30].map(|n| tasks(n, &receiver.url("/"), Duration::from_secs(1)));
    on.put(&before);
    until("all have ended", SOON, || on.cluster.counts(0)["succeeded"] == before.len());
    dump.make();
    on.put(&after);
    until("all have ended", SOON, || on.cluster.counts(0)["succeeded"] == before.len() + after.len());
    assert!(on.cluster.nodes.pop().unwrap().stop().success());

    let url = dump.restore();
    let node =
        Node::with(&[&["--database-url", &url, "--name", "n"], flags(&on.brokers, &on.topic).as_slice()].concat());
    let calls = |tasks: &[(String, String)], each: usize| {
        let all = received(&receiver);
        tasks.iter().all(|(id, _)| all.get(id) == Some(&each))
    };
    until("what came later is read and called again", SOON, || calls(&after, 2));
    let counts = || http::get(&node.url("/v1/stats")).json()["tasks"].clone();
    until("all of it ends", SOON, || counts()["succeeded"] == before.len() + after.len());
    assert!(calls(&before, 1) && calls(&after, 2), "{:?}", received(&receiver));
}
