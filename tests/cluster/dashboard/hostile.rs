//! What others have written is text, wherever it is shown: no element, no address and no order of signs comes from it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::{Field, HOUR_MS, NODES, SOON, judged, pages, seat};
use crate::harness::browser::View;
use crate::harness::cluster::Cluster;
use crate::harness::node::until;
use crate::harness::on_topic::OnTopic;
use crate::harness::{Answer, Browser, Call, Node, Receiver, http};
use crate::services::postgres::server;

/// What somebody may have written.
pub fn texts() -> [String; 20] {
    const SCRIPT: &str = "<script>window.hit=1</script>";
    [
        SCRIPT.to_owned(),
        format!("</td></tr></table></pre></section></main>{SCRIPT}"),
        "\"><img src=x onerror=window.hit=1>".to_owned(),
        "' onmouseover='window.hit=1' autofocus onfocus='window.hit=1".to_owned(),
        "<svg onload=window.hit=1><a xlink:href=javascript:window.hit=1>x</a></svg>".to_owned(),
        format!("</textarea></title></style></script>{SCRIPT}"),
        format!("<!--{SCRIPT}-->"),
        format!("]]>{SCRIPT}<![CDATA["),
        "javascript:window.hit=1//".to_owned(),
        "<a href=\"javascript:window.hit=1\" style=position:fixed;inset:0>x</a>".to_owned(),
        "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>".to_owned(),
        "<base href=http://evil.example/><meta http-equiv=refresh content='0;url=http://evil.example/'>".to_owned(),
        "<form action=http://evil.example/><button autofocus>x</button></form>".to_owned(),
        format!("&lt;script&gt;&#60;&amp;&quot;%3Cscript%3E%00\\u003cscript\\u003e{SCRIPT}"),
        "{{7*7}}${7*7}<%= 7*7 %>`$(reboot)`".to_owned(),
        "right \u{202e}tfel\u{202c} \u{2066}alone\u{2069} \u{200f}mark \u{61c}".to_owned(),
        "zero\u{200b}\u{200d}\u{2060}\u{feff}width, soft\u{ad}hyphen, tag\u{e0041}".to_owned(),
        "\u{1b}[2J\u{7}\u{8}\u{7f}\u{9b}31m\r\nX-Injected: 1\u{2028}".to_owned(),
        "W".repeat(200),
        format!("e{} 日本語 🙈", "\u{301}".repeat(60)),
    ]
}

/// As it is to be shown.
fn visible(text: &str) -> String {
    let mut shown = String::new();
    for sign in text.chars() {
        let is_mark = matches!(sign, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        if is_mark || (sign.is_control() && sign != '\n' && sign != '\t') {
            write!(shown, "‹U+{:04X}›", u32::from(sign)).unwrap();
        } else {
            shown.push(sign);
        }
    }
    shown
}

/// Everything of a page that is not its own, and signs that hide or turn others. What is in a field to be edited is as it is.
const FOREIGN: &str = r"
    const own = location.origin, found = [];
    const foreign = ['img', 'image', 'iframe', 'frame', 'object', 'embed', 'base', 'video', 'audio', 'style', 'math', 'template',
        'foreignobject', 'animate', 'set', 'use'];
    if (window.hit !== undefined) found.push('a script of theirs has run');
    for (const one of document.querySelectorAll('*')) {
        const name = one.localName.toLowerCase();
        if (foreign.includes(name) || (name === 'meta' && one.httpEquiv)) found.push(one.outerHTML.slice(0, 200));
        if (name === 'script' && (!one.src.startsWith(own + '/assets/') || one.text)) found.push(one.outerHTML.slice(0, 200));
        for (const {name, value} of one.attributes) {
            if (/^on|^srcdoc$|^style$/i.test(name)) found.push(one.outerHTML.slice(0, 200));
            if (/^(href|src|action|formaction|xlink:href)$/i.test(name) && new URL(value, location.href).origin !== own)
                found.push(`${name} leads to ${value}`);
        }
    }
    const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;
    const labels = [...document.querySelectorAll('[aria-label], [title]')].flatMap(one => [one.ariaLabel || '', one.title || '']);
    const copy = document.documentElement.cloneNode(true);
    copy.querySelectorAll('textarea').forEach(one => one.remove());
    for (const text of [copy.textContent, ...labels]) {
        const at = text.search(hidden);
        if (at >= 0) found.push(`U+${text.codePointAt(at).toString(16)} after ${text.slice(Math.max(0, at - 40), at)}`);
    }
    return found;";

/// Opens a page, nothing of which may be foreign. It may be a refusal.
fn only_text(browser: &Browser, url: &str) {
    browser.goto(url);
    let place: String = browser.place().chars().take(200).collect();
    let found = browser.run(FOREIGN, &[]);
    assert_eq!(found, json!([]), "{place}: {found:#}");
    assert_eq!(browser.count("h1"), 1, "{place}");
    judged::fits(browser);
    let of_status = format!("status of {}", browser.status());
    let complaints =
        browser.log().into_iter().filter(|line| line.level == "SEVERE" && !line.message.contains(&of_status));
    assert_eq!(complaints.map(|line| line.message).collect::<Vec<_>>(), Vec::<String>::new(), "{place}");
}

fn has(browser: &Browser, text: &str) {
    let is_there = browser.run("return document.body.textContent.includes(arguments[0])", &[text.into()]);
    assert_eq!(is_there, true, "{text:?} is not shown at {}", browser.place());
}

fn coded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A target that answers in the same manner.
fn says(call: &Call, _: usize) -> Answer {
    let n = call.path.strip_prefix("/says/").and_then(|rest| rest.split('?').next()?.parse::<usize>().ok());
    let Some(n) = n else { return Answer::status(204) };
    Answer { body: format!("error-{n} {}", texts()[n]).into_bytes(), ..Answer::status(400) }
}

/// Three nodes that are called so.
fn field() -> Option<Field> {
    let (browser, alone) = seat()?;
    let url = server()?.schema();
    let is_name = |text: &String| text.chars().count() < 200 && !text.contains(char::is_control);
    let names: Vec<String> = texts().into_iter().filter(is_name).collect();
    let node = |n: usize| {
        let name: String = [&names[n], &names[n + NODES], &names[n + 2 * NODES]].map(String::as_str).join(" ");
        Node::starting(&["--database-url", &url, "--name", &format!("node-{n} {name}")])
    };
    let mut nodes: Vec<Node> = (0..NODES).map(node).collect();
    nodes.iter_mut().for_each(Node::until_ready);
    let cluster = Cluster { url, nodes };
    let field = Field { browser, cluster, receiver: Receiver::answering(says), _alone: alone };
    until("somebody is master", SOON, || !field.get("/v1/cluster")["master"].is_null());
    // On a telephone: what is too wide shows at once.
    field.browser.look(View { dark: false, width: 400 });
    Some(field)
}

/// A task all of whose parts are written by somebody.
fn submit(field: &Field, n: usize, text: &str) -> String {
    let printable = text.replace(char::is_control, "");
    let url = field.receiver.url(&format!("/says/{n}?url-{n}={printable}"));
    let name = format!("name-{n} {}", text.replace('=', "-"));
    let labels = json!({"of": "hostile", name: "x", format!("l{n}"): format!("label-{n} {text}")});
    let payload = json!({"said": format!("payload-{n} {text}"), text: n});
    let document = json!({"delay_ms": 0, "target": {"type": "http", "url": url}, "labels": labels, "payload": payload});
    let id = field.send(&document);
    field.until_state(&id, "failed");
    id
}

#[test]
fn hostile_payloads_labels_urls_and_errors_are_text() {
    let Some(field) = field() else { return };
    let browser = &field.browser;
    for (n, text) in texts().iter().enumerate() {
        let id = submit(&field, n, text);
        let at = |place: &str| field.at(n, place);
        only_text(browser, &at(&format!("/tasks/{id}")));
        for mark in ["payload", "name", "label", "error", "url"] {
            has(browser, &format!("{mark}-{n}"));
        }
        // What is longer may be cut.
        has(browser, &visible(&text.chars().take(60).collect::<String>()));
        let label = coded(&format!("l{n}=label-{n} {text}"));
        only_text(browser, &at(&format!("/tasks?label={label}")));
        assert!(browser.has(&format!("main a[href='/tasks/{id}']")), "it is found by its label {text:?}");
        only_text(browser, &at(&format!("/tasks/all/retry?label={label}")));
        only_text(browser, &at(&format!("/tasks/{id}/retry")));
        let coded = coded(text);
        for place in
            ["/tasks?state=", "/tasks?id=", "/tasks?target=", "/tasks?from=", "/tasks/", "/tasks/all/", "/tasks?done="]
        {
            only_text(browser, &at(&format!("{place}{coded}")));
        }
        for place in [format!("/tasks?{coded}=x"), format!("/tasks/{id}?done={coded}"), format!("/tasks/{id}/{coded}")]
        {
            only_text(browser, &at(&place));
        }
        only_text(browser, &at(&format!("/dead-letters/{coded}")));
    }
    for place in pages::PLACES.into_iter().chain(["/tasks?label=of%3Dhostile", "/tasks?state=failed"]) {
        only_text(browser, &field.at(0, place));
    }
}

#[test]
fn hostile_pauses_and_names_of_nodes_are_text() {
    let Some(field) = field() else { return };
    let browser = &field.browser;
    for (n, text) in texts().iter().enumerate() {
        let label = format!("pause-{n} {}=value {text}", text.replace('=', "-"));
        let reason = format!("reason-{n} {}", text.replace(char::is_control, ""));
        let pause = http::post_json(&field.at(1, "/v1/pauses"), &json!({"label": label, "reason": reason}));
        assert_eq!(pause.status, 201, "{}", pause.json());
        only_text(browser, &field.at(n, &format!("/cluster/pauses/{}/resume", pause.json()["id"])));
        has(browser, &format!("pause-{n} "));
        has(browser, &visible(&reason));
        // Names that were nodes' once.
        let name = format!("gone-{n} {}", text.replace('\'', "''"));
        field.cluster.run(&format!(
            "WITH gone AS (INSERT INTO generation (id, node, address, version, slots, state, registered_at, ended_at) \
             VALUES (gen_random_uuid(), '{name}', '{name}', '{name}', 1, 2, now_us(), now_us()) RETURNING id) \
             INSERT INTO heartbeat (generation, counter, beaten_at, free_slots, clock_offset_us, gone) \
             SELECT id, 1, now_us(), 0, 0, true FROM gone"
        ));
        // The newest five are shown.
        if n % 5 == 4 {
            until("another look was taken", SOON, || {
                browser.goto(&field.at(n, "/cluster"));
                browser.text("#nodes").unwrap().contains(&format!("gone-{n} "))
            });
            only_text(browser, &field.at(n, "/cluster"));
            for n in n - 4..=n {
                has(browser, &format!("gone-{n} "));
            }
        }
    }
    let id = field.send(&json!({"delay_ms": 0, "target": {"type": "log"}}));
    field.until_state(&id, "succeeded");
    let places =
        pages::PLACES.map(str::to_owned).into_iter().chain([format!("/tasks/{id}"), "/cluster/pause".to_owned()]);
    for (n, place) in places.enumerate() {
        only_text(browser, &field.at(n, &place));
    }
    // What the stream puts on an open page is no markup either.
    for place in ["/", "/cluster", "/actors"] {
        browser.goto(&field.at(0, place));
        judged::until_live(browser);
        let script = "window.renewed = 0; new MutationObserver(() => window.renewed++)
            .observe(document.querySelector('main'), {childList: true, subtree: true})";
        browser.run(script, &[]);
        field.send(&json!({"delay_ms": 0, "target": {"type": "log"}}));
        until("the page renews itself", SOON, || browser.run("return window.renewed", &[]).as_u64() > Some(0));
        assert_eq!(browser.run(FOREIGN, &[]), json!([]), "{place}");
    }
}

#[test]
fn the_longest_payloads_are_text() {
    let Some(field) = field() else { return };
    let large = |part: &str| part.repeat(261_000 / part.len());
    let payloads: [Value; 5] = [
        large("<script>window.hit=1</script>").into(),
        large("W").into(),
        large("\u{202e}x").into(),
        json!({ "base64": "PHNjcmlwdD53aW5kb3cuaGl0PTE8L3NjcmlwdD7/AA==" }),
        json!({large("<img src=x onerror=window.hit=1>"): vec![Value::Null; 100]}),
    ];
    for payload in payloads {
        let id = field.send(&json!({"delay_ms": HOUR_MS, "target": {"type": "log"}, "payload": payload}));
        for place in [format!("/tasks/{id}"), format!("/tasks/{id}/cancel"), "/tasks".to_owned()] {
            only_text(&field.browser, &field.at(0, &place));
        }
    }
}

#[test]
fn hostile_dead_letters_are_text() {
    let Some(seat) = seat() else { return };
    let Some(on) = OnTopic::start(NODES) else { return };
    let texts = texts();
    let of_task =
        |n: usize| json!({"run_at": format!("letter-{n} {}", texts[n]), "target": {"type": "log"}}).to_string();
    let documents: Vec<String> = (0..texts.len()).map(of_task).collect();
    let plain = texts.iter().map(|text| (Some(text.as_str()), Some(text.as_bytes())));
    on.topic().put(documents.iter().map(|document| (None, Some(document.as_bytes()))).chain(plain));
    let all = 2 * texts.len() as u64;
    until("all of it is buried", SOON, || on.dead_letters() == all);
    let field = Field::of(seat, on.cluster);
    field.browser.look(View { dark: false, width: 400 });
    let letters = field.get("/v1/dead-letters?limit=1000");
    for letter in letters["dead_letters"].as_array().unwrap() {
        only_text(&field.browser, &field.at(0, &format!("/dead-letters/{}", letter["id"])));
        assert_eq!(field.browser.status(), 200);
        let reason: String = letter["reason"].as_str().unwrap().chars().take(20).collect();
        has(&field.browser, &visible(&reason));
    }
    for (node, place) in pages::PLACES.iter().enumerate() {
        only_text(&field.browser, &field.at(node, place));
    }
}
