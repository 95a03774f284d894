//! `GET /docs`: the API's description as a page. Rendered from the description itself; no script, nothing from elsewhere.

mod schema;
mod style;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::problem::Kind;

/// The page, as it is answered.
pub struct Page {
    html: Bytes,
    policy: String,
}

impl Page {
    /// Of this description.
    pub fn of(document: &Value) -> Self {
        Self { html: page(document).into_string().into(), policy: style::policy() }
    }
}

/// `GET /docs`.
pub async fn docs(page: web::Data<Page>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, page.policy.clone()))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(page.html.clone())
}

/// One call of the description.
struct Shown<'a> {
    document: &'a Value,
    method: &'a str,
    path: &'a str,
    call: &'a Value,
}

fn shown(document: &Value) -> Vec<Shown<'_>> {
    let mut all = Vec::new();
    for (path, methods) in entries(document.pointer("/paths")) {
        for (method, call) in entries(Some(methods)) {
            all.push(Shown { document, method, path, call });
        }
    }
    all
}

fn entries(object: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    object.and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What a reference leads to, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|to| document.pointer(to.trim_start_matches('#')));
    target.unwrap_or(value)
}

/// Text whose words in backticks are code.
fn prose(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn page(document: &Value) -> Markup {
    let calls = shown(document);
    let title = format!("{} {}", word(&document["info"], "title"), word(&document["info"], "version"));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "API of " (title) }
                meta name="viewport" content="width=device-width";
                style { (PreEscaped(style::STYLE)) }
            }
            body {
                a.skip href="#calls" { "To the calls" }
                header { h1 { (title) } p { (prose(word(&document["info"], "description"))) }
                    p { "For programs: " a href="/openapi.json" { "/openapi.json" } " (OpenAPI 3.1)." } }
                nav aria-label="Contents" { (contents(document, &calls)) }
                main #calls {
                    @for tag in items(document.get("tags")) {
                        section {
                            h2 id=(slug(word(tag, "name"))) { (word(tag, "name")) }
                            p { (prose(word(tag, "description"))) }
                            @for call in of_tag(&calls, tag) { (call.article()) }
                        }
                    }
                    section { h2 #schemas { "schemas" } (schema::all(document)) }
                    section { h2 #problems { "problems" } (problems()) }
                }
            }
        }
    }
}

fn of_tag<'a>(calls: &'a [Shown<'a>], tag: &'a Value) -> impl Iterator<Item = &'a Shown<'a>> {
    calls.iter().filter(move |shown| items(shown.call.get("tags")).any(|one| one == &tag["name"]))
}

fn contents(document: &Value, calls: &[Shown<'_>]) -> Markup {
    html! {
        @for tag in items(document.get("tags")) {
            h2 { a href={ "#" (slug(word(tag, "name"))) } { (word(tag, "name")) } }
            ul {
                @for shown in of_tag(calls, tag) {
                    li { a href={ "#" (word(shown.call, "operationId")) } {
                        b.method { (shown.method.to_uppercase()) } " " (breakable(shown.path))
                    } }
                }
            }
        }
        h2 { a href="#schemas" { "schemas" } }
        h2 { a href="#problems" { "problems" } }
    }
}

fn slug(name: &str) -> String {
    name.replace(' ', "-")
}

/// A path that may be broken where it has a slash or a colon.
fn breakable(path: &str) -> Markup {
    html! { @for part in path.split_inclusive(['/', ':']) { (part) wbr; } }
}

impl Shown<'_> {
    fn article(&self) -> Markup {
        let name = word(self.call, "operationId");
        html! {
            article id=(name) {
                h3 { a.self href={ "#" (name) } {
                    b.method { (self.method.to_uppercase()) } " " code { (breakable(self.path)) }
                } }
                p { strong { (word(self.call, "summary")) ". " } (prose(word(self.call, "description"))) }
                (self.parameters())
                (self.body())
                (self.answers())
                h4 { "With curl" }
                pre tabindex="0" { code { (self.curl()) } }
            }
        }
    }

    fn parameters(&self) -> Markup {
        html! {
            h4 { "Parameters" }
            dl {
                @for one in items(self.call.get("parameters")).map(|one| resolved(self.document, one)) {
                    dt { code { (word(one, "name")) } " " small {
                        (word(one, "in")) @if one["required"] == true { ", required" } ", " (schema::inline(&one["schema"]))
                    } }
                    dd { (prose(word(one, "description"))) }
                }
            }
        }
    }

    fn body(&self) -> Markup {
        let Some(body) = self.call.get("requestBody") else { return html! {} };
        html! {
            h4 { "Body" @if body["required"] != true { " (may be left out)" } }
            (contents_of(body.get("content")))
        }
    }

    fn answers(&self) -> Markup {
        html! {
            h4 { "Answers" }
            dl {
                @for (status, answer) in entries(self.call.get("responses")) {
                    dt { code { (status) } }
                    dd {
                        (prose(word(answer, "description")))
                        @if status.starts_with('2') { (contents_of(answer.get("content"))) }
                    }
                }
            }
        }
    }

    fn curl(&self) -> String {
        let parameters: Vec<&Value> =
            items(self.call.get("parameters")).map(|one| resolved(self.document, one)).collect();
        let id = parameters.iter().filter(|one| one["in"] == "path").find_map(|one| one.pointer("/schema/examples/0"));
        let path = self.path.replace("{id}", id.and_then(Value::as_str).unwrap_or("1"));
        // What a call cannot do without stands in its example.
        let query = parameters.iter().filter(|one| one["in"] == "query").find_map(|one| {
            let example = one.pointer("/example/0")?.as_str()?;
            let pair =
                form_urlencoded::Serializer::new(String::new()).append_pair(one["name"].as_str()?, example).finish();
            Some(format!("?{pair}"))
        });
        let address = match query {
            Some(query) => format!("'localhost:8080{path}{query}'"),
            None => format!("localhost:8080{path}"),
        };
        let line = match self.method {
            "get" => format!("curl {address}"),
            method => format!("curl -X {} {address}", method.to_uppercase()),
        };
        let Some((media_type, of)) = entries(self.call.pointer("/requestBody/content")).next() else { return line };
        let example = of.get("example").unwrap_or(&Value::Null);
        format!("{line} \\\n  -H 'content-type: {media_type}' \\\n  -d '{example}'")
    }
}

fn contents_of(content: Option<&Value>) -> Markup {
    html! {
        ul.plain {
            @for (media_type, of) in entries(content) {
                li { small { (media_type) } ": " (schema::inline(&of["schema"])) }
            }
        }
    }
}

fn problems() -> Markup {
    html! {
        p { "Each is answered as " code { "application/problem+json" } ", with this " code { "type" } "." }
        dl {
            @for kind in Kind::ALL {
                dt id=(kind.word()) { code { (kind.urn()) } " " small { (kind.status().as_u16()) } }
                dd { (kind.title()) "." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::openapi;

    #[test]
    fn every_call_schema_and_problem_is_on_the_page_and_every_link_leads_somewhere() {
        let document: Value = openapi::document();
        let html = page(&document).into_string();
        let id = |id: &str| html.contains(&format!("id=\"{id}\""));
        for shown in shown(&document) {
            assert!(id(word(shown.call, "operationId")), "{} {}", shown.method, shown.path);
        }
        for (name, _) in entries(document.pointer("/components/schemas")) {
            assert!(id(name), "{name}");
        }
        assert!(Kind::ALL.iter().all(|kind| id(kind.word())));
        let links: Vec<&str> = html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(links.len() > 40, "{links:?}");
        for link in links {
            assert!(id(link), "{link}");
        }
    }

    #[test]
    fn nothing_is_from_elsewhere_and_nothing_is_a_script() {
        let html = page(&openapi::document()).into_string();
        for bad in ["<script", "<link", "<img", "src=", "url(", "@import", " style=", " onclick"] {
            assert!(!html.contains(bad), "{bad}");
        }
        assert!(style::policy().starts_with("default-src 'none'; style-src 'sha256-"));
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(prose("a <b> `<c>`").into_string(), "a &lt;b&gt; <code>&lt;c&gt;</code>");
    }
}
