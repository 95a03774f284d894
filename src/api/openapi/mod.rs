//! `GET /openapi.json`: the API described as `OpenAPI` 3.1, built from the limits and words that the code itself uses.
//!
//! Each group of calls has a file. That nothing is described which is not there, and nothing there that is not described,
//! is tested against a running node, down to the fields of the answers.

#![expect(
    clippy::needless_pass_by_value,
    reason = "schemas are put together by value, as `json!` takes them by reference"
)]

mod batch;
mod call;
mod changes;
mod cluster;
mod dead_letters;
mod many;
mod node;
mod pauses;
mod schema;
mod submission;
mod tasks;

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use call::Call;

/// A group: its tag, what it is about, its calls, the schemas that they bring.
#[derive(Clone, Copy)]
struct Group {
    tag: &'static str,
    about: &'static str,
    calls: fn() -> Vec<Call>,
    schemas: fn() -> Vec<(&'static str, Value)>,
}

const GROUPS: &[Group] = &[
    tasks::GROUP,
    batch::GROUP,
    changes::GROUP,
    many::GROUP,
    pauses::GROUP,
    dead_letters::GROUP,
    cluster::GROUP,
    node::GROUP,
];

const ABOUT: &str = "Runs every scheduled task at its time, once, even in a cluster. Errors are \
    `application/problem+json` (RFC 9457) with a stable `type`, and where the input is to blame with its place, the value \
    and what is allowed. Every answer has an `X-Request-Id`. Answers from 1 KiB on come in gzip for those who take it, and \
    bodies may be sent in gzip. A write needs `Content-Type: application/json`, also with an empty body; browsers' pages \
    of other sites may neither read nor write.";

/// The description, written once.
pub struct Description(Bytes);

impl Description {
    /// Of [`document`].
    pub fn of(document: &Value) -> Self {
        Self(document.to_string().into())
    }
}

/// `GET /openapi.json`.
pub async fn description(description: web::Data<Description>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::json())
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(description.0.clone())
}

/// All of it.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut schemas: Map<String, Value> =
        schema::of_all().into_iter().map(|(name, of)| (name.to_owned(), of)).collect();
    for group in GROUPS {
        schemas.extend((group.schemas)().into_iter().map(|(name, of)| (name.to_owned(), of)));
        for call in (group.calls)() {
            let path = paths.entry(call.path()).or_insert_with(|| json!({}));
            if let Some(path) = path.as_object_mut() {
                path.insert(call.method().to_owned(), call.described(group.tag));
            }
        }
    }
    let tags: Vec<Value> =
        GROUPS.iter().map(|group| json!({ "name": group.tag, "description": group.about })).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "task-scheduler", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas, "parameters": call::parameters(), "headers": call::headers() },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_call_has_a_name_of_its_own() {
        let names: Vec<String> = GROUPS.iter().flat_map(|group| (group.calls)()).map(|call| call.name()).collect();
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        let (document, mut found) = (document(), Vec::new());
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_kind_of_problem_is_listed() {
        let source = syn::parse_file(include_str!("../problem.rs")).unwrap();
        let kinds = source.items.iter().find_map(|item| match item {
            syn::Item::Enum(kinds) if kinds.ident == "Kind" => Some(kinds.variants.len()),
            _ => None,
        });
        assert_eq!(kinds, Some(super::super::problem::Kind::ALL.len()));
    }
}
