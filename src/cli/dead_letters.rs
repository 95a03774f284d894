//! `task-scheduler dead-letters`: records that could not be read, and their second chance.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::answer::field;
use super::client::{Client, Path};
use super::exit::Failure;
use super::output::{pairs, print, say};
use super::payload;
use super::table::{table, to_the_second};

/// For the help.
const EXAMPLES: &str = "\
Examples:
  task-scheduler dead-letters
  task-scheduler dead-letters show 17
  task-scheduler dead-letters replay 17
  task-scheduler dead-letters replay 17 --record mended.json

A replay submits the record again, or another document instead of it; the letter stays if that is refused.";

const HEADING: [&str; 6] = ["ID", "BURIED AT", "REPLAYED AT", "BYTES", "ORIGIN", "REASON"];

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct DeadLetters {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: ListLetters,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List them, the newest first, replayed ones too
    List(ListLetters),
    /// Show one, and the record that could not be read
    Show(Show),
    /// Submit it again
    Replay(Replay),
}

#[derive(Debug, Args)]
struct ListLetters {
    #[command(flatten)]
    client: Client,
    /// At most so many [default: the server's]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Go on where the list before ended
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    client: Client,
    /// The letter's id
    id: String,
}

#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    client: Client,
    /// The letter's id
    id: String,
    /// A file with the task's document to submit instead; - for stdin
    #[arg(long, value_name = "FILE")]
    record: Option<String>,
}

impl DeadLetters {
    /// Lists, shows or replays.
    pub fn run(self) -> Result<(), Failure> {
        match self.action {
            None => self.list.run(),
            Some(Action::List(list)) => list.run(),
            Some(Action::Show(show)) => show.run(),
            Some(Action::Replay(replay)) => replay.run(),
        }
    }
}

impl ListLetters {
    fn run(self) -> Result<(), Failure> {
        let limit = self.limit.map(|limit| limit.to_string());
        let named = [("limit", limit), ("cursor", self.cursor)];
        let query: Vec<_> = named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let answer = self.client.get(Path { parts: &["v1", "dead-letters"], query: &query })?;
        if self.client.prints_json() {
            return answer.print_raw();
        }
        let page = answer.json()?;
        print(&table(&HEADING, &rows(&page)))?;
        let cursor = field(&page, "next_cursor");
        if !cursor.is_empty() {
            say(&format!("there are more: repeat with --cursor {cursor}"));
        }
        Ok(())
    }
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let answer = self.client.get(Path::of(&["v1", "dead-letters", &self.id]))?;
        if self.client.prints_json() { answer.print_raw() } else { print(&shown(&answer.json()?)) }
    }
}

impl Replay {
    fn run(self) -> Result<(), Failure> {
        let document = match &self.record {
            None => b"{}".to_vec(),
            Some(file) => {
                let record = payload::as_json(&payload::read(file)?)?;
                [b"{\"record\":", record.get().as_bytes(), b"}"].concat()
            }
        };
        let answer = self.client.post(Path::of(&["v1", "dead-letters", &self.id, "replay"]), document, None)?;
        if self.client.prints_json() { answer.print_raw() } else { print(&field(&answer.json()?, "id")) }
    }
}

fn rows(page: &Value) -> Vec<Vec<String>> {
    let letters = page.get("dead_letters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names = ["id", "buried_at", "replayed_at", "bytes", "origin", "reason"];
    letters.iter().map(|letter| names.map(|name| to_the_second(&field(letter, name))).to_vec()).collect()
}

/// The record last, as it is the longest.
fn shown(letter: &Value) -> String {
    let names = ["id", "buried_at", "replayed_at", "origin", "reason", "bytes", "published", "record"];
    let rows: Vec<(&str, String)> = names.into_iter().map(|name| (name, field(letter, name))).collect();
    pairs(&rows.into_iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::fake_node::{FakeNode, Told};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        letters: DeadLetters,
    }

    fn asked(args: &[&str]) -> (String, String) {
        let node = FakeNode::start(|_, _| Told::value(200, &json!({ "id": "1", "dead_letters": [] })));
        let line = Line::try_parse_from([&["x"], args, &["--server", &node.url]].concat()).unwrap();
        line.letters.run().unwrap();
        let asked = node.asked().remove(0);
        (asked.line, asked.body)
    }

    #[test]
    fn they_are_listed_shown_and_replayed() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"delay_ms\": 1}").unwrap();
        for (args, line, body) in [
            (vec!["--limit", "2"], "GET /v1/dead-letters?limit=2", ""),
            (vec!["list", "--cursor", "c"], "GET /v1/dead-letters?cursor=c", ""),
            (vec!["show", "17"], "GET /v1/dead-letters/17", ""),
            (vec!["replay", "17"], "POST /v1/dead-letters/17/replay", "{}"),
            (
                vec!["replay", "17", "--record", file.path().to_str().unwrap()],
                "POST /v1/dead-letters/17/replay",
                "{\"record\":{\"delay_ms\": 1}}",
            ),
        ] {
            assert_eq!(asked(&args), (line.to_owned(), body.to_owned()));
        }
    }

    #[test]
    fn a_letter_is_shown_with_its_record_last() {
        let text = shown(&json!({"record": "{", "id": 17, "reason": "no JSON", "replayed_at": null}));
        assert_eq!(text, "id      17\nreason  no JSON\nrecord  {\n");
        let page =
            json!({"dead_letters": [{"id": 17, "buried_at": "2026-12-24T17:00:00.000000Z", "reason": "no JSON"}]});
        assert_eq!(rows(&page), [["17", "2026-12-24T17:00:00Z", "", "", "", "no JSON"]]);
    }
}
