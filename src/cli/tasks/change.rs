//! `task-scheduler cancel`, `run`, `retry`, `resolve` and `reschedule`: by ids, or many at once by filters.

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::many::Many;
use super::operation::Operation;
use crate::cli::answer::{Answer, field};
use crate::cli::client::Client;
use crate::cli::duration;
use crate::cli::exit::{Failure, REFUSED, quoted};
use crate::cli::human_time::{self, HumanTime};
use crate::cli::output::{print, say, say_as_it_is};
use crate::domain::time::millis_of;

/// For the help of `cancel`.
pub const CANCEL_EXAMPLES: &str = "\
Examples:
  task-scheduler cancel 0199c0de-0000-7000-8000-000000000001
  task-scheduler cancel --label tenant=acme --dry-run
  task-scheduler cancel --target http:old.example.org --yes";

/// For the help of `run`.
pub const RUN_EXAMPLES: &str = "\
Examples:
  task-scheduler run 0199c0de-0000-7000-8000-000000000001
  task-scheduler run --label batch=nightly --yes

If many at once break off, the same command begins anew: what is still scheduled by then is due at once.";

/// For the help of `retry`.
pub const RETRY_EXAMPLES: &str = "\
Examples:
  task-scheduler retry 0199c0de-0000-7000-8000-000000000001
  task-scheduler retry --target http:hooks.example.org --from '2h ago' --dry-run
  task-scheduler retry --target http:hooks.example.org --from '2h ago' --yes

If many at once break off, the same command goes on with what is left, and with what has failed again by then.";

/// For the help of `resolve`.
const RESOLVE_EXAMPLES: &str = "\
Examples:
  task-scheduler resolve 0199c0de-0000-7000-8000-000000000001 succeeded
  task-scheduler resolve --label tenant=acme --to '1h ago' --dry-run scheduled
  task-scheduler resolve --label tenant=acme --to '1h ago' --yes scheduled

succeeded: the target was reached · failed: it was not, and is given up · scheduled: fire it again, now";

/// For the help of `reschedule`.
const RESCHEDULE_EXAMPLES: &str = "\
Examples:
  task-scheduler reschedule 0199c0de-0000-7000-8000-000000000001 --at 'tomorrow 18:00 Europe/Berlin'
  task-scheduler reschedule 0199c0de-0000-7000-8000-000000000001 --in 5m
  task-scheduler reschedule --label tenant=acme --at 2026-12-24T18:00:00Z --yes

If many at once break off, the same command begins anew: what was moved still matches. With --at and an instant all come to
the same time all the same, where --in moves them once more; --to with an instant leaves out what is stored later.";

/// What a task is to become when it is resolved.
const RESOLVED: [&str; 3] = ["succeeded", "failed", "scheduled"];

/// The arguments of `cancel`, `run` and `retry`.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    client: Client,
    /// The tasks' ids; or filters instead
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    many: Many,
}

/// The arguments of `resolve`.
#[derive(Debug, Args)]
#[command(after_help = RESOLVE_EXAMPLES, override_usage = "task-scheduler resolve [OPTIONS] [ID]... <STATE>")]
pub struct Resolve {
    #[command(flatten)]
    client: Client,
    /// The tasks' ids, or none and filters instead; and behind them what they are settled as: succeeded, failed or scheduled
    #[arg(value_name = "ID... STATE", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    many: Many,
}

/// The arguments of `reschedule`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("when").args(["at", "delay"]).required(true))]
#[command(after_help = RESCHEDULE_EXAMPLES)]
pub struct Reschedule {
    #[command(flatten)]
    client: Client,
    /// The tasks' ids; or filters instead
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// When to run: RFC 3339, '2026-12-24 18:00 Europe/Berlin', 'tomorrow 18:00 UTC' or 'in 5m'
    #[arg(long, value_name = "TIME", value_parser = human_time::ahead)]
    at: Option<HumanTime>,
    /// How long from now: 250ms, 30s, 5m, 2h, 1d, 1h30m
    #[arg(long = "in", id = "delay", value_name = "DURATION", value_parser = duration::parse)]
    delay: Option<std::time::Duration>,
    #[command(flatten)]
    many: Many,
}

impl Change {
    /// Cancels.
    pub fn cancel(self) -> Result<(), Failure> {
        apply(&self.client, &self.ids, &self.many, &Operation::Cancel)
    }

    /// Has them fired now.
    pub fn fire(self) -> Result<(), Failure> {
        apply(&self.client, &self.ids, &self.many, &Operation::Run)
    }

    /// Schedules what failed again.
    pub fn retry(self) -> Result<(), Failure> {
        apply(&self.client, &self.ids, &self.many, &Operation::Retry)
    }
}

impl Resolve {
    /// Settles.
    pub fn run(mut self) -> Result<(), Failure> {
        let state = self.words.pop().unwrap_or_default();
        if !RESOLVED.contains(&state.as_str()) {
            let allowed = RESOLVED.join(", ");
            return Err(Failure::usage(format!("the last word is {}; allowed: {allowed}", quoted(&state))));
        }
        apply(&self.client, &self.words, &self.many, &Operation::Resolve(state))
    }
}

impl Reschedule {
    /// Moves to another time.
    pub fn run(self) -> Result<(), Failure> {
        apply(&self.client, &self.ids, &self.many, &Operation::Reschedule(self.when()))
    }

    /// What is counted from now is counted by the node: this machine's clock may be wrong.
    fn when(&self) -> Value {
        match (&self.at, &self.delay) {
            (Some(HumanTime::In(after)), _) | (None, Some(after)) => json!({ "delay_ms": millis_of(*after) }),
            (Some(at), _) => json!({ "run_at": at.rfc3339_now() }),
            (None, None) => json!({}),
        }
    }
}

fn apply(client: &Client, ids: &[String], many: &Many, operation: &Operation) -> Result<(), Failure> {
    match (ids, many.is_meant()) {
        ([], true) => many.run(client, operation),
        ([], false) => Err(Failure::usage(format!(
            "there is nothing to {}: name tasks by their ids, or by --state, --label, --from, --to or --target",
            operation.word()
        ))),
        (_, true) => Err(Failure::usage("ids and filters are given; allowed: either ids or filters")),
        (_, false) if many.needs_filters() => Err(Failure::usage("--dry-run counts what filters find; ids need none")),
        ([id], false) => told(client, &operation.of_one(client, id)?, id, operation),
        (ids, false) => each(client, ids, operation),
    }
}

/// One after the other; a refused one does not keep the others back.
fn each(client: &Client, ids: &[String], operation: &Operation) -> Result<(), Failure> {
    let mut refused = 0_usize;
    for id in ids {
        match operation.of_one(client, id) {
            Ok(answer) => told(client, &answer, id, operation)?,
            Err(failure) if failure.code == REFUSED => {
                refused += 1;
                match &failure.json {
                    Some(problem) => say_as_it_is(problem),
                    None => say(&format!("{id}: {failure}")),
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    match refused {
        0 => Ok(()),
        refused => Err(Failure::new(REFUSED, format!("{refused} of {} tasks were refused", ids.len()))),
    }
}

/// `ID state`, by the answer, or by what was asked for if the answer is empty.
fn told(client: &Client, answer: &Answer, id: &str, operation: &Operation) -> Result<(), Failure> {
    if client.prints_json() {
        return answer.print_raw();
    }
    let told = if answer.body.is_empty() { Value::Null } else { answer.json()? };
    let state = Some(field(&told, "state")).filter(|state| !state.is_empty());
    print(&format!("{id} {}", state.as_deref().unwrap_or(operation.state())))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::exit::USAGE;
    use crate::cli::fake_node::{FakeNode, Told};

    #[derive(Debug, Parser)]
    enum Line {
        Cancel(Change),
        Run(Change),
        Retry(Change),
        Resolve(Resolve),
        Reschedule(Reschedule),
    }

    fn run(node: &FakeNode, args: &[&str]) -> Result<(), Failure> {
        match Line::try_parse_from([&["x"], args, &["--server", &node.url]].concat()).unwrap() {
            Line::Cancel(change) => change.cancel(),
            Line::Run(change) => change.fire(),
            Line::Retry(change) => change.retry(),
            Line::Resolve(resolve) => resolve.run(),
            Line::Reschedule(reschedule) => reschedule.run(),
        }
    }

    #[test]
    fn one_task_is_changed_by_its_own_call() {
        for (args, line, body) in [
            (vec!["cancel", "A"], "DELETE /v1/tasks/A", ""),
            (vec!["run", "A"], "POST /v1/tasks/A/run", "{}"),
            (vec!["retry", "A"], "POST /v1/tasks/A/retry", "{}"),
            (vec!["resolve", "A", "failed"], "POST /v1/tasks/A/resolve", r#"{"state":"failed"}"#),
            (vec!["reschedule", "A", "--in", "5m"], "PATCH /v1/tasks/A", r#"{"delay_ms":300000}"#),
            (vec!["reschedule", "A", "--at", "in 5m"], "PATCH /v1/tasks/A", r#"{"delay_ms":300000}"#),
            (
                vec!["reschedule", "A", "--at", "2026-12-24 18:00 UTC"],
                "PATCH /v1/tasks/A",
                r#"{"run_at":"2026-12-24T18:00:00+00:00"}"#,
            ),
        ] {
            let node = FakeNode::start(|_, _| Told::value(200, &json!({ "id": "A", "state": "scheduled" })));
            run(&node, &args).unwrap();
            let asked = node.asked();
            assert_eq!((asked[0].line.as_str(), asked[0].body.as_str()), (line, body));
            assert_eq!(asked[0].header("content-type"), "application/json", "{line}");
        }
    }

    #[test]
    fn of_several_tasks_a_refused_one_does_not_keep_the_others_back() {
        let node = FakeNode::start(|asked, _| {
            if asked.line.ends_with('B') {
                Told::json(409, r#"{"title": "The task's state does not allow it", "status": 409}"#)
            } else {
                Told::json(200, r#"{"state": "cancelled"}"#)
            }
        });
        let failure = run(&node, &["cancel", "A", "B", "C"]).unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (REFUSED, "1 of 3 tasks were refused"));
        assert_eq!(node.lines().len(), 3);
    }

    #[test]
    fn filters_mean_many() {
        let node = FakeNode::start(|_, _| Told::value(200, &json!({ "matched": 1, "changed": 1, "skipped": 0 })));
        run(&node, &["resolve", "--state", "unknown", "--yes", "failed"]).unwrap();
        run(&node, &["reschedule", "--label", "a=b", "--yes", "--in", "1s"]).unwrap();
        assert_eq!(node.lines(), ["POST /v1/tasks:resolve?state=unknown", "POST /v1/tasks:reschedule?label=a%3Db"]);
    }

    #[test]
    fn nothing_is_done_when_it_is_not_clear_to_what() {
        let node = FakeNode::start(|_, _| Told::nothing());
        for args in [
            vec!["cancel"],
            vec!["cancel", "--yes"],
            vec!["cancel", "A", "--label", "a=b"],
            vec!["cancel", "A", "--dry-run"],
            vec!["resolve", "A"],
            vec!["resolve", "failed", "A"],
        ] {
            assert_eq!(run(&node, &args).unwrap_err().code, USAGE, "{args:?}");
        }
        assert!(Line::try_parse_from(["x", "reschedule", "A"]).is_err());
        assert_eq!(node.lines().len(), 0);
    }
}
