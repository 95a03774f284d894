//! `task-scheduler pause`, `resume` and `pauses`: dispatch held back, for everything or for a label.

use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use ureq::http::StatusCode;

use super::answer::{Answer, field};
use super::client::{Client, Path};
use super::exit::{Failure, REFUSED, quoted};
use super::output::{print, say};
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

Without an id, --label and --all it ends the pause of everything. What came due
before is fired oldest first, 1000 a second unless said.
With --all, pauses that are being resumed already keep their pace unless one is given.";

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
    /// Resumes, and shows what is still waiting, also if it cannot go on to the last of them.
    pub fn run(self) -> Result<(), Failure> {
        let meant = match self.id {
            Some(id) => vec![json!({ "id": id })],
            None => self.found()?,
        };
        let (mut resumed, mut ended) = (Vec::new(), Ok(()));
        for pause in meant {
            match self.resume(pause) {
                Ok(pause) => resumed.extend(pause),
                Err(failure) => {
                    ended = Err(failure);
                    break;
                }
            }
        }
        if !resumed.is_empty() && !self.client.prints_json() {
            print(&shown(&resumed))?;
        }
        ended
    }

    /// The pause as it stands now; `None` if it is gone, which is what was wanted of those that were looked for.
    fn resume(&self, pause: Value) -> Result<Option<Value>, Failure> {
        let id = field(&pause, "id");
        if self.keeps_its_pace(&pause) {
            if self.client.prints_json() {
                print(&pause.to_string())?;
            }
            return Ok(Some(pause));
        }
        let answer = match self.asked(&id) {
            Err(failure) if self.id.is_none() && failure.status == Some(StatusCode::NOT_FOUND.as_u16()) => {
                say(&format!("the pause {id} is gone already"));
                return Ok(None);
            }
            answer => answer?,
        };
        if self.client.prints_json() {
            answer.print_raw()?;
        }
        answer.json().map(Some)
    }

    /// Nobody who means all of them wants those that are on their way slower or faster without saying so.
    fn keeps_its_pace(&self, pause: &Value) -> bool {
        let says_no_pace = self.per_second.is_none() && !self.at_once;
        self.all && says_no_pace && pause.get("resumed_at").is_some_and(|at| !at.is_null())
    }

    fn asked(&self, id: &str) -> Result<Answer, Failure> {
        let pace = match (self.per_second, self.at_once) {
            (Some(pace), _) => json!({ "per_second": pace }),
            (None, true) => json!({ "per_second": null }),
            (None, false) => json!({}),
        };
        self.client.post(Path::of(&["v1", "pauses", id, "resume"]), pace.to_string().into_bytes(), None)
    }

    /// The pauses that are meant.
    fn found(&self) -> Result<Vec<Value>, Failure> {
        let label = self.label.as_deref().map(as_shown).transpose()?;
        let mut pauses = in_force(&self.client.get(Path::of(&["v1", "pauses"]))?)?;
        // The pause of everything has none.
        pauses.retain(|pause| self.all || pause.get("label").and_then(Value::as_str) == label.as_deref());
        if !pauses.is_empty() {
            return Ok(pauses);
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

/// A label as a pause shows it: `name=value`, also if it was given as `name:value`, as the server takes it.
fn as_shown(label: &str) -> Result<String, Failure> {
    let parts = label.split_once('=').or_else(|| label.split_once(':')).filter(|(name, _)| !name.is_empty());
    let (name, value) = parts.ok_or_else(|| {
        let all = "without --label it is the pause of everything that is resumed";
        Failure::usage(format!("--label is {}; allowed: name=value or name:value; {all}", quoted(label)))
    })?;
    Ok(format!("{name}={value}"))
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
    use crate::cli::exit::{AWAY, USAGE};
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
    fn a_label_is_read_as_a_pause_reads_it_and_an_empty_one_means_nothing() {
        let colon = ["resume", "--label", "c:d"];
        assert_eq!(run(&node(true), &colon).unwrap(), [asked("/2/resume", "{}")]);
        for label in ["", "=", ":x", "acme"] {
            let node = node(true);
            assert_eq!(run(&node, &["resume", "--label", label]).unwrap_err().code, USAGE, "{label}");
            assert_eq!(node.lines().len(), 0, "{label}");
        }
    }

    /// Four pauses: 1 is being resumed, 2 is gone when it is resumed, and 4 cannot be resumed now.
    fn node_in_motion() -> FakeNode {
        FakeNode::start(|asked, _| {
            let pause = |id: u64, at: Option<&str>| json!({"id": id, "label": format!("n={id}"), "resumed_at": at});
            match asked.line.as_str() {
                "GET /v1/pauses" => Told::value(
                    200,
                    &json!({ "pauses": [pause(1, Some("t")), pause(2, None), pause(3, None), pause(4, None)] }),
                ),
                "POST /v1/pauses/2/resume" => Told::value(404, &json!({ "title": "No such pause", "status": 404 })),
                "POST /v1/pauses/4/resume" => Told::value(503, &json!({ "title": "Not now", "status": 503 })),
                _ => Told::value(200, &pause(3, Some("t"))),
            }
        })
    }

    #[test]
    fn all_leaves_what_is_being_resumed_at_its_pace_and_is_not_stopped_by_what_is_gone() {
        let node = node_in_motion();
        let failure = run(&node, &["resume", "--all"]).unwrap_err();
        assert_eq!(failure.code, AWAY);
        assert_eq!(node.lines()[1..], ["2", "3", "4"].map(|id| format!("POST /v1/pauses/{id}/resume")));
        let node = node_in_motion();
        run(&node, &["resume", "--all", "--per-second", "5"]).unwrap_err();
        assert_eq!(node.lines()[1], "POST /v1/pauses/1/resume");
        assert_eq!(run(&node_in_motion(), &["resume", "2"]).unwrap_err().code, REFUSED);
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
