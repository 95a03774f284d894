//! A real browser, driven by `WebDriver`: what a person sees of a page, and does on it.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http;
use super::node::until;
use crate::services::chromium::{self, driver};

/// Longest wait for an answer of the driver: a browser starts slowly where much else is running.
const PATIENCE: Duration = Duration::from_mins(2);
/// Longest wait for an element that is about to be there.
const SOON: Duration = Duration::from_secs(10);
/// Milliseconds that a page may take to load, and a script to answer.
const LONGEST_MS: u64 = 60_000;
const HEIGHT: u64 = 900;
const JSON: [(&str, &str); 1] = [("content-type", "application/json; charset=utf-8")];
/// By which `WebDriver` names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Live pages renew their elements: what was found may be gone when it is used.
const GONE: [&str; 2] = ["stale element reference", "no such element"];

pub const TAB: char = '\u{e004}';
pub const ENTER: char = '\u{e007}';

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub dark: bool,
    /// In CSS pixels.
    pub width: u64,
}

impl View {
    /// A screen and a telephone, by day and by night.
    pub const ALL: [Self; 4] = [
        Self { dark: false, width: 1280 },
        Self { dark: true, width: 1280 },
        Self { dark: true, width: 400 },
        Self { dark: false, width: 400 },
    ];
}

/// What the browser wrote to its console.
#[derive(Debug, Clone)]
pub struct Line {
    pub level: String,
    pub message: String,
}

/// One window; closed when it is dropped.
pub struct Browser {
    /// The URL of the session.
    session: String,
}

/// What the driver could not do.
#[derive(Debug)]
struct Refused {
    error: String,
    message: String,
}

fn call(method: &str, url: &str, body: &Value) -> Result<Value, Refused> {
    // What is asked by another method has no body.
    let headers: &[(&str, &str)] = if method == "POST" { &JSON } else { &[] };
    let body = if method == "POST" { body.to_string() } else { String::new() };
    let answer = http::try_within(PATIENCE, (method, url), headers, body.as_bytes())
        .map_err(|cause| Refused { error: "no answer".to_owned(), message: cause.to_string() })?;
    let value = answer.json()["value"].take();
    if answer.status == 200 {
        return Ok(value);
    }
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Err(Refused { error: text("error"), message: text("message") })
}

impl Browser {
    /// A new one, without cookies; `None` where there is none to be had.
    pub fn open() -> Option<Self> {
        let driver = driver()?;
        let mut arguments = vec!["--headless=new", "--hide-scrollbars", "--no-proxy-server", "--disable-dev-shm-usage"];
        if chromium::is_root() {
            arguments.push("--no-sandbox");
        }
        let mut options = json!({ "args": arguments });
        if let Some(browser) = driver.browser() {
            options["binary"] = browser.to_string_lossy().into();
        }
        let wanted = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            // A page of ours never opens a dialogue: it stays, and nothing else can be done.
            "unhandledPromptBehavior": "ignore",
            "timeouts": {"implicit": 0, "pageLoad": LONGEST_MS, "script": LONGEST_MS},
        });
        let sessions = driver.url("/session");
        let opened = call("POST", &sessions, &json!({"capabilities": {"alwaysMatch": wanted}}));
        let opened = opened.unwrap_or_else(|cause| panic!("no browser: {cause:?}\n{}", driver.log()));
        let browser = Self { session: format!("{sessions}/{}", opened["sessionId"].as_str().unwrap()) };
        browser.look(View::ALL[0]);
        Some(browser)
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, Refused> {
        call(method, &format!("{}{path}", self.session), body)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.try_call("POST", path, body).unwrap_or_else(|cause| panic!("{path}: {cause:?}"))
    }

    /// Goes to a page; back when it is loaded.
    pub fn goto(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Path and query of the page.
    pub fn place(&self) -> String {
        self.run("return location.pathname + location.search", &[]).as_str().unwrap().to_owned()
    }

    /// Waits until the page is one whose path and query begin so.
    pub fn until_at(&self, place: &str) {
        until(&format!("the browser is at {place}"), SOON, || self.place().starts_with(place));
    }

    /// The status of the page's answer.
    pub fn status(&self) -> u64 {
        let script = "return performance.getEntriesByType('navigation')[0].responseStatus";
        self.run(script, &[]).as_u64().unwrap()
    }

    /// What a script returns.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// What a script passes to its last argument, a function.
    pub fn run_async(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/async", &json!({"script": script, "args": arguments}))
    }

    /// How many elements there are.
    pub fn count(&self, css: &str) -> u64 {
        self.run("return document.querySelectorAll(arguments[0]).length", &[css.into()]).as_u64().unwrap()
    }

    /// There is such an element.
    pub fn has(&self, css: &str) -> bool {
        self.count(css) > 0
    }

    /// The text of the first such element; `None` where there is none.
    pub fn text(&self, css: &str) -> Option<String> {
        let script = "const one = document.querySelector(arguments[0]); return one && one.textContent";
        self.run(script, &[css.into()]).as_str().map(str::to_owned)
    }

    /// An attribute of the first such element.
    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let script = "const one = document.querySelector(arguments[0]); return one && one.getAttribute(arguments[1])";
        self.run(script, &[css.into(), name.into()]).as_str().map(str::to_owned)
    }

    /// Clicks on the first such element, as soon as it is there.
    pub fn click(&self, css: &str) {
        self.on_element(css, "click", &json!({}));
    }

    /// Types into the first such element.
    pub fn enter(&self, css: &str, text: &str) {
        self.on_element(css, "value", &json!({ "text": text }));
    }

    fn on_element(&self, css: &str, what: &str, body: &Value) {
        let act = || {
            let found = self.try_call("POST", "/element", &json!({"using": "css selector", "value": css}))?;
            let id = found[ELEMENT].as_str().unwrap().to_owned();
            self.try_call("POST", &format!("/element/{id}/{what}"), body)
        };
        until(&format!("{what} on {css}"), SOON, || match act() {
            Ok(_) => true,
            Err(refused) => {
                assert!(GONE.contains(&refused.error.as_str()), "{what} on {css}: {refused:?}");
                false
            }
        });
    }

    /// Makes a field of a form hold this, whatever kind of field it is.
    pub fn fill(&self, name: &str, value: &str) {
        let script = "const named = `[name=\"${arguments[0]}\"]`, value = arguments[1];
            const fields = [...document.querySelectorAll(`form[method=post] :is(input, select, textarea)${named}`)];
            const isChosen = field => field.type === 'radio' || field.type === 'checkbox';
            for (const field of fields) {
                if (isChosen(field)) field.checked = field.value === value; else field.value = value;
                field.dispatchEvent(new Event('change', {bubbles: true}));
            }
            const held = fields.filter(field => field.value === value && (field.checked || !isChosen(field)));
            return held.length === 1 || fields.map(field => field.outerHTML).join(' ')";
        let held = self.run(script, &[name.into(), value.into()]);
        assert_eq!(held, true, "no field {name} holds {value} at {}", self.place());
    }

    /// Presses a key.
    pub fn press(&self, key: char) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}));
    }

    /// What has the keyboard is such an element.
    pub fn is_on(&self, css: &str) -> bool {
        self.run("return document.activeElement.matches(arguments[0])", &[css.into()]) == true
    }

    /// A command of Chromium's own.
    fn command(&self, name: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    /// From now on pages are looked at so. Nothing moves: a colour half way would be judged.
    pub fn look(&self, view: View) {
        let size = json!({"width": view.width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if view.dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.command("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// The whole page as a picture.
    pub fn screenshot(&self, file: &Path) {
        let script = "const all = document.scrollingElement; return [innerWidth, Math.min(all.scrollHeight, 6000)]";
        let size = self.run(script, &[]);
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let shot = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = self.command("Page.captureScreenshot", &shot);
        std::fs::write(file, STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    /// What was written to the console since this was asked last.
    pub fn log(&self) -> Vec<Line> {
        let lines = self.post("/se/log", &json!({"type": "browser"}));
        let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let line = |line: &Value| Line { level: text(line, "level"), message: text(line, "message") };
        lines.as_array().unwrap().iter().map(line).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let script = "return location.href + '\\n' + document.body.innerText.slice(0, 4000)";
            let shown = self.try_call("POST", "/execute/sync", &json!({"script": script, "args": []}));
            eprintln!("--- the browser: {}", shown.map_or_else(|cause| cause.message, |shown| shown.to_string()));
        }
        let _gone = http::try_within(PATIENCE, ("DELETE", &self.session), &[], b"");
    }
}
