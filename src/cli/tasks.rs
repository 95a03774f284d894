//! `task-scheduler get`, `list`, `cancel` and `resolve`.

use clap::Args;
use serde_json::{Value, json};

use super::answer::{Answer, field};
use super::client::{Client, Path};
use super::exit::Failure;
use super::output::{pairs, print, say, table};

/// A task's fields in the order in which a person asks for them; others follow as they come.
const FIELDS: [&str; 12] = [
    "id",
    "state",
    "run_at",
    "due_at",
    "target",
    "attempt",
    "last_error",
    "lateness_ms",
    "created_at",
    "dispatched_at",
    "started_at",
    "finished_at",
];

/// The arguments of `get`.
#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    client: Client,
    /// The task's id
    id: String,
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    client: Client,
    /// Only tasks in this state: scheduled, dispatched, succeeded, failed, unknown, cancelled or expired
    #[arg(long)]
    state: Option<String>,
    /// Only tasks with this label, as name=value (repeat it for more)
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Only tasks stored at or after this time (RFC 3339 with an offset)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only tasks stored before this time (RFC 3339 with an offset)
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most so many [default: the server's]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Go on where the list before ended
    #[arg(long)]
    cursor: Option<String>,
}

/// The arguments of `cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    client: Client,
    /// The task's id
    id: String,
}

/// The arguments of `resolve`.
#[derive(Debug, Args)]
pub struct Resolve {
    #[command(flatten)]
    client: Client,
    /// The task's id
    id: String,
    /// What it is settled as: it was reached, it was not and is given up, or fire it again now
    #[arg(value_parser = ["succeeded", "failed", "scheduled"])]
    state: String,
}

impl Get {
    /// Prints one task.
    pub fn run(self) -> Result<(), Failure> {
        let answer = self.client.get(Path::of(&["v1", "tasks", &self.id]))?;
        if self.client.prints_json() { answer.print_raw() } else { print(&one(&answer.json()?)) }
    }
}

impl List {
    /// Prints a page of tasks.
    pub fn run(self) -> Result<(), Failure> {
        let query = self.query();
        let answer = self.client.get(Path { parts: &["v1", "tasks"], query: &query })?;
        if self.client.prints_json() {
            return answer.print_raw();
        }
        let list = answer.json()?;
        print(&many(&list))?;
        let cursor = field(&list, "next_cursor");
        if !cursor.is_empty() {
            say(&format!("there are more: repeat with --cursor {cursor}"));
        }
        Ok(())
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| limit.to_string());
        let single = [
            ("state", &self.state),
            ("from", &self.from),
            ("to", &self.to),
            ("limit", &limit),
            ("cursor", &self.cursor),
        ];
        let labels = self.labels.iter().map(|label| ("label", label.clone()));
        single.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).chain(labels).collect()
    }
}

impl Cancel {
    /// Cancels, and says how the task stands.
    pub fn run(self) -> Result<(), Failure> {
        let answer = self.client.delete(Path::of(&["v1", "tasks", &self.id]))?;
        changed(&self.client, &answer, &self.id, "cancelled")
    }
}

impl Resolve {
    /// Settles, and says how the task stands.
    pub fn run(self) -> Result<(), Failure> {
        let document = json!({ "state": self.state }).to_string().into_bytes();
        let answer = self.client.post(Path::of(&["v1", "tasks", &self.id, "resolve"]), document, None)?;
        changed(&self.client, &answer, &self.id, &self.state)
    }
}

/// `ID state`, by the answer, or by what was asked for if the answer is empty.
fn changed(client: &Client, answer: &Answer, id: &str, asked: &str) -> Result<(), Failure> {
    if client.prints_json() {
        return answer.print_raw();
    }
    let told = if answer.body.is_empty() { Value::Null } else { answer.json()? };
    let state = Some(field(&told, "state")).filter(|state| !state.is_empty()).unwrap_or_else(|| asked.to_owned());
    print(&format!("{id} {state}"))
}

fn one(task: &Value) -> String {
    let others = task.as_object().into_iter().flat_map(|fields| fields.keys()).map(String::as_str);
    let others = others.filter(|name| !FIELDS.contains(name));
    let rows: Vec<(&str, String)> = FIELDS
        .into_iter()
        .chain(others)
        .map(|name| (name, if name == "target" { target(task) } else { field(task, name) }))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    pairs(&rows)
}

fn many(list: &Value) -> String {
    let tasks = list.get("tasks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = tasks
        .iter()
        .map(|task| {
            let mut row = ["id", "state", "run_at", "attempt"].map(|name| field(task, name)).to_vec();
            row.extend([target(task), field(task, "last_error")]);
            row
        })
        .collect();
    table(&["ID", "STATE", "RUN AT", "ATTEMPT", "TARGET", "LAST ERROR"], &rows)
}

/// A target in a few words.
fn target(task: &Value) -> String {
    let Some(target) = task.get("target") else { return String::new() };
    match field(target, "type").as_str() {
        "http" => {
            let method = Some(field(target, "method")).filter(|method| !method.is_empty());
            format!("{} {}", method.as_deref().unwrap_or("POST"), field(target, "url"))
        }
        "kafka" => format!("kafka {}", field(target, "topic")),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_shown_in_the_order_of_interest_without_what_is_absent() {
        let task = json!({
            "payload": {"order": 42}, "state": "scheduled", "id": "1", "started_at": null,
            "target": {"type": "http", "url": "http://h/", "method": "PUT"},
        });
        assert_eq!(one(&task), "id       1\nstate    scheduled\ntarget   PUT http://h/\npayload  {\"order\":42}\n");
    }

    #[test]
    fn a_list_is_a_table() {
        let list = json!({"tasks": [{"id": "1", "state": "failed", "run_at": "t", "attempt": 2,
            "target": {"type": "log"}, "last_error": "a\nb"}], "next_cursor": null});
        let text = many(&list);
        assert_eq!(text.lines().count(), 2);
        assert_eq!(
            text.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(),
            ["1", "failed", "t", "2", "log", "a", "b"]
        );
    }
}
