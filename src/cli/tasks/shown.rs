//! A task as a person reads it: a row of a table, or all its fields.

use serde_json::Value;

use crate::cli::answer::field;
use crate::cli::output::pairs;
use crate::cli::table::to_the_second;

/// A task's fields in the order in which a person asks for them; others follow as they come.
const FIELDS: [&str; 13] = [
    "id",
    "state",
    "run_at",
    "due_at",
    "target",
    "attempt",
    "last_error",
    "lateness_ms",
    "accepted_at",
    "created_at",
    "dispatched_at",
    "started_at",
    "finished_at",
];

/// The heading of the rows.
pub const HEADING: [&str; 6] = ["ID", "STATE", "RUN AT", "ATTEMPT", "TARGET", "LAST ERROR"];

/// All fields of a task, those without a value left out.
pub fn whole(task: &Value) -> String {
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

/// The rows of a page of the list.
pub fn rows(page: &Value) -> Vec<Vec<String>> {
    let tasks = page.get("tasks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let row = |task: &Value| {
        let mut row = ["id", "state", "run_at", "attempt"].map(|name| to_the_second(&field(task, name))).to_vec();
        row.extend([target(task), field(task, "last_error")]);
        row
    };
    tasks.iter().map(row).collect()
}

/// A target in a few words.
fn target(task: &Value) -> String {
    let Some(target) = task.get("target") else { return String::new() };
    match field(target, "type").as_str() {
        "http" => {
            let method = Some(field(target, "method")).filter(|method| !method.is_empty());
            format!("{} {}", method.as_deref().unwrap_or("POST"), field(target, "url"))
        }
        "kafka" => {
            let cluster = Some(field(target, "cluster")).filter(|cluster| !cluster.is_empty());
            let cluster = cluster.map(|cluster| format!("{cluster}/")).unwrap_or_default();
            format!("kafka {cluster}{}", field(target, "topic"))
        }
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_is_shown_in_the_order_of_interest_without_what_is_absent() {
        let task = json!({
            "payload": {"order": 42}, "state": "scheduled", "id": "1", "started_at": null,
            "target": {"type": "http", "url": "http://h/", "method": "PUT"},
        });
        assert_eq!(whole(&task), "id       1\nstate    scheduled\ntarget   PUT http://h/\npayload  {\"order\":42}\n");
    }

    #[test]
    fn a_list_is_rows_that_belong_under_the_heading() {
        let page = json!({"tasks": [{"id": "1", "state": "failed", "run_at": "2026-12-24T17:00:00.000000Z", "attempt": 2,
            "target": {"type": "kafka", "cluster": "west", "topic": "orders"}, "last_error": "a"}], "next_cursor": null});
        let row = ["1", "failed", "2026-12-24T17:00:00Z", "2", "kafka west/orders", "a"];
        assert_eq!(rows(&page), [row]);
        assert_eq!(row.len(), HEADING.len());
    }
}
