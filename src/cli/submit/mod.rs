//! `task-scheduler submit`.

mod document;
mod target;

use clap::{ArgGroup, Args};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::answer::field;
use super::client::{Client, Path};
use super::exit::{AWAY, Failure};
use super::human_time::HumanTime;
use super::output::print;
use super::upload::Upload;
use super::{duration, human_time, payload};
use crate::domain::time::millis_of;
use document::{Document, Misfire, Retry};
use target::{TargetArgs, split_all};

const EXAMPLES: &str = "\
Examples:
  task-scheduler submit --in 5m --http https://hooks.example.org/orders '{\"order\": 42}'
  task-scheduler submit --at '2026-12-24 18:00 Europe/Berlin' --kafka reminders --record-key 42 @reminder.json
  echo '\"hello\"' | task-scheduler submit --in 30s --log -
  task-scheduler submit --lines tasks.ndjson

Prints the task's id. Without --id and --key it makes an id itself: after exit code 75 the same call with --id and that
id (it is in the message) cannot make a second task.

--lines uploads one document per line. A line without an id gets one that is made from what the line says, from how many
lines above it say the same, and from --upload: the same upload again, whole or broken off, makes each task once, and a line
that stands twice makes two. A later upload of the same lines that is to make new tasks needs another --upload. Refused lines are
told with their numbers, and the rest goes on.";

/// Its arguments.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("when").args(["at", "delay", "document", "lines"]).required(true))]
#[command(group = ArgGroup::new("where").args(["http", "kafka", "log", "document", "lines"]).required(true))]
#[command(after_help = EXAMPLES)]
pub struct Submit {
    #[command(flatten)]
    client: Client,
    /// When to run: RFC 3339, '2026-12-24 18:00 Europe/Berlin', 'tomorrow 18:00 UTC' or 'in 5m'
    #[arg(long, value_name = "TIME", value_parser = human_time::ahead)]
    at: Option<HumanTime>,
    /// How long from now: 250ms, 30s, 5m, 2h, 1d, 1h30m
    #[arg(long = "in", id = "delay", value_name = "DURATION")]
    delay: Option<String>,
    #[command(flatten)]
    target: TargetArgs,
    /// What to send: JSON, @FILE, or - for stdin
    #[arg(conflicts_with = "payload_file")]
    payload: Option<String>,
    /// A file with what to send: JSON, or any bytes with --raw; - for stdin
    #[arg(long, value_name = "FILE")]
    payload_file: Option<String>,
    /// Send the bytes of the payload as they are
    #[arg(long)]
    raw: bool,
    /// The task's id, a UUID; the same id is the same task [default: a new one]
    #[arg(long, conflicts_with = "key")]
    id: Option<String>,
    /// A key that stands for the id (header Idempotency-Key); the same key is the same task
    #[arg(long)]
    key: Option<String>,
    #[arg(help = "What to do if nobody can know whether the target was reached [default: at_most_once]")]
    #[arg(long, value_parser = ["at_most_once", "at_least_once"])]
    delivery: Option<String>,
    /// 0 to 9; among due tasks the higher goes first [default: 0]
    #[arg(long, value_name = "N")]
    priority: Option<u64>,
    /// A label, as name=value (repeat it for more)
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Longest time of one call [default: 30000 ms]
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// Most starts of the task, retries included [default: 5]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u64>,
    /// Call it off if it is due longer ago than this [default: fire it however late]
    #[arg(long, value_name = "MS")]
    expire_after_ms: Option<u64>,
    /// A whole JSON document as POST /v1/tasks takes it, instead of all of these; - for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "payload", "payload_file", "raw", "id", "delivery", "priority", "labels", "timeout_ms", "max_attempts",
        "expire_after_ms", "method", "headers", "record_key", "lines",
    ])]
    document: Option<String>,
    /// Many documents, one per line, instead of all of these; - for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "payload", "payload_file", "raw", "id", "key", "delivery", "priority", "labels", "timeout_ms", "max_attempts",
        "expire_after_ms", "method", "headers", "record_key", "at", "delay", "http", "kafka", "log",
    ])]
    lines: Option<String>,
    /// What tells this upload of lines from another of the same ones
    #[arg(long, value_name = "NAME", requires = "lines", conflicts_with_all = ["at", "delay", "document"])]
    upload: Option<String>,
    /// No progress of an upload
    #[arg(long, requires = "lines", conflicts_with_all = ["at", "delay", "document"])]
    quiet: bool,
}

impl Submit {
    /// Submits, and prints the id.
    pub fn run(mut self) -> Result<(), Failure> {
        if let Some(file) = &self.lines {
            let name = self.upload.as_deref().unwrap_or_default();
            return Upload { client: &self.client, file, name, quiet: self.quiet }.run();
        }
        if self.document.is_none() && self.id.is_none() && self.key.is_none() {
            self.id = Some(Uuid::now_v7().to_string());
        }
        let document = match &self.document {
            Some(file) => payload::read(file)?,
            None => self.as_document()?,
        };
        let answer = self.client.post(Path::of(&["v1", "tasks"]), document, self.key.as_deref());
        let answer = answer.map_err(|failure| self.repeatable(failure))?;
        if self.client.prints_json() { answer.print_raw() } else { print(&field(&answer.json()?, "id")) }
    }

    /// After an unclear end nobody knows whether the task was stored: a repeat must be the same task.
    fn repeatable(&self, mut failure: Failure) -> Failure {
        if let (AWAY, Some(id), false) = (failure.code, &self.id, failure.message.is_empty()) {
            let again = format!("to repeat, add --id {id}: that is the same task even if this one was stored");
            failure.message = format!("{}; {again}", failure.message);
        }
        failure
    }

    fn as_document(&self) -> Result<Vec<u8>, Failure> {
        let delay = self
            .delay
            .as_deref()
            .map(duration::parse)
            .transpose()
            .map_err(|why| Failure::usage(format!("--in: {why}")))?;
        // What is counted from now is counted by the node: this machine's clock may be wrong.
        let (run_at, delay) = match &self.at {
            Some(HumanTime::In(after)) => (None, Some(*after)),
            Some(at) => (Some(at.rfc3339_now()), None),
            None => (None, delay),
        };
        let document = Document {
            id: self.id.as_deref(),
            run_at,
            delay_ms: delay.map(millis_of),
            target: self.target.target()?,
            payload: self.payload()?,
            delivery: self.delivery.as_deref(),
            retry: self.max_attempts.map(|max_attempts| Retry { max_attempts }),
            timeout_ms: self.timeout_ms,
            misfire: self.expire_after_ms.map(|expire_after_ms| Misfire { expire_after_ms }),
            priority: self.priority,
            labels: split_all(&self.labels, '=', "--label")?,
        };
        serde_json::to_vec(&document).map_err(|cause| Failure::usage(cause.to_string()))
    }

    fn payload(&self) -> Result<Option<Box<RawValue>>, Failure> {
        let bytes = match (self.payload.as_deref(), self.payload_file.as_deref()) {
            (None, None) if self.raw => return Err(Failure::usage("--raw needs a payload")),
            (None, None) => return Ok(None),
            (Some("-"), _) => payload::read("-")?,
            // No JSON begins with an @.
            (Some(text), _) => match text.strip_prefix('@') {
                Some(file) => payload::read(file)?,
                None => text.as_bytes().to_vec(),
            },
            (None, Some(file)) => payload::read(file)?,
        };
        Ok(Some(if self.raw { payload::as_bytes(&bytes)? } else { payload::as_json(&bytes)? }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::domain::document::{Document as Checked, Received};
    use crate::domain::time::Timestamp;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        submit: Submit,
    }

    fn parsed(args: &[&str]) -> Result<Submit, clap::Error> {
        Line::try_parse_from([&["submit"], args].concat()).map(|line| line.submit)
    }

    fn document(args: &[&str]) -> String {
        String::from_utf8(parsed(args).unwrap().as_document().unwrap()).unwrap()
    }

    #[test]
    fn flags_become_the_document_that_the_api_takes() {
        let id = "0199c0de-0000-7000-8000-000000000001";
        let json = document(&[
            "--in",
            "3s",
            "--http",
            "http://h/x",
            "--method",
            "PUT",
            "--header",
            "X-A: 1",
            "--id",
            id,
            "--delivery",
            "at_least_once",
            "--priority",
            "3",
            "--label",
            "a=b=c",
            "--timeout-ms",
            "500",
            "--max-attempts",
            "2",
            "--expire-after-ms",
            "9",
            r#"{"order": 42}"#,
        ]);
        let at = Timestamp::from_micros(0);
        let task = Checked::parse(json.as_bytes())
            .unwrap()
            .check(Received { idempotency_key: None, record_key: None, at })
            .unwrap();
        assert_eq!(task.id.to_string(), id);
        assert_eq!(task.run_at.micros(), 3_000_000);
        assert_eq!((task.spec.priority, task.spec.retry.max_attempts), (3, 2));
        assert_eq!(task.spec.labels["a"], "b=c");
        assert_eq!(task.spec.payload.bytes(), br#"{"order": 42}"#);
    }

    #[test]
    fn the_shortest_call_says_only_what_it_was_told() {
        assert_eq!(document(&["--in", "0s", "--log"]), r#"{"delay_ms":0,"target":{"type":"log"}}"#);
    }

    #[test]
    fn a_topic_may_have_its_cluster_before_it() {
        let target = |args: &[&str]| {
            let document = document(&[&["--in", "0s"], args].concat());
            serde_json::from_str::<serde_json::Value>(&document).unwrap()["target"].clone()
        };
        assert_eq!(target(&["--kafka", "orders"]), serde_json::json!({"type": "kafka", "topic": "orders"}));
        assert_eq!(
            target(&["--kafka", "west/orders", "--record-key", "42", "--header", "A: 1"]),
            serde_json::json!({"type": "kafka", "cluster": "west", "topic": "orders", "key": "42", "headers": {"A": "1"}})
        );
    }

    #[test]
    fn a_time_counted_from_now_is_the_nodes_to_count() {
        let log = r#""target":{"type":"log"}}"#;
        assert_eq!(document(&["--at", "in 5m", "--log"]), format!(r#"{{"delay_ms":300000,{log}"#));
        let instant = "2026-12-24T18:00:00+01:00";
        for at in [instant, "2026-12-24 18:00 Europe/Berlin"] {
            assert_eq!(document(&["--at", at, "--log"]), format!(r#"{{"run_at":"{instant}",{log}"#));
        }
    }

    #[test]
    fn a_payload_comes_from_the_argument_or_a_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"[1]").unwrap();
        let at_file = format!("@{}", file.path().display());
        let payload = |args: &[&str]| {
            parsed(&[&["--in", "1s", "--log"], args].concat())
                .unwrap()
                .payload()
                .map(|json| json.unwrap().get().to_owned())
        };
        assert_eq!(payload(&[&at_file]).unwrap(), "[1]");
        assert_eq!(payload(&["--raw", &at_file]).unwrap(), r#"{"base64":"WzFd"}"#);
        assert_eq!(payload(&["--raw", "hello"]).unwrap(), r#"{"base64":"aGVsbG8="}"#);
        assert!(payload(&["@/nowhere/x"]).unwrap_err().message.contains("/nowhere/x"));
        assert_eq!(payload(&["--raw"]).unwrap_err().code, crate::cli::exit::USAGE);
    }

    #[test]
    fn contradictions_and_gaps_are_wrong_usage() {
        for args in [
            vec!["--log"],
            vec!["--in", "1s"],
            vec!["--in", "1s", "--at", "x", "--log"],
            vec!["--in", "1s", "--log", "--http", "http://h/"],
            vec!["--in", "1s", "--log", "--method", "PUT"],
            vec!["--in", "1s", "--log", "--id", "a", "--key", "b"],
            vec!["--in", "1s", "--log", "--delivery", "exactly_once"],
            vec!["--document", "-", "--in", "1s"],
            vec!["--document", "-", "--lines", "-"],
            vec!["--lines", "-", "--in", "1s", "--log"],
            vec!["--lines", "-", "1"],
            vec!["--in", "1s", "--log", "--upload", "x"],
            vec!["--in", "1s", "--log", "--kafka", "orders"],
            vec!["--in", "1s", "--http", "http://h/", "--record-key", "1"],
            vec!["--in", "1s", "--log", "--header", "A: 1"],
            vec!["--at", "2026-12-24 18:00", "--log"],
            vec!["--in", "1s", "--log", "1", "--payload-file", "x"],
        ] {
            assert!(parsed(&args).is_err(), "{args:?}");
        }
        assert!(parsed(&["--document", "-", "--key", "k"]).is_ok());
    }

    #[test]
    fn values_that_cannot_be_read_are_named() {
        for args in [
            ["--in", "5", "--log", "1"],
            ["--in", "5s", "--log", "hello"],
            ["--in", "5s", "--log", "--label=x"],
            ["--in", "5s", "--http=http://h", "--header=x"],
        ] {
            assert_eq!(parsed(&args).unwrap().as_document().unwrap_err().code, crate::cli::exit::USAGE, "{args:?}");
        }
    }

    #[test]
    fn an_unclear_end_names_the_id_to_repeat_with() {
        let submit = parsed(&["--in", "1s", "--log", "--id", "X"]).unwrap();
        assert!(submit.repeatable(Failure::new(AWAY, "no answer")).message.contains("--id X"));
        assert_eq!(submit.repeatable(Failure::usage("no")).message, "no");
    }
}
