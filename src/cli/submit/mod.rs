//! `task-scheduler submit`.

mod document;
#[cfg(test)]
mod submit_test;
mod target;

use clap::{ArgGroup, Args};
use serde_json::Value;
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
id (it is in the message, with --json in the refusal) cannot make a second task.

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
            failure.json = failure.json.and_then(|refusal| with_id(&refusal, id));
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

/// A refusal with the id of what it refused, unless it names one; `None` if it is nothing that has fields.
fn with_id(refusal: &[u8], id: &str) -> Option<Vec<u8>> {
    let mut problem: Value = serde_json::from_slice(refusal).ok()?;
    problem.as_object_mut()?.entry("id").or_insert_with(|| id.into());
    Some(problem.to_string().into_bytes())
}
