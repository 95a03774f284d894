//! `task-scheduler submit`.

use std::collections::BTreeMap;

use clap::{ArgGroup, Args};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::answer::field;
use super::client::{Client, Path};
use super::duration;
use super::exit::{AWAY, Failure};
use super::output::print;
use super::payload;
use crate::domain::time::millis_of;

/// Its arguments.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("when").args(["at", "delay", "document"]).required(true))]
#[command(group = ArgGroup::new("where").args(["http", "log", "document"]).required(true))]
#[command(after_help = "Prints the task's id. Without --id and --key it makes an id itself: after exit code 75 the \
    same call with --id and that id (it is in the message) cannot make a second task.")]
pub struct Submit {
    #[command(flatten)]
    client: Client,
    /// When to run: RFC 3339 with an offset, like 2026-12-24T18:00:00+01:00
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// How long from now: 250ms, 30s, 5m, 2h, 1d, 1h30m
    #[arg(long = "in", id = "delay", value_name = "DURATION")]
    delay: Option<String>,
    /// Call this URL
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// The method of the call [default: POST]
    #[arg(long, requires = "http", conflicts_with = "log")]
    method: Option<String>,
    /// A header of the call, as 'Name: value' (repeat it for more)
    #[arg(long = "header", value_name = "HEADER", requires = "http", conflicts_with = "log")]
    headers: Vec<String>,
    /// Write the payload to the node's log instead of calling anybody
    #[arg(long)]
    log: bool,
    /// What to send: JSON, or - for stdin
    #[arg(conflicts_with = "payload_file")]
    payload: Option<String>,
    /// A file with what to send: JSON, or any bytes with --raw; - for stdin
    #[arg(long, value_name = "FILE")]
    payload_file: Option<String>,
    /// Send the bytes of --payload-file as they are
    #[arg(long, requires = "payload_file")]
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
        "payload", "payload_file", "id", "delivery", "priority", "labels", "timeout_ms", "max_attempts", "expire_after_ms",
    ])]
    document: Option<String>,
}

/// The document of `POST /v1/tasks`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    target: Target<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    misfire: Option<Misfire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Target<'a> {
    Http {
        url: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<&'a str>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<&'a str, &'a str>,
    },
    Log,
}

#[derive(Debug, Serialize)]
struct Retry {
    max_attempts: u64,
}

#[derive(Debug, Serialize)]
struct Misfire {
    expire_after_ms: u64,
}

impl Submit {
    /// Submits, and prints the id.
    pub fn run(mut self) -> Result<(), Failure> {
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
        let document = Document {
            id: self.id.as_deref(),
            run_at: self.at.as_deref(),
            delay_ms: delay.map(millis_of),
            target: self.target()?,
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

    fn target(&self) -> Result<Target<'_>, Failure> {
        let Some(url) = self.http.as_deref() else { return Ok(Target::Log) };
        Ok(Target::Http { url, method: self.method.as_deref(), headers: split_all(&self.headers, ':', "--header")? })
    }

    fn payload(&self) -> Result<Option<Box<RawValue>>, Failure> {
        let payload = match (&self.payload, &self.payload_file) {
            (None, None) => return Ok(None),
            (Some(text), _) if text != "-" => payload::as_json(text.as_bytes())?,
            (stdin, file) => {
                let bytes = payload::read(stdin.as_ref().or(file.as_ref()).map_or("-", String::as_str))?;
                if self.raw { payload::as_bytes(&bytes)? } else { payload::as_json(&bytes)? }
            }
        };
        Ok(Some(payload))
    }
}

/// `name=value` or `Name: value`, each name once: a later one would silently win otherwise.
fn split_all<'a>(texts: &'a [String], at: char, flag: &str) -> Result<BTreeMap<&'a str, &'a str>, Failure> {
    let mut pairs = BTreeMap::new();
    for text in texts {
        let wrong = |why: &str| Failure::usage(format!("{flag} is {}; allowed: {why}", super::exit::quoted(text)));
        let (name, value) = text.split_once(at).ok_or_else(|| wrong(&format!("a name, '{at}' and a value")))?;
        if pairs.insert(name.trim(), value.trim()).is_some() {
            return Err(wrong("each name once"));
        }
    }
    Ok(pairs)
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
            assert_eq!(parsed(&args).unwrap().as_document().unwrap_err().code, super::super::exit::USAGE, "{args:?}");
        }
    }

    #[test]
    fn an_unclear_end_names_the_id_to_repeat_with() {
        let submit = parsed(&["--in", "1s", "--log", "--id", "X"]).unwrap();
        assert!(submit.repeatable(Failure::new(AWAY, "no answer")).message.contains("--id X"));
        assert_eq!(submit.repeatable(Failure::usage("no")).message, "no");
    }
}
