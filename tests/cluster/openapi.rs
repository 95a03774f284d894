//! The API's description says what the program does: the same calls, the same fields.

use std::collections::BTreeSet;
use std::time::Duration;

use actix_web::dev::ResourceDef;
use serde_json::{Value, json};
use task_scheduler::domain::document::Document;

use crate::harness::node::until;
use crate::harness::{Node, Receiver, http};

const PATIENCE: Duration = Duration::from_secs(20);
const NOBODY: &str = "0199c0de-0000-7000-8000-00000000dead";

fn description(node: &Node) -> Value {
    let answer = http::get(&node.url("/openapi.json"));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    answer.json()
}

fn paths(description: &Value) -> Vec<(&String, BTreeSet<String>)> {
    let paths = description["paths"].as_object().unwrap();
    paths.iter().map(|(path, calls)| (path, calls.as_object().unwrap().keys().cloned().collect())).collect()
}

/// What is wrong with an answer by its schema: also a field that the schema does not know.
fn wrong(description: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(to) = schema["$ref"].as_str() {
        return wrong(description, description.pointer(to.trim_start_matches('#')).unwrap(), value, place);
    }
    let alternatives = ["anyOf", "oneOf"].iter().find_map(|name| schema[*name].as_array());
    if let Some(alternatives) = alternatives {
        let all: Vec<String> = alternatives.iter().map_while(|one| wrong(description, one, value, place)).collect();
        return (all.len() == alternatives.len()).then(|| all.join("; or "));
    }
    let allowed = schema["enum"].as_array().cloned().or_else(|| schema.get("const").map(|one| vec![one.clone()]));
    if allowed.is_some_and(|allowed| !allowed.contains(value)) {
        return Some(format!("{place} is {value}"));
    }
    let is = |kind: &str| match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let fits = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
        kind => is(kind.as_str().unwrap()),
    };
    if !fits {
        return Some(format!("{place} is {value} and no {}", schema["type"]));
    }
    let items = value.as_array().into_iter().flatten().filter(|_| !schema["items"].is_null());
    let of_items =
        items.enumerate().find_map(|(i, item)| wrong(description, &schema["items"], item, &format!("{place}/{i}")));
    of_items.or_else(|| wrong_field(description, schema, value, place))
}

fn wrong_field(description: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let (fields, known) = (value.as_object()?, schema["properties"].as_object()?);
    let missing = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = missing.filter(|name| !fields.contains_key(*name)).map(|name| format!("{place}/{name} is missing"));
    missing.into_iter().next().or_else(|| {
        fields.iter().find_map(|(name, field)| match known.get(name) {
            Some(of) => wrong(description, of, field, &format!("{place}/{name}")),
            None => Some(format!("{place}/{name} is not described")),
        })
    })
}

/// Makes a call and holds the answer against the schema of its status.
fn call(node: &Node, description: &Value, (method, described): (&str, &str), path: &str, body: &Value) -> Value {
    let sent = if method == "get" { String::new() } else { body.to_string() };
    let headers = [("Content-Type", "application/json")];
    let answer = http::request(&method.to_uppercase(), &node.url(path), &headers, sent.as_bytes());
    let call = &description["paths"][described][method];
    let of_status = &call["responses"][answer.status.to_string()];
    assert!(of_status.is_object(), "{method} {path} answers {}, which is not described", answer.status);
    let media_type = answer.header("content-type").unwrap().split(';').next().unwrap().to_owned();
    let schema = &of_status["content"][&media_type]["schema"];
    assert!(!schema.is_null(), "{method} {path} {}: {media_type} is not described", answer.status);
    if !media_type.ends_with("json") {
        return Value::Null;
    }
    let body = answer.json();
    let schema = if answer.status < 400 { schema.clone() } else { schema["allOf"][0].clone() };
    assert_eq!(wrong(description, &schema, &body, ""), None, "{method} {path}: {body}");
    body
}

/// The program's files by their modules' names.
fn sources() -> Vec<(String, String)> {
    let files = walkdir::WalkDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let files = files.into_iter().map(|file| file.unwrap().into_path());
    // Pages are for people, and described by themselves.
    let files = files.filter(|path| !path.iter().any(|part| part == "dashboard"));
    let named = files.filter_map(|path| {
        let module = path.to_str().unwrap().strip_suffix(".rs")?.rsplit('/').next()?.to_owned();
        Some((module, std::fs::read_to_string(&path).unwrap()))
    });
    named.collect()
}

/// What stands behind `web::resource(`: the path itself, or the constant of a module that is it.
fn path_of_route<'a>(rest: &'a str, sources: &'a [(String, String)]) -> &'a str {
    let literal = rest.strip_prefix('"').or_else(|| {
        let (module, name) = rest.split(')').next()?.rsplit_once("::")?;
        let declared = format!("const {name}: &str = \"");
        let text = sources.iter().find(|(known, text)| known == module && text.contains(&declared));
        Some(text?.1.split_once(&declared)?.1)
    });
    literal.and_then(|text| text.split('"').next()).unwrap_or_else(|| panic!("{} is no path", &rest[..40]))
}

#[test]
fn every_route_is_described_and_every_described_call_is_there() {
    let node = Node::start();
    let description = description(&node);
    for (path, methods) in paths(&description) {
        let asked = http::request("OPTIONS", &node.url(&path.replace("{id}", NOBODY)), &[], b"");
        let allowed = asked.header("allow").unwrap_or_else(|| panic!("nothing is at {path}"));
        let allowed: BTreeSet<String> = allowed.split(", ").filter(|m| *m != "HEAD").map(str::to_lowercase).collect();
        assert_eq!(allowed, methods, "{path}");
    }
    let mut routes = Vec::new();
    let sources = sources();
    for (_, text) in &sources {
        routes.extend(text.split("web::resource(").skip(1).map(|rest| path_of_route(rest, &sources).to_owned()));
    }
    assert!(routes.len() >= 20, "{routes:?}");
    for route in routes {
        let route_of = ResourceDef::new(route.as_str());
        let found = paths(&description).into_iter().any(|(path, _)| *path == route || route_of.is_match(path));
        assert!(found, "{route} is not described");
    }
}

#[test]
fn answers_have_the_fields_of_their_schemas() {
    let (node, receiver) = (Node::start(), Receiver::start());
    let description = description(&node);
    let call = |method, described, path: &str, body| call(&node, &description, (method, described), path, &body);
    let document = json!({
        "delay_ms": 0, "target": { "type": "http", "url": receiver.url("/"), "headers": { "a": "b" } },
        "payload": [1], "misfire": { "expire_after_ms": 60_000 }, "labels": { "a": "b" },
    });
    let id = call("post", "/v1/tasks", "/v1/tasks", document)["id"].as_str().unwrap().to_owned();
    receiver.wait_for(1, PATIENCE);
    let path = format!("/v1/tasks/{id}");
    until("it has ended", PATIENCE, || http::get(&node.url(&path)).json()["state"] == "succeeded");
    let task = call("get", "/v1/tasks/{id}", &path, Value::Null);
    for name in ["started_at", "finished_at", "lateness_ms", "node", "epoch", "payload"] {
        assert!(!task[name].is_null(), "{name}");
    }
    call("get", "/v1/tasks", "/v1/tasks", Value::Null);
    call("get", "/v1/tasks", "/v1/tasks?limit=0", Value::Null);
    let attempts = call("get", "/v1/tasks/{id}/attempts", &format!("{path}/attempts"), Value::Null);
    assert_eq!(attempts["attempts"].as_array().unwrap().len(), 1);
    call("delete", "/v1/tasks/{id}", &path, Value::Null);
    call("delete", "/v1/tasks/{id}", &format!("/v1/tasks/{NOBODY}"), Value::Null);
    call("post", "/v1/tasks/{id}/resolve", &format!("{path}/resolve"), json!({ "state": "failed" }));
    let later = json!({ "delay_ms": 3_600_000, "target": { "type": "log" } });
    let id = call("post", "/v1/tasks", "/v1/tasks", later.clone())["id"].as_str().unwrap().to_owned();
    call("delete", "/v1/tasks/{id}", &format!("/v1/tasks/{id}"), Value::Null);
    call("post", "/v1/tasks", "/v1/tasks", json!({ "priority": 10 }));
    call("post", "/v1/tasks/batch", "/v1/tasks/batch", json!([later]));
    call("post", "/v1/tasks/batch", "/v1/tasks/batch", json!([later, {}]));
    let cluster = call("get", "/v1/cluster", "/v1/cluster", Value::Null);
    assert!(!cluster["nodes"][0].is_null() && !cluster["terms"][0].is_null(), "{cluster}");
    for path in ["/v1/stats", "/healthz", "/readyz", "/metrics", "/actors", "/docs"] {
        call("get", path, path, Value::Null);
    }
    // And the judge itself finds what it is for.
    let schema = json!({ "$ref": "#/components/schemas/TaskStands" });
    for bad in [json!({ "id": "x" }), json!({ "id": 1, "state": "failed" }), json!({ "id": "", "state": "done" })] {
        assert!(wrong(&description, &schema, &bad, "").is_some(), "{bad}");
    }
    let more = json!({ "id": "", "state": "failed", "more": 1 });
    assert_eq!(wrong(&description, &schema, &more, "").as_deref(), Some("/more is not described"));
}

#[test]
fn a_submission_is_described_field_by_field() {
    let node = Node::start();
    let description = description(&node);
    let schemas = &description["components"]["schemas"];
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let json = br#"{"delay_ms": 1, "target": {"type": "kafka", "cluster": "a", "topic": "t"}, "retry": {}}"#;
    // Absent fields are written as null.
    let document = serde_json::to_value(Document::parse(json).unwrap()).unwrap();
    assert_eq!(names(&schemas["Submission"]["properties"]), names(&document));
    assert_eq!(names(&schemas["SubmittedRetry"]["properties"]), names(&document["retry"]));
    for target in schemas["SubmittedTarget"]["oneOf"].as_array().unwrap() {
        assert_eq!(names(&target["properties"]), names(&document["target"]));
    }
}

#[test]
fn the_page_about_it_loads_nothing() {
    let node = Node::start();
    let page = http::get(&node.url("/docs"));
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let html = String::from_utf8(page.body).unwrap();
    for (path, methods) in paths(&description(&node)) {
        let plain = html.replace("<wbr>", "");
        assert!(methods.iter().all(|method| plain.contains(&method.to_uppercase())) && plain.contains(path.as_str()));
    }
}
