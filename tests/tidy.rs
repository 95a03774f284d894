//! The house rules, as far as a machine can judge them. Each check is a function of one file's path and text, and each
//! is shown below to find what it is there to find.
//!
//! Files are read as tokens, so that a rule holds in the bodies of macros too and never trips over a string or a comment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    missing_docs,
    reason = "a test may stop at once"
)]

use std::collections::BTreeSet;
use std::path::Path;

/// Which module may use which others; itself it always may. What is in nobody's row is nobody's to use.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("clock", &["domain"]),
    ("config", &["domain", "clock"]),
    ("metrics", &["domain", "clock"]),
    ("store", &["domain", "clock", "config", "metrics"]),
    ("queue", &["domain", "clock", "config", "metrics", "store"]),
    ("targets", &["domain", "clock", "config", "metrics"]),
    ("actors", &["domain", "clock", "config", "metrics", "store", "queue", "targets"]),
    ("api", &["domain", "clock", "config", "metrics", "store", "queue", "targets", "actors"]),
    ("dashboard", &["domain", "clock", "config", "metrics", "store", "queue", "targets", "actors", "api"]),
    ("node", &["domain", "clock", "config", "metrics", "store", "queue", "targets", "actors", "api", "dashboard"]),
    ("cli", &["domain", "clock", "config", "store", "queue", "node"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Of another module only what is plain data: (who, whose, what not).
const NOT_EVEN: [(&str, &str, &[&str]); 1] = [("queue", "store", &["Store", "sqlite", "postgres"])];

/// Which crates stay behind which doors: (crates, the beginnings of the paths that may know them).
const BEHIND: [(&[&str], &[&str]); 2] = [
    (&["diesel", "diesel_migrations", "libsqlite3_sys", "pq_sys"], &["src/store/"]),
    (&["rdkafka"], &["src/queue/kafka", "src/targets/kafka"]),
];

/// What the rules must not know.
const IMPURE: [&str; 8] =
    ["actix", "actix_web", "tokio", "diesel", "diesel_migrations", "rdkafka", "hyper", "hyper_util"];

const CLOCKS: [&str; 4] = ["Instant", "SystemTime", "Utc", "Local"];
const VAGUE: [&str; 9] = ["job", "worker", "manager", "processor", "util", "utils", "helper", "common", "misc"];
const ITEM_WORDS: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "mod", "const", "static", "union"];
/// Put together here, so that this file does not hold what it looks for.
const LEFTOVERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const ARGUMENTS: usize = 5;
const MEDIAN_LINES: usize = 160;

#[derive(Debug, Clone, PartialEq)]
struct Token {
    text: String,
    line: usize,
    /// Where it begins and ends in the text, in bytes.
    span: (usize, usize),
}

struct Source {
    path: String,
    text: String,
    tokens: Vec<Token>,
    /// The whole file is compiled for tests only.
    only_tests: bool,
}

/// (line, what is wrong with it)
type Found = Vec<(usize, String)>;

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let only_tests = !path.starts_with("src/");
        Self { path: path.to_owned(), text: text.to_owned(), tokens: tokens(text), only_tests }
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn is(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(step, word)| self.word(at + step) == *word)
    }

    /// The top module it belongs to: `src/store/mod.rs` to `store`, `src/clock.rs` to `clock`.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs"))
    }

    /// The bracket that closes the one at `open`.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.word(at) {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.tokens.len()
    }

    /// From `at` on: where its item's body opens, or where the item ends without one.
    fn body(&self, mut at: usize) -> usize {
        while at < self.tokens.len() && !["{", ";"].contains(&self.word(at)) {
            at = if ["(", "["].contains(&self.word(at)) { self.closing(at) + 1 } else { at + 1 };
        }
        at
    }

    /// Ranges of tokens that are compiled for tests only.
    fn test_ranges(&self) -> Vec<(usize, usize)> {
        let starts = (0..self.tokens.len()).filter(|at| {
            self.is(*at, &["#", "[", "cfg", "(", "test", ")", "]"]) || self.is(*at, &["#", "[", "test", "]"])
        });
        starts.map(|at| (at, self.closing_of_body(self.body(self.closing(at + 1) + 1)))).collect()
    }

    fn closing_of_body(&self, body: usize) -> usize {
        if self.word(body) == "{" { self.closing(body) } else { body }
    }
}

/// Words, lifetimes and single signs; strings, characters and comments are left out.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = at
            + match rest[0] {
                b'/' if rest.starts_with(b"//") => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
                b'/' if rest.starts_with(b"/*") => block_comment(rest),
                b'"' => quoted(rest),
                b'\'' => character(rest),
                b'r' | b'b' | b'c' if literal(rest) > 0 => literal(rest),
                byte if is_word(byte) => rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len()),
                _ => 1,
            };
        let piece = &text[at..end];
        let silent = piece.starts_with(['"', '\'']) && !is_lifetime(piece)
            || piece.starts_with("//")
            || piece.starts_with("/*")
            || piece.ends_with(['"', '#']) && piece.len() > 1;
        if !silent && !piece.trim().is_empty() {
            found.push(Token { text: piece.to_owned(), line, span: (at, end) });
        }
        line += piece.matches('\n').count();
        at = end;
    }
    found
}

/// As far as the first end: no comment here holds another.
fn block_comment(rest: &[u8]) -> usize {
    rest.windows(2).position(|two| two == b"*/").map_or(rest.len(), |end| end + 2)
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn is_lifetime(piece: &str) -> bool {
    piece.len() > 1 && piece.starts_with('\'') && !piece.ends_with('\'')
}

/// A character, or else a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return rest.iter().skip(3).position(|b| *b == b'\'').map_or(rest.len(), |end| end + 4);
    }
    let width = std::str::from_utf8(&rest[1..rest.len().min(5)]).map_or_else(|bad| bad.valid_up_to(), str::len);
    let first =
        std::str::from_utf8(&rest[1..=width]).ok().and_then(|text| text.chars().next()).map_or(0, char::len_utf8);
    if rest.get(1 + first) == Some(&b'\'') {
        return first + 2;
    }
    1 + rest.iter().skip(1).position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(rest.len() - 1)
}

/// How long a literal with a prefix (`r"…"`, `br#"…"#`, `b'…'`) is; 0 if it is none.
fn literal(rest: &[u8]) -> usize {
    let prefix = rest.iter().take_while(|b| b"rbc".contains(b)).count();
    let raw = rest[..prefix].contains(&b'r');
    let hashes = if raw { rest[prefix..].iter().take_while(|b| **b == b'#').count() } else { 0 };
    match rest.get(prefix + hashes) {
        Some(b'"') if raw => {
            let close = [b"\"".as_slice(), "#".repeat(hashes).as_bytes()].concat();
            let inside = prefix + hashes + 1;
            let length = rest[inside..].windows(close.len()).position(|window| window == close);
            length.map_or(rest.len(), |length| inside + length + close.len())
        }
        Some(b'"') if prefix <= 2 => prefix + quoted(&rest[prefix..]),
        Some(b'\'') if prefix == 1 && rest[0] == b'b' => 1 + character(&rest[1..]),
        _ => 0,
    }
}

/// Every path from `at` on, each with the line of its last word: `a::{b, c::d}` is two.
fn paths(source: &Source, mut at: usize, mut before: Vec<String>, found: &mut Vec<(Vec<String>, usize)>) {
    loop {
        before.push(source.word(at).to_owned());
        if !source.is(at + 1, &[":", ":"]) {
            return found.push((before, source.tokens[at].line));
        }
        at += 3;
        if source.word(at) == "{" {
            let end = source.closing(at);
            while at < end {
                // Each branch starts after the brace or a comma of this very brace.
                paths(source, at + 1, before.clone(), found);
                at += 1;
                while at < end && source.word(at) != "," {
                    at = if source.word(at) == "{" { source.closing(at) + 1 } else { at + 1 };
                }
            }
            return;
        }
    }
}

fn direction(source: &Source) -> Found {
    let Some(module) = source.module() else { return Vec::new() };
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
        return vec![(1, format!("module {module} has no row in the table of who may use whom"))];
    };
    let mut used = Vec::new();
    for at in (0..source.tokens.len()).filter(|at| ["crate", "task_scheduler"].contains(&source.word(*at))) {
        if source.is(at + 1, &[":", ":"]) {
            paths(source, at, Vec::new(), &mut used);
        }
    }
    used.retain(|(path, _)| path[1] != module && !path[1].is_empty() && path[1] != "}");
    let wrong = used.into_iter().filter_map(|(path, line)| {
        let inside = path.get(2).map_or("*", String::as_str);
        let narrow = NOT_EVEN.iter().find(|(who, whose, _)| *who == module && *whose == path[1]);
        if !allowed.contains(&path[1].as_str()) {
            Some((line, format!("{module} may not use {}", path[1])))
        } else if narrow.is_some_and(|(_, _, not)| inside == "*" || not.contains(&inside)) {
            Some((line, format!("{module} may use the plain data of {} only, not {inside}", path[1])))
        } else {
            None
        }
    });
    wrong.collect()
}

fn doors(source: &Source) -> Found {
    let mut found = Vec::new();
    for at in 0..source.tokens.len() {
        let (word, line) = (source.word(at), source.tokens[at].line);
        let before = |back: usize| at.checked_sub(back).map_or("", |at| source.word(at));
        let inner = before(1) == "." || (before(1) == ":" && before(3).starts_with(char::is_alphanumeric));
        let named = source.is(at + 1, &[":", ":"]) || ["use", "crate"].contains(&before(1));
        if inner || !named || !source.path.starts_with("src/") {
            continue;
        }
        for (_, doors) in BEHIND.iter().filter(|(crates, _)| crates.contains(&word)) {
            if !doors.iter().any(|door| source.path.starts_with(door)) {
                found.push((line, format!("{word} is known to {} only", doors.join(", "))));
            }
        }
        if source.module() == Some("domain") && IMPURE.contains(&word) {
            found.push((line, format!("domain is pure: it may not know {word}")));
        }
    }
    found
}

fn forbidden(source: &Source) -> Found {
    let mut found = Vec::new();
    let inside = source.path.starts_with("src/");
    for at in 0..source.tokens.len() {
        let word = source.word(at);
        let mut say = |what: String| found.push((source.tokens[at].line, what));
        if inside && source.path != "src/clock.rs" && CLOCKS.contains(&word) && source.is(at + 1, &[":", ":", "now"]) {
            say(format!("{word}::now is read in src/clock.rs only"));
        }
        if source.is(at, &["do_send", "("]) {
            say("do_send ignores the mailbox's bound".to_owned());
        }
        if ["todo", "unimplemented"].contains(&word) && source.word(at + 1) == "!" {
            say(format!("{word}! is unfinished work"));
        }
        if source.is(at, &["#", "[", "ignore"]) {
            say("an ignored test says nothing".to_owned());
        }
    }
    for (line, text) in (1..).zip(source.text.lines()) {
        let left = text.split(|sign: char| !sign.is_alphanumeric()).find(|word| LEFTOVERS.contains(word));
        found.extend(left.map(|word| (line, format!("{word}: do it, or write it where it is tracked"))));
    }
    found
}

/// The words of a name in snake or camel case.
fn words(name: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut small = false;
    for sign in name.chars() {
        if sign == '_' || sign == '-' || sign == '.' || (small && sign.is_uppercase()) {
            spaced.push(' ');
        }
        small = sign.is_lowercase();
        spaced.extend(sign.to_lowercase().filter(|sign| sign.is_alphanumeric()));
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn names(source: &Source) -> Found {
    let Some(inside) = source.path.strip_prefix("src/") else { return Vec::new() };
    let is_vague = |word: &String| VAGUE.contains(&word.as_str()) || VAGUE.contains(&word.trim_end_matches('s'));
    let vague = |name: &str| words(name).iter().any(is_vague);
    let parts = inside.split('/').filter(|part| vague(part));
    let mut found: Found = parts.map(|part| (1, format!("the name {part} says nothing"))).collect();
    for at in 0..source.tokens.len() {
        let of_macro = source.is(at, &["macro_rules", "!"]);
        let name = source.word(if of_macro { at + 2 } else { at + 1 });
        if (of_macro || ITEM_WORDS.contains(&source.word(at))) && vague(name) {
            found.push((source.tokens[at].line, format!("the name {name} says nothing")));
        }
    }
    found
}

fn sizes(source: &Source) -> Found {
    let lines = source.text.lines().count();
    let mut found = Vec::new();
    if lines > FILE_LINES {
        found.push((FILE_LINES + 1, format!("{lines} lines; at most {FILE_LINES}")));
    }
    let tests = source.test_ranges();
    let in_test = |at: usize| source.only_tests || tests.iter().any(|(from, to)| (*from..=*to).contains(&at));
    for at in (0..source.tokens.len()).filter(|at| source.word(*at) == "fn" && !in_test(*at)) {
        let (name, line, body) = (source.word(at + 1), source.tokens[at].line, source.body(at));
        if !name.starts_with(|sign: char| sign.is_alphabetic() || sign == '_') || body >= source.tokens.len() {
            continue; // A type such as `fn(u8)`, or a macro's `fn $name`.
        }
        let length = source.tokens[source.closing_of_body(body).min(source.tokens.len() - 1)].line - line + 1;
        if length > FUNCTION_LINES {
            found.push((line, format!("{name} has {length} lines; at most {FUNCTION_LINES}")));
        }
        let head = &source.text[source.tokens[at].span.0..source.tokens[body].span.0];
        let Ok(signature) = syn::parse_str::<syn::Signature>(head) else {
            continue; // A macro's pattern: its expansion is clippy's to judge.
        };
        let arguments = signature.inputs.len() - usize::from(signature.receiver().is_some());
        if arguments > ARGUMENTS {
            found.push((line, format!("{name} has {arguments} arguments; at most {ARGUMENTS}")));
        }
    }
    found
}

const CHECKS: [fn(&Source) -> Found; 5] = [direction, doors, forbidden, names, sizes];

fn judge(source: &Source) -> Vec<String> {
    let found = CHECKS.iter().flat_map(|check| check(source));
    found.map(|(line, rule)| format!("{}:{line}: {rule}", source.path)).collect()
}

/// Files that a `#[cfg(test)] mod …;` of this one names.
fn named_for_tests(source: &Source) -> Vec<String> {
    let folder = match source.path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
        _ => source.path.trim_end_matches(".rs").to_owned(),
    };
    let ends = source.test_ranges().into_iter().map(|(_, end)| end);
    let modules = ends.filter(|end| source.word(*end) == ";" && source.word(*end - 2) == "mod");
    modules.map(|end| format!("{folder}/{}.rs", source.word(end - 1))).collect()
}

fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["src", "tests", "benches"].iter().flat_map(|folder| walkdir::WalkDir::new(root.join(folder)));
    let mut sources: Vec<Source> = files
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
        .map(|entry| {
            let path = entry.path().strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            Source::new(&path, &std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    let for_tests: BTreeSet<String> = sources.iter().flat_map(named_for_tests).collect();
    for source in &mut sources {
        source.only_tests |= for_tests.contains(&source.path);
    }
    sources
}

#[test]
fn the_house_is_in_order() {
    let sources = tree();
    let found: Vec<String> = sources.iter().flat_map(judge).collect();
    assert!(found.is_empty(), "{} against the house rules:\n{}", found.len(), found.join("\n"));

    let inside = sources.iter().filter(|source| source.path.starts_with("src/"));
    let mut lengths: Vec<usize> = inside.map(|source| source.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    println!("{} files in src, median {median} lines", lengths.len());
    assert!(median <= MEDIAN_LINES, "the median file of src has {median} lines; at most {MEDIAN_LINES}");
}

/// Made-up files, each with the line and the words of what must be found in it.
const WRONG: [(&str, &str, usize, &str); 22] = [
    ("src/domain/a.rs", "\nuse crate::clock::Clock;", 2, "domain may not use clock"),
    ("src/store/a.rs", "use crate::{\n    domain::{State, Task},\n    queue::Queue,\n};", 3, "store may not use queue"),
    ("src/targets/a.rs", "fn f() -> crate::store::Fence {}", 1, "targets may not use store"),
    ("src/api/a.rs", "fn f() { assert!(crate::dashboard::page()); }", 1, "api may not use dashboard"),
    ("src/cli/a.rs", "use crate::actors::Status;", 1, "cli may not use actors"),
    ("src/queue/a.rs", "use crate::store::{Ingested,\n Store};", 2, "plain data of store only, not Store"),
    ("src/queue/a.rs", "use crate::store;", 1, "plain data of store only, not *"),
    ("src/main.rs", "fn main() { task_scheduler::node::run() }", 1, "main may not use node"),
    ("src/new.rs", "", 1, "module new has no row"),
    ("src/api/a.rs", "use diesel::prelude::*;", 1, "diesel is known to src/store/ only"),
    ("src/queue/embedded.rs", "\n\nfn f(c: ::rdkafka::Config) {}", 3, "rdkafka is known to"),
    ("src/domain/a.rs", "#[tokio::test]\nasync fn f() {}", 1, "may not know tokio"),
    ("src/node.rs", "fn f() {\n std::time::Instant::now();\n}", 2, "Instant::now is read in"),
    ("src/actors/a.rs", "fn f() { /* \n */ addr.do_send(M); }", 2, "do_send ignores"),
    ("tests/a.rs", "fn f() { todo!() }", 1, "todo! is unfinished"),
    ("benches/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", 2, "an ignored test"),
    ("src/api/a.rs", concat!("// a\n// FIX", "ME: later"), 2, "do it"),
    ("src/actors/worker_pool.rs", "", 1, "worker_pool.rs says nothing"),
    ("src/api/a.rs", "struct TaskManager;", 1, "TaskManager says nothing"),
    ("src/api/a.rs", "impl A {\n fn json_utils(&self) {}\n}", 2, "json_utils says nothing"),
    (
        "src/api/a.rs",
        "impl A {\n fn f(&self, a: A<B, C>, b: u8, c: u8, d: u8, e: (u8, u8), f: u8) {}\n}",
        2,
        "6 arguments",
    ),
    ("src/api/a.rs", "const S: &str = r#\"\" // \"#; use crate::node::Node;", 1, "api may not use node"),
];

/// Made-up files in which nothing is to be found.
const RIGHT: [(&str, &str); 9] = [
    ("src/node.rs", "use crate::{api::Api, actors::{Set, Status}, store::sqlite::SqliteStore};"),
    ("src/queue/kafka.rs", "use crate::store::{Ingested, records::OffsetMove};\nuse rdkafka::Message;"),
    ("src/store/postgres/a.rs", "use diesel::prelude::*;\nuse crate::store::Result;"),
    ("src/domain/a.rs", "/// See `crate::node` and diesel::prelude.\nconst S: &str = \"crate::node do_send( todo!\";"),
    ("src/clock.rs", "use crate::domain::Mono;\nfn f() { Instant::now(); }"),
    ("tests/a.rs", "fn f() { std::time::Instant::now(); diesel::connect(); }"),
    (
        "src/api/a.rs",
        "fn f<'a>(&self, a: &'a str, b: HashMap<A, B>, c: char, d: fn(u8, u8), e: u8) { g('\"', '\\'', b'x') }",
    ),
    ("src/api/a.rs", "fn commonly(framework: &'static str) -> bool { framework.job_free() }"),
    ("src/api/problem.rs", "static TABLE: [u8; 2] = [1, 2];\nfn f() { x.hyper(); self.now() }"),
];

#[test]
fn every_check_finds_what_it_is_for() {
    for (path, text, line, rule) in WRONG {
        let found = judge(&Source::new(path, text));
        assert_eq!(found.len(), 1, "{path}: {text}\n{found:?}");
        assert!(found[0].starts_with(&format!("{path}:{line}: ")), "{found:?}");
        assert!(found[0].contains(rule), "{found:?} instead of {rule}");
    }
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    for (path, text) in RIGHT {
        assert_eq!(judge(&Source::new(path, text)), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn sizes_are_measured_outside_tests() {
    let long = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
    assert_eq!(judge(&Source::new("src/api/a.rs", &long(70))), Vec::<String>::new());
    assert_eq!(judge(&Source::new("src/api/a.rs", &long(71))), ["src/api/a.rs:1: f has 71 lines; at most 70"]);
    let of_test = format!("#[cfg(test)]\nmod tests {{\n    #[test]\n{}}}\n", long(200));
    assert_eq!(judge(&Source::new("src/api/a.rs", &of_test)), Vec::<String>::new());
    let after = format!("#[cfg(test)]\nmod fake;\n{}", long(71));
    assert_eq!(judge(&Source::new("src/api/mod.rs", &after)), ["src/api/mod.rs:3: f has 71 lines; at most 70"]);
    assert_eq!(named_for_tests(&Source::new("src/api/mod.rs", &after)), ["src/api/fake.rs"]);
    assert_eq!(judge(&Source::new("tests/a.rs", &"\n".repeat(501))), ["tests/a.rs:501: 501 lines; at most 500"]);
}
