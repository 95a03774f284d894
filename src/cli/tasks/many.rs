//! One operation on all tasks that filters find: counted first, asked about, and followed to its end.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::filters::{Filters, Query, until};
use super::operation::Operation;
use crate::cli::answer::{field, problem_within};
use crate::cli::client::{Client, Path};
use crate::cli::exit::{AWAY, Failure, REFUSED};
use crate::cli::output::print;
use crate::cli::progress::Progress;
use crate::cli::terminal;
use crate::domain::Timestamp;

/// The arguments.
#[derive(Debug, Clone, Args)]
pub struct Many {
    #[command(flatten)]
    filters: Filters,
    /// Only count what the filters find
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
}

impl Many {
    /// Filters were given.
    pub fn is_meant(&self) -> bool {
        !self.filters.query().is_empty()
    }

    /// Something was said that makes sense with filters only.
    pub fn needs_filters(&self) -> bool {
        self.dry_run
    }

    /// Does it, after a yes.
    ///
    /// # Errors
    /// Nobody said yes, the server refused it, or the way to its end broke off.
    pub fn run(&self, client: &Client, operation: &Operation) -> Result<(), Failure> {
        let query = self.filters.query();
        if self.dry_run {
            let (count, answer) = count(client, operation, &query)?;
            let told = if client.prints_json() { answer } else { would(operation, count) };
            return print(&told);
        }
        if self.yes {
            return self.follow(client, operation, &query, None);
        }
        if !terminal::can_be_asked() {
            let what = operation.word();
            return Err(Failure::usage(format!(
                "to {what} many tasks without being asked, add --yes; to count them first, --dry-run"
            )));
        }
        self.ask(client, operation, query, confirmed)
    }

    /// Counts, asks, and does it to no other tasks than those that were counted: what is stored while somebody makes up
    /// their mind is not meant.
    fn ask(
        &self,
        client: &Client,
        operation: &Operation,
        query: Query,
        confirmed: impl FnOnce(&str) -> bool,
    ) -> Result<(), Failure> {
        let query = until(query, stored_by_now(client)?);
        let (count, answer) = count(client, operation, &query)?;
        if count == 0 {
            return print(if client.prints_json() { &answer } else { "0 tasks" });
        }
        if !confirmed(&format!("{}. Go on? [y/N] ", would(operation, count))) {
            return Err(Failure::new(REFUSED, "nothing was changed"));
        }
        self.follow(client, operation, &query, Some(count))
    }

    /// `total` is how many were counted before, if they were.
    fn follow(&self, client: &Client, operation: &Operation, query: &Query, total: Option<u64>) -> Result<(), Failure> {
        let broken_off = |failure: Failure, last: &Value| {
            let far = match last {
                Value::Null => "it is not known how many were changed".to_owned(),
                told => format!("{} by then", words(told, total)),
            };
            let message = format!("{}; {far}; {}", failure.message, operation.again());
            Failure { message, ..failure }
        };
        let mut progress = Progress::begin(total, self.quiet);
        let path = format!("tasks:{}", operation.word());
        let stream = client.stream(Path { parts: &["v1", &path], query }, operation.document())?;
        let mut last = Value::Null;
        while let Some((line, told)) = stream.next().map_err(|failure| broken_off(failure, &last))? {
            if client.prints_json() {
                progress.aside(|| print(&line))?;
            }
            if let Some(problem) = told.get("problem") {
                let far = if told.get("changed").is_some() { &told } else { &last };
                return Err(broken_off(problem_within(problem), far));
            }
            progress.at(number(&told, "changed") + number(&told, "skipped"), || words(&told, total));
            // An answer in one piece does not say that it is the last.
            if told.get("done").and_then(Value::as_bool).unwrap_or(true) {
                drop(progress);
                let matched = told.get("matched").and_then(Value::as_u64);
                return if client.prints_json() { Ok(()) } else { print(&words(&told, matched)) };
            }
            last = told;
        }
        Err(broken_off(Failure::new(AWAY, "the answer broke off"), &last))
    }
}

/// Just behind the newest task that is stored: an end by the database's clock, by which tasks are told to be older or younger.
/// This machine's may be wrong.
fn stored_by_now(client: &Client) -> Result<Timestamp, Failure> {
    let query = [("limit", "1".to_owned())];
    let page = client.get(Path { parts: &["v1", "tasks"], query: &query })?.json()?;
    let Some(newest) = page.get("tasks").and_then(Value::as_array).and_then(|tasks| tasks.first()) else {
        // Before all tasks that there may ever be.
        return Ok(Timestamp::from_micros(0));
    };
    let stored = Timestamp::parse(&field(newest, "created_at"));
    let stored = stored.ok_or_else(|| Failure::new(AWAY, "the answer is not a node's: a task has no created_at"))?;
    Ok(stored.plus(Duration::from_micros(1)))
}

/// How many tasks it would be done to, and the answer that says so.
fn count(client: &Client, operation: &Operation, query: &Query) -> Result<(u64, String), Failure> {
    let mut query = query.clone();
    query.push(("dry_run", "true".to_owned()));
    let path = format!("tasks:{}", operation.word());
    let answer = client.count(Path { parts: &["v1", &path], query: &query }, operation.document())?;
    let matched = answer.json()?.get("matched").and_then(Value::as_u64);
    let matched = matched.ok_or_else(|| Failure::new(AWAY, "the answer is not a node's: it has no count"))?;
    Ok((matched, String::from_utf8_lossy(&answer.body).into_owned()))
}

fn would(operation: &Operation, count: u64) -> String {
    let tasks = if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") };
    format!("{tasks} to {}", operation.word())
}

/// Anything but a clear yes is a no.
fn confirmed(question: &str) -> bool {
    let mut stderr = std::io::stderr().lock();
    let asked = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let mut answer = String::new();
    asked.is_ok() && std::io::stdin().read_line(&mut answer).is_ok() && is_yes(&answer)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn number(told: &Value, name: &str) -> u64 {
    told.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// `total` is how many there are in all. Under way the server's own count of matches is no more than those that it has come to.
fn words(told: &Value, total: Option<u64>) -> String {
    let skipped = match number(told, "skipped") {
        0 => String::new(),
        skipped => format!(", {skipped} skipped that had moved on"),
    };
    let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
    format!("{}{of} tasks changed{skipped}", number(told, "changed"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::exit::USAGE;
    use crate::cli::fake_node::{FakeNode, Told};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        many: Many,
    }

    fn run(node: &FakeNode, operation: &Operation, args: &[&str]) -> Result<(), Failure> {
        let line = Line::try_parse_from([&["x", "--quiet", "--label=a=b"], args].concat()).unwrap();
        line.many.run(&node.client(), operation)
    }

    #[test]
    fn progress_is_followed_to_the_line_that_says_done() {
        let node = FakeNode::start(|_, _| {
            Told::json(
                200,
                "{\"matched\":2,\"changed\":1,\"skipped\":0,\"done\":false}\n{\"matched\":2,\"changed\":1,\"skipped\":1,\"done\":true}\n",
            )
        });
        run(&node, &Operation::Resolve("failed".to_owned()), &["--yes"]).unwrap();
        let asked = node.asked();
        assert_eq!(asked[0].line, "POST /v1/tasks:resolve?label=a%3Db");
        assert_eq!(
            (asked[0].body.as_str(), asked[0].header("accept")),
            ("{\"state\":\"failed\"}", "application/x-ndjson")
        );
    }

    #[test]
    fn an_answer_in_one_piece_is_an_end_too() {
        let node = FakeNode::start(|_, _| Told::json(200, "{\"matched\":2,\"changed\":2,\"skipped\":0}"));
        run(&node, &Operation::Run, &["--yes"]).unwrap();
    }

    #[test]
    fn a_dry_run_only_counts() {
        let node = FakeNode::start(|_, _| Told::json(200, "{\"matched\":7,\"dry_run\":true}"));
        run(&node, &Operation::Cancel, &["--dry-run"]).unwrap();
        assert_eq!(node.lines(), ["POST /v1/tasks:cancel?label=a%3Db&dry_run=true"]);
    }

    #[test]
    fn what_broke_off_says_how_far_it_came() {
        let begun = "{\"matched\":9,\"changed\":4,\"skipped\":0,\"done\":false}\n";
        let node = FakeNode::start(move |_, _| Told::json(200, begun).broken());
        let failure = run(&node, &Operation::Retry, &["--yes"]).unwrap_err();
        assert_eq!(failure.code, AWAY);
        assert!(failure.message.contains("; 4 tasks changed by then; "), "{failure}");

        let problem =
            "{\"problem\":{\"title\":\"Not now\",\"status\":503},\"matched\":9,\"changed\":5,\"done\":false}\n";
        let node = FakeNode::start(move |_, _| Told::json(200, format!("{begun}{problem}")));
        let failure = run(&node, &Operation::Retry, &["--yes"]).unwrap_err();
        assert_eq!(failure.code, AWAY);
        assert!(failure.message.starts_with("503 Not now; 5 tasks changed"), "{failure}");
    }

    #[test]
    fn what_the_same_again_does_is_told_as_it_is() {
        let node = FakeNode::start(|_, _| Told::json(200, "").broken());
        let when = |name: &str| Operation::Reschedule(serde_json::json!({ name: 1 }));
        for (operation, words) in [
            (Operation::Cancel, "goes on with what is left"),
            (Operation::Retry, "failed again"),
            (Operation::Resolve("scheduled".to_owned()), "unknown again"),
            (Operation::Run, "begins anew"),
            (when("run_at"), "comes to the same time; add --to"),
            (when("delay_ms"), "moved once more; take --at"),
        ] {
            let failure = run(&node, &operation, &["--yes"]).unwrap_err();
            assert!(failure.message.contains("the same command again") && failure.message.contains(words), "{failure}");
        }
    }

    /// The newest task, how many are counted, and what is done.
    fn node_of(count: u64) -> FakeNode {
        FakeNode::start(move |asked, _| match asked.line.as_str() {
            "GET /v1/tasks?limit=1" => Told::json(200, r#"{"tasks": [{"created_at": "2026-12-24T18:00:00.000007Z"}]}"#),
            line if line.ends_with("&dry_run=true") => {
                Told::json(200, format!("{{\"matched\":{count},\"dry_run\":true}}"))
            }
            _ => Told::json(200, "{\"matched\":3,\"changed\":3,\"skipped\":0,\"done\":true}"),
        })
    }

    fn ask(node: &FakeNode, says: bool) -> (Result<(), Failure>, Option<String>) {
        let line = Line::try_parse_from(["x", "--quiet", "--label=a=b"]).unwrap();
        let mut question = None;
        let ended = line.many.ask(&node.client(), &Operation::Cancel, line.many.filters.query(), |asked| {
            question = Some(asked.to_owned());
            says
        });
        (ended, question)
    }

    #[test]
    fn what_is_stored_after_the_count_is_not_meant() {
        let node = node_of(3);
        let (ended, question) = ask(&node, true);
        ended.unwrap();
        assert_eq!(question.as_deref(), Some("3 tasks to cancel. Go on? [y/N] "));
        let query = "label=a%3Db&to=2026-12-24T18%3A00%3A00.000008Z";
        let path = format!("POST /v1/tasks:cancel?{query}");
        assert_eq!(node.lines(), ["GET /v1/tasks?limit=1".to_owned(), format!("{path}&dry_run=true"), path]);
    }

    #[test]
    fn nothing_is_done_after_a_no_or_to_no_task() {
        let node = node_of(3);
        assert_eq!(ask(&node, false).0.unwrap_err().code, REFUSED);
        assert_eq!(node.lines().len(), 2);
        let node = node_of(0);
        let (ended, question) = ask(&node, true);
        ended.unwrap();
        assert_eq!((question, node.lines().len()), (None, 2));
    }

    #[test]
    fn without_a_terminal_nothing_is_done_without_a_yes() {
        // The tests' stdin may be a terminal; then there would be somebody to ask.
        if terminal::can_be_asked() {
            return;
        }
        let node = FakeNode::start(|_, _| Told::nothing());
        let failure = run(&node, &Operation::Cancel, &[]).unwrap_err();
        assert_eq!((failure.code, node.lines().len()), (USAGE, 0));
        assert!(failure.message.contains("--yes") && failure.message.contains("--dry-run"), "{failure}");
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(["y\n", "YES\n", " yes "].into_iter().all(is_yes));
        assert!(!["", "\n", "n\n", "yeah\n", "no"].into_iter().any(is_yes));
    }
}
