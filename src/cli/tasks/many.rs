//! One operation on all tasks that filters find: counted first, asked about, and followed to its end.

use std::io::Write as _;

use clap::Args;
use serde_json::Value;

use super::filters::{Filters, Query};
use super::operation::Operation;
use crate::cli::answer::{field, problem_within};
use crate::cli::client::{Client, Path};
use crate::cli::exit::{AWAY, Failure, REFUSED};
use crate::cli::output::print;
use crate::cli::progress::Progress;
use crate::cli::terminal;

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
        let mut total = None;
        if !self.yes {
            if !terminal::can_be_asked() {
                let what = operation.word();
                return Err(Failure::usage(format!(
                    "to {what} many tasks without being asked, add --yes; to count them first, --dry-run"
                )));
            }
            let (count, _) = count(client, operation, &query)?;
            if count > 0 && !confirmed(&format!("{}. Go on? [y/N] ", would(operation, count))) {
                return Err(Failure::new(REFUSED, "nothing was changed"));
            }
            total = Some(count);
        }
        self.follow(client, operation, &query, total)
    }

    fn follow(&self, client: &Client, operation: &Operation, query: &Query, total: Option<u64>) -> Result<(), Failure> {
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
            if let (None, Some(matched)) = (total, told.get("matched").and_then(Value::as_u64)) {
                progress.ends_at(matched);
            }
            progress.at(number(&told, "changed") + number(&told, "skipped"), || words(&told));
            // An answer in one piece does not say that it is the last.
            if told.get("done").and_then(Value::as_bool).unwrap_or(true) {
                drop(progress);
                return if client.prints_json() { Ok(()) } else { print(&words(&told)) };
            }
            last = told;
        }
        Err(broken_off(Failure::new(AWAY, "the answer broke off"), &last))
    }
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

fn words(told: &Value) -> String {
    let skipped = match number(told, "skipped") {
        0 => String::new(),
        skipped => format!(", {skipped} skipped that had moved on"),
    };
    let matched = field(told, "matched");
    format!("{} of {} tasks changed{skipped}", number(told, "changed"), if matched.is_empty() { "?" } else { &matched })
}

/// How far it came, and that the same again goes on.
fn broken_off(failure: Failure, last: &Value) -> Failure {
    let far = match last {
        Value::Null => "it is not known how many were changed".to_owned(),
        told => format!("{} by then", words(told)),
    };
    let message = format!("{}; {far}; the same command again goes on with what is left", failure.message);
    Failure { message, ..failure }
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
        assert!(failure.message.contains("4 of 9 tasks changed by then"), "{failure}");

        let problem =
            "{\"problem\":{\"title\":\"Not now\",\"status\":503},\"matched\":9,\"changed\":5,\"done\":false}\n";
        let node = FakeNode::start(move |_, _| Told::json(200, format!("{begun}{problem}")));
        let failure = run(&node, &Operation::Retry, &["--yes"]).unwrap_err();
        assert_eq!(failure.code, AWAY);
        assert!(failure.message.starts_with("503 Not now; 5 of 9"), "{failure}");
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
