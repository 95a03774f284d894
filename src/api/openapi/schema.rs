//! The pieces that schemas are put together from, and the schemas that all groups share.

use serde_json::{Value, json};

use crate::api::problem::Kind;
use crate::domain::{Delivery, State};

/// Gives an object this field.
pub fn set(object: &mut Value, name: &str, to: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), to.into());
    }
}

/// A schema of the components.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Any text.
pub fn text() -> Value {
    json!({ "type": "string" })
}

/// From the one to the other.
pub fn integer(from: impl Into<Value>, to: impl Into<Value>) -> Value {
    json!({ "type": "integer", "minimum": from.into(), "maximum": to.into() })
}

/// A count.
pub fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A number, perhaps with a fraction.
pub fn number() -> Value {
    json!({ "type": "number" })
}

/// An instant of an answer.
pub fn instant() -> Value {
    json!({ "type": "string", "format": "date-time", "examples": ["2026-12-24T17:00:00.000000Z"] })
}

/// A UUID.
pub fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

/// The same, or null.
pub fn or_null(mut schema: Value) -> Value {
    if let Some(kind) = schema.get("type").cloned() {
        set(&mut schema, "type", json!([kind, "null"]));
        return schema;
    }
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// The same, with a word about it.
pub fn about(mut schema: Value, description: &str) -> Value {
    set(&mut schema, "description", description);
    schema
}

/// An object of an answer that has all of these fields. Further ones may come in later versions.
pub fn answered(fields: Value) -> Value {
    let names: Vec<String> = fields.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
    json!({ "type": "object", "required": names, "properties": fields })
}

/// The same, with fields that may be absent.
pub fn answered_or(fields: Value, perhaps: Value) -> Value {
    let mut schema = answered(fields);
    if let (Some(all), Value::Object(perhaps)) = (schema.get_mut("properties").and_then(Value::as_object_mut), perhaps)
    {
        all.extend(perhaps);
    }
    schema
}

/// An object of a request: nothing else is allowed in it.
pub fn taken(required: &[&str], fields: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": fields, "additionalProperties": false })
}

/// Those of every group.
pub fn of_all() -> Vec<(&'static str, Value)> {
    vec![("Problem", problem()), ("State", state()), ("Delivery", delivery()), ("TaskStands", stands())]
}

fn state() -> Value {
    json!({ "type": "string", "enum": State::ALL.map(State::word) })
}

fn delivery() -> Value {
    json!({
        "type": "string", "enum": [Delivery::AtMostOnce, Delivery::AtLeastOnce],
        "description": "What happens when nobody can know whether the target was reached: the task stops as `unknown`, or \
            it is fired again with the same idempotency key.",
    })
}

fn stands() -> Value {
    answered(json!({ "id": uuid(), "state": reference("State") }))
}

fn problem() -> Value {
    let words: Vec<String> = Kind::ALL.iter().map(|kind| kind.urn()).collect();
    answered_or(
        json!({
            "type": { "type": "string", "enum": words },
            "title": text(),
            "status": integer(400, 599),
            "detail": about(text(), "What was wrong, and what to do."),
        }),
        json!({
            "request_id": about(text(), "The name of the request that was answered with it."),
            "pointer": about(text(), "Where the document is to blame: JSON pointer of the field, empty for the whole."),
            "parameter": about(text(), "Where a parameter of the path or the query is to blame: its name."),
            "header": about(text(), "Where a header is to blame: its name."),
            "value": about(text(), "What was given, shortened."),
            "allowed": about(text(), "What is allowed there."),
            "id": about(json!({ "type": ["string", "integer"] }), "The task, pause or dead letter that it is about."),
            "state": about(text(), "How that task stands."),
            "results": about(json!({ "type": "array" }), "Of a batch: what came of each task."),
            "matched": about(count(), "Of an operation on many that was stopped: tasks that it had come to."),
            "changed": about(count(), "Of these, those that it changed."),
            "skipped": about(count(), "Of these, those that had moved on."),
        }),
    )
}
