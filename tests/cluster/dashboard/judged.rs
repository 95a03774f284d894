//! What is true of every page.

use super::SOON;
use crate::harness::Browser;
use crate::harness::browser::View;
use crate::harness::node::until;
use crate::services::axe;

/// What keeps people from reading a page, and is serious. Nothing is loaded for it once more.
const AXE: &str = "const done = arguments[0], rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
    const told = one => `${one.id}: ${one.help}: ` + one.nodes.map(node => `${node.html} ${node.failureSummary}`).join(' ');
    const isSerious = one => one.impact === 'serious' || one.impact === 'critical';
    axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations'], preload: false})
        .then(found => done(found.violations.filter(isSerious).map(told)), cause => done([`axe: ${cause}`]));";

/// What is wider than the window and cannot be scrolled by itself.
const WIDE: &str =
    "const isWide = one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll');
    if (document.scrollingElement.scrollWidth <= innerWidth) return [];
    const wide = [...document.querySelectorAll('body, body *')].filter(isWide).map(one => one.outerHTML.slice(0, 200));
    return [`${document.scrollingElement.scrollWidth} instead of ${innerWidth}`, ...wide.slice(-5)];";

/// Opens a page and judges it: its heading, the console, how it looks in every view.
pub fn page(browser: &Browser, url: &str) {
    browser.goto(url);
    assert_eq!(browser.status(), 200, "{url}");
    shown(browser);
}

/// The same of the page that is open.
pub fn shown(browser: &Browser) {
    let at = browser.place();
    assert_eq!(browser.count("h1"), 1, "{at}");
    for part in ["html[lang]", "main#main h1", "a.skip[href='#main']", "nav a[href='/']"] {
        assert!(browser.has(part), "{at} has no {part}");
    }
    if browser.has("body[data-stream]") {
        until_live(browser);
    }
    for view in View::ALL {
        browser.look(view);
        fits(browser);
    }
    quiet(browser);
    readable(browser);
    browser.look(View::ALL[0]);
}

/// Waits until the page renews itself.
pub fn until_live(browser: &Browser) {
    until("the page is live", SOON, || browser.text("#stream-state").as_deref() == Some("Live"));
}

/// Nothing was complained of in the console, such as a breach of the Content Security Policy.
pub fn quiet(browser: &Browser) {
    let lines = browser.log();
    let bad =
        |text: &str| ["Content Security Policy", "Content-Security-Policy"].iter().any(|name| text.contains(name));
    let complaints: Vec<_> = lines.iter().filter(|line| line.level == "SEVERE" || bad(&line.message)).collect();
    assert!(complaints.is_empty(), "{}: {complaints:#?}", browser.place());
}

/// The page is not to be scrolled sidewards.
pub fn fits(browser: &Browser) {
    let wide = browser.run(WIDE, &[]);
    assert_eq!(wide, serde_json::json!([]), "{}", browser.place());
}

/// axe finds nothing serious, in every view.
fn readable(browser: &Browser) {
    let Some(axe) = axe::script() else { return };
    browser.run(axe, &[]);
    for view in View::ALL {
        browser.look(view);
        let found = browser.run_async(AXE, &[]);
        assert_eq!(found, serde_json::json!([]), "{view:?} of {}: {found:#}", browser.place());
    }
    // It tries what the policy forbids.
    let _its_own = browser.log();
}
