//! `task-scheduler pause`, `resume` and `pauses`: dispatch held back, for everything or for a label.

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::answer::{Answer, field};
use super::client::{Client, Path};
use super::exit::{Failure, REFUSED, quoted};
use super::output::print;
use super::table::{table, to_the_second};

/// For the help of `pause`.
const PAUSE_EXAMPLES: &str = "\
Examples:
  task-scheduler pause --label tenant=acme --reason 'their hooks are down'
  task-scheduler pause

No task that matches is claimed any more; what was claimed just before is still fired.";

/// For the help of `resume`.
const RESUME_EXAMPLES: &str = "\
Examples:
  task-scheduler resume --label tenant=acme --per-second 50
  task-scheduler resume 3 --at-once
  task-scheduler resume --all

Without an id, --label and --all it ends the pause of everything. What came due meanwhile is fired oldest first, 1000 a second unless said.";

/// For the help of `pauses`.
const PAUSES_EXAMPLES: &str = "\
Examples:
  task-scheduler pauses
  task-scheduler pauses --json";

const HEADING: [&str; 7] = ["ID", "LABEL", "WAITING", "PAUSED AT", "RESUMED AT", "PER SECOND", "REASON"];

/// The arguments of `pause`.
#[derive(Debug, Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub struct Pause {
    #[command(flatten)]
    client: Client,
    /// Only tasks with this label, as name=value [default: all tasks]
    #[arg(long)]
    label: Option<String>,
    /// Why, for those who find it paused
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// The arguments of `resume`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(after_help = RESUME_EXAMPLES)]
#[command(group = ArgGroup::new("which").args(["id", "label", "all"]))]
pub struct Resume {
    #[command(flatten)]
    client: Client,
    /// The pause's id, as `pauses` shows it
    id: Option<u64>,
    /// The pause of this label
    #[arg(long)]
    label: Option<String>,
    /// All pauses
    #[arg(long)]
    all: bool,
    /// So many of those that wait are fired a second [default: 1000]
    #[arg(long, value_name = "N")]
    per_second: Option<u64>,
    /// All that wait are fired as fast as it goes
    #[arg(long, conflicts_with = "per_second")]
    at_once: bool,
}

/// The arguments of `pauses`.
#[derive(Debug, Args)]
#[command(after_help = PAUSES_EXAMPLES)]
pub struct Pauses {
    #[command(flatten)]
    client: Client,
}

impl Pause {
    /// Pauses, and shows the pause.
    pub fn run(self) -> Result<(), Failure> {
        let mut document = json!({});
        for (name, value) in [("label", &self.label), ("reason", &self.reason)] {
            if let (Some(value), Some(fields)) = (value, document.as_object_mut()) {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        let answer = self.client.post(Path::of(&["v1", "pauses"]), document.to_string().into_bytes(), None)?;
        if self.client.prints_json() { answer.print_raw() } else { print(&shown(&[answer.json()?])) }
    }
}

impl Resume {
    /// Resumes, and shows what is still waiting.
    pub fn run(self) -> Result<(), Failure> {
        let ids = match self.id {
            Some(id) => vec![id.to_string()],
            None => self.found()?,
        };
        let mut resumed = Vec::new();
        for id in ids {
            let answer = self.resume(&id)?;
            if self.client.prints_json() {
                answer.print_raw()?;
            } else {
                resumed.push(answer.json()?);
            }
        }
        if self.client.prints_json() { Ok(()) } else { print(&shown(&resumed)) }
    }

    fn resume(&self, id: &str) -> Result<Answer, Failure> {
        let pace = match (self.per_second, self.at_once) {
            (Some(pace), _) => json!({ "per_second": pace }),
            (None, true) => json!({ "per_second": null }),
            (None, false) => json!({}),
        };
        self.client.post(Path::of(&["v1", "pauses", id, "resume"]), pace.to_string().into_bytes(), None)
    }

    /// The ids of the pauses that are meant.
    fn found(&self) -> Result<Vec<String>, Failure> {
        let pauses = in_force(&self.client.get(Path::of(&["v1", "pauses"]))?)?;
        let label = self.label.as_deref().unwrap_or_default();
        let meant = pauses.iter().filter(|pause| self.all || field(pause, "label") == label);
        let ids: Vec<String> = meant.map(|pause| field(pause, "id")).collect();
        if !ids.is_empty() {
            return Ok(ids);
        }
        let what = match &self.label {
            _ if self.all => "nothing is paused".to_owned(),
            Some(label) => format!("there is no pause of the label {}", quoted(label)),
            None => "there is no pause of everything; name one by --label or its id, or take --all".to_owned(),
        };
        Err(Failure::new(REFUSED, format!("{what}; see `task-scheduler pauses`")))
    }
}

impl Pauses {
    /// Shows all pauses.
    pub fn run(self) -> Result<(), Failure> {
        let answer = self.client.get(Path::of(&["v1", "pauses"]))?;
        if self.client.prints_json() { answer.print_raw() } else { print(&shown(&in_force(&answer)?)) }
    }
}

fn in_force(answer: &Answer) -> Result<Vec<Value>, Failure> {
    Ok(answer.json()?.get("pauses").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn shown(pauses: &[Value]) -> String {
    let row = |pause: &Value| {
        let label = Some(field(pause, "label")).filter(|label| !label.is_empty());
        let more = if pause.get("waiting_more").and_then(Value::as_bool) == Some(true) { "+" } else { "" };
        let time = |name| to_the_second(&field(pause, name));
        let pace = field(pause, "per_second");
        let at_once = pace.is_empty() && !field(pause, "resumed_at").is_empty();
        vec![
            field(pause, "id"),
            label.unwrap_or_else(|| "everything".to_owned()),
            format!("{}{more}", field(pause, "waiting")),
            time("paused_at"),
            time("resumed_at"),
            if at_once { "at once".to_owned() } else { pace },
            field(pause, "reason"),
        ]
    };
    table(&HEADING, &pauses.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::fake_node::{FakeNode, Told};

    #[derive(Debug, Parser)]
    enum Line {
        Pause(Pause),
        Resume(Resume),
        Pauses(Pauses),
    }

    /// Two labels are paused; everything is as the test says.
    fn node(everything: bool) -> FakeNode {
        FakeNode::start(move |asked, _| {
            let pause = |id: u64, label: Option<&str>| json!({"id": id, "label": label, "waiting": 10_000, "waiting_more": true});
            let mut pauses = vec![pause(1, Some("a=b")), pause(2, Some("c=d"))];
            if everything {
                pauses.push(pause(3, None));
            }
            if asked.line == "GET /v1/pauses" {
                return Told::value(200, &json!({ "pauses": pauses }));
            }
            Told::value(200, &pauses[0])
        })
    }

    fn run(node: &FakeNode, args: &[&str]) -> Result<Vec<(String, String)>, Failure> {
        match Line::try_parse_from([&["x"], args, &["--server", &node.url]].concat()).unwrap() {
            Line::Pause(pause) => pause.run(),
            Line::Resume(resume) => resume.run(),
            Line::Pauses(pauses) => pauses.run(),
        }?;
        Ok(node
            .asked()
            .into_iter()
            .filter(|asked| asked.line.starts_with("POST"))
            .map(|asked| (asked.line, asked.body))
            .collect())
    }

    fn asked(line: &str, body: &str) -> (String, String) {
        (format!("POST /v1/pauses{line}"), body.to_owned())
    }

    #[test]
    fn a_pause_is_of_everything_or_of_a_label() {
        assert_eq!(run(&node(false), &["pause"]).unwrap(), [asked("", "{}")]);
        let with_all = ["pause", "--label", "a=b", "--reason", "why"];
        assert_eq!(run(&node(false), &with_all).unwrap(), [asked("", r#"{"label":"a=b","reason":"why"}"#)]);
    }

    #[test]
    fn a_pause_is_found_by_its_id_its_label_or_as_that_of_everything() {
        assert_eq!(run(&node(true), &["resume", "7"]).unwrap(), [asked("/7/resume", "{}")]);
        assert_eq!(run(&node(true), &["resume"]).unwrap(), [asked("/3/resume", "{}")]);
        let by_label = ["resume", "--label", "c=d", "--per-second", "50"];
        assert_eq!(run(&node(true), &by_label).unwrap(), [asked("/2/resume", r#"{"per_second":50}"#)]);
        let all = run(&node(true), &["resume", "--all", "--at-once"]).unwrap();
        assert_eq!(all, ["1", "2", "3"].map(|id| asked(&format!("/{id}/resume"), r#"{"per_second":null}"#)));
    }

    #[test]
    fn what_is_not_paused_cannot_be_resumed() {
        for args in [vec!["resume"], vec!["resume", "--label", "e=f"]] {
            assert_eq!(run(&node(false), &args).unwrap_err().code, REFUSED, "{args:?}");
        }
    }

    #[test]
    fn a_pause_shows_how_many_wait() {
        let text = shown(&[json!({"id": 3, "label": null, "waiting": 10_000, "waiting_more": true, "paused_at": "t"})]);
        let row: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row, ["3", "everything", "10000+", "t", "-", "-", "-"]);
        let resumed = shown(&[json!({"id": 3, "label": "a=b", "resumed_at": "t", "per_second": null})]);
        assert!(resumed.lines().last().unwrap().contains("at once"), "{resumed}");
    }
}
