//! `task-scheduler watch`: follows a task to its end.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use ureq::http::StatusCode;

use crate::cli::answer::field;
use crate::cli::client::{Client, Path};
use crate::cli::exit::{AWAY, Failure, REFUSED};
use crate::cli::output::print_on;
use crate::cli::patience::Patience;
use crate::cli::{duration, terminal};
use crate::clock::Clock;
use crate::domain::time::Mono;

/// For the help.
const EXAMPLES: &str = "\
Examples:
  task-scheduler watch 0199c0de-0000-7000-8000-000000000001
  task-scheduler watch 0199c0de-0000-7000-8000-000000000001 --timeout 10m && echo done

Each change is a line, with --json the task as it is then. Exit codes: 0 it succeeded · 1 it ended otherwise, or there is
no such task · 75 the time is over, or the server is away for longer than 30 s.";

/// Between two looks, after a change.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Between two looks, if nothing changes.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// So long the server may be away.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// States that nothing but a caller, or a late outcome, leaves.
const ENDS: [&str; 5] = ["succeeded", "failed", "unknown", "cancelled", "expired"];

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Watch {
    #[command(flatten)]
    client: Client,
    /// The task's id
    id: String,
    /// Give up after so long
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    etag: Option<String>,
    task: Value,
    /// The server is away since then.
    away: Option<Mono>,
}

/// What came of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Changed,
    Same,
    /// There was something to tell, and nobody reads it.
    Unread,
}

impl Watch {
    /// Prints each change until the task has ended, or until nobody reads on.
    pub fn run(self) -> Result<(), Failure> {
        let clock = Clock::new();
        let (mut seen, mut patience) = (Seen::default(), Patience::new(FIRST_WAIT, LONGEST_WAIT));
        loop {
            match self.look(&mut seen) {
                Ok(Look::Changed) => patience.renew(),
                Ok(Look::Same) => {}
                Ok(Look::Unread) => return Ok(()),
                Err(failure) if failure.code == AWAY => {
                    let since = *seen.away.get_or_insert(clock.mono());
                    if clock.mono().since(since) >= AWAY_MAX {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
            let state = field(&seen.task, "state");
            if ENDS.contains(&state.as_str()) {
                return ended(&self.id, &seen.task, &state);
            }
            let left = self.timeout.map(|timeout| timeout.saturating_sub(clock.mono().0));
            if left.is_some_and(|left| left.is_zero()) {
                let stands = if state.is_empty() { "not seen at all".to_owned() } else { format!("still {state}") };
                return Err(Failure::new(AWAY, format!("the time is over and the task {} is {stands}", self.id)));
            }
            patience.wait_at_most(left.unwrap_or(Duration::MAX));
        }
    }

    /// Looks once, and tells what is new.
    fn look(&self, seen: &mut Seen) -> Result<Look, Failure> {
        let answer = self.client.get_changed(Path::of(&["v1", "tasks", &self.id]), seen.etag.as_deref())?;
        seen.away = None;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Look::Same);
        }
        let task = answer.json()?;
        let is_new = told(&task) != told(&seen.task);
        if is_new {
            let raw = self.client.prints_json();
            let shown = if raw { String::from_utf8_lossy(&answer.body).into_owned() } else { line(&task) };
            if !print_on(&shown)? {
                return Ok(Look::Unread);
            }
        }
        seen.etag = answer.etag;
        seen.task = task;
        Ok(if is_new { Look::Changed } else { Look::Same })
    }
}

/// What of a task is worth a line when it changes.
fn told(task: &Value) -> [String; 5] {
    ["state", "attempt", "due_at", "paused", "last_error"].map(|name| field(task, name))
}

/// When, which state, and what is to be known of it.
fn line(task: &Value) -> String {
    let state = field(task, "state");
    let (attempt, error) = (field(task, "attempt"), field(task, "last_error"));
    let because = if error.is_empty() { String::new() } else { format!(": {error}") };
    let (at, more) = match state.as_str() {
        "scheduled" => {
            let paused = if task.get("paused").and_then(Value::as_bool) == Some(true) { ", paused" } else { "" };
            let again = if error.is_empty() { String::new() } else { format!(", after attempt {attempt}: {error}") };
            // Between two attempts the last one's start is the newest that is known.
            let at = if error.is_empty() { "created_at" } else { "started_at" };
            (at, format!("due at {}{paused}{again}", field(task, "due_at")))
        }
        "dispatched" => ("dispatched_at", format!("to {}", field(task, "node"))),
        "succeeded" => ("finished_at", format!("by attempt {attempt}")),
        "accepted" => ("accepted_at", "not stored yet".to_owned()),
        _ => ("finished_at", format!("after attempt {attempt}{because}")),
    };
    let at = Some(field(task, at)).filter(|at| !at.is_empty()).unwrap_or_else(|| "-".to_owned());
    let line = crate::cli::exit::one_line(&more);
    format!("{at}  {}  {line}", terminal::state(&format!("{state:10}")))
}

fn ended(id: &str, task: &Value, state: &str) -> Result<(), Failure> {
    if state == "succeeded" {
        return Ok(());
    }
    let why = Some(field(task, "last_error")).filter(|why| !why.is_empty()).map(|why| format!(": {why}"));
    let advice = match state {
        "unknown" => format!("; settle it with `task-scheduler resolve {id} succeeded|failed|scheduled`"),
        "failed" => format!("; fire it again with `task-scheduler retry {id}`"),
        _ => String::new(),
    };
    Err(Failure::new(REFUSED, format!("the task {id} is {state}{}{advice}", why.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::fake_node::{FakeNode, Told};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        watch: Watch,
    }

    fn watch(node: &FakeNode, args: &[&str]) -> Result<(), Failure> {
        let line = Line::try_parse_from([&["watch", "--server", &node.url, "A"], args].concat()).unwrap();
        line.watch.run()
    }

    fn task(state: &str) -> Told {
        Told::value(200, &json!({ "id": "A", "state": state, "attempt": 1, "last_error": null })).with_etag("\"1\"")
    }

    #[test]
    fn it_asks_for_changes_only_and_ends_with_the_task() {
        let node = FakeNode::start(|asked, before| match (before, asked.header("if-none-match")) {
            (0, "") => task("scheduled"),
            (1, "\"1\"") => Told::json(304, ""),
            (2, "\"1\"") => task("dispatched"),
            (3, "\"1\"") => task("succeeded"),
            other => panic!("{other:?}"),
        });
        watch(&node, &[]).unwrap();
        assert_eq!(node.lines(), ["GET /v1/tasks/A"; 4]);
    }

    #[test]
    fn any_other_end_is_told_with_what_to_do() {
        for (state, words) in
            [("failed", "retry A"), ("unknown", "resolve A"), ("cancelled", "A is cancelled"), ("expired", "expired")]
        {
            let node = FakeNode::start(move |_, _| task(state));
            let failure = watch(&node, &[]).unwrap_err();
            assert_eq!(failure.code, REFUSED);
            assert!(failure.message.contains(words), "{failure}");
        }
    }

    #[test]
    fn a_server_that_comes_back_is_waited_for() {
        let node = FakeNode::start(|_, before| match before {
            0 => Told::nothing(),
            1 => Told::value(503, &json!({ "title": "Not now", "status": 503 })),
            _ => task("succeeded"),
        });
        watch(&node, &[]).unwrap();
    }

    #[test]
    fn the_time_and_the_task_may_be_missing() {
        let node = FakeNode::start(|_, _| task("scheduled"));
        let failure = watch(&node, &["--timeout", "0s"]).unwrap_err();
        assert_eq!(failure.code, AWAY);
        assert!(failure.message.ends_with("is still scheduled"), "{failure}");
        let node =
            FakeNode::start(|_, _| Told::value(404, &json!({ "title": "There is no such task", "status": 404 })));
        assert_eq!(watch(&node, &[]).unwrap_err().code, REFUSED);
    }

    #[test]
    fn a_line_says_what_is_to_be_known() {
        let task = json!({"state": "scheduled", "attempt": 1, "started_at": "c", "due_at": "d", "paused": true, "last_error": "503\nx"});
        assert_eq!(console::strip_ansi_codes(&line(&task)), "c  scheduled   due at d, paused, after attempt 1: 503 x");
        let task = json!({"state": "failed", "attempt": 2, "finished_at": "f", "last_error": "no"});
        assert_eq!(console::strip_ansi_codes(&line(&task)), "f  failed      after attempt 2: no");
    }
}
