//! Schemas in words.

use maud::{Markup, html};
use serde_json::Value;

use super::{entries, items, prose, word};

/// All that have names, each with its anchor.
pub fn all(document: &Value) -> Markup {
    html! {
        @for (name, schema) in entries(document.pointer("/components/schemas")) {
            article id=(name) {
                h3 { a.self href={ "#" (name) } { (name) } }
                @if !word(schema, "description").is_empty() { p { (prose(word(schema, "description"))) } }
                (block(schema))
            }
        }
    }
}

/// One, with the fields that it has.
fn block(schema: &Value) -> Markup {
    let alternatives: Vec<&Value> = alternatives(schema).filter(|one| one.get("properties").is_some()).collect();
    let own = schema.get("properties").is_some();
    html! {
        @if own { (fields(schema)) } @else if alternatives.is_empty() { p { (inline(schema)) } } @else {
            @for one in alternatives { (fields(one)) hr; }
        }
        @for example in items(schema.get("examples")) { pre tabindex="0" { code { (example) } } }
    }
}

fn fields(schema: &Value) -> Markup {
    let required = |name: &str| items(schema.get("required")).any(|one| one == name);
    html! {
        dl {
            @for (name, field) in entries(schema.get("properties")).filter(|(_, field)| field["type"] != "null") {
                dt { code { (name) } " " small { (inline(field)) @if !required(name) { ", may be absent" } } }
                dd { (prose(word(field, "description"))) @if let Some(default) = field.get("default") {
                    " Default: " code { (default) } "."
                } }
            }
        }
    }
}

/// In a few words, with links.
pub fn inline(schema: &Value) -> Markup {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.rsplit('/').next()) {
        return html! { a href={ "#" (name) } { (name) } };
    }
    if let Some(constant) = schema.get("const") {
        return html! { code { (constant) } };
    }
    let either: Vec<&Value> = alternatives(schema).collect();
    html! {
        @if !either.is_empty() && schema.get("type").is_none() {
            @for (place, one) in either.iter().enumerate() { @if place > 0 { " or " } (inline(one)) }
        } @else if schema.get("enum").is_some() {
            @for (place, one) in items(schema.get("enum")).enumerate() { @if place > 0 { " or " } code { (one) } }
        } @else if schema["type"] == "array" {
            "list of " (inline(&schema["items"]))
        } @else {
            (kind(schema)) (bounds(schema))
        }
    }
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf", "allOf"].into_iter().flat_map(|name| items(schema.get(name)))
}

fn kind(schema: &Value) -> String {
    let name = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    match word(schema, "format") {
        "" => name,
        format => format!("{name} ({format})"),
    }
}

fn bounds(schema: &Value) -> String {
    let bound = |name: &str, before: &str| schema.get(name).map(|value| format!("{before}{value}")).unwrap_or_default();
    [
        bound("minimum", ", from "),
        bound("maximum", ", to "),
        bound("maxLength", ", longest "),
        bound("maxItems", ", most "),
        bound("maxProperties", ", most "),
        bound("pattern", ", like "),
    ]
    .concat()
}
