//! Without a mouse.

use super::{DONE, Field, HOUR_MS, SOON};
use crate::harness::Browser;
use crate::harness::browser::{ENTER, TAB};
use crate::harness::node::until;

/// Goes on with the keyboard until it is on such an element.
fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..200 {
        browser.press(TAB);
        if browser.is_on(css) {
            return;
        }
    }
    panic!("the keyboard does not come to {css} at {}", browser.place());
}

/// Something shows where the keyboard is.
fn is_seen(browser: &Browser) -> bool {
    let script = "const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
        const isThere = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0;
        return isThere && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0";
    browser.run(script, &[]) == true
}

#[test]
fn the_first_key_leads_to_the_content() {
    let Some(field) = Field::start() else { return };
    let browser = &field.browser;
    field.submit("/hook", "keys", HOUR_MS);
    field.open("/tasks");
    browser.press(TAB);
    assert!(
        browser.is_on("a.skip") && is_seen(browser),
        "the first key does not lead to the skip link, or nobody sees it"
    );
    browser.press(ENTER);
    assert_eq!(browser.run("return location.hash", &[]), "#main");
    browser.press(TAB);
    assert!(browser.is_on("main *"), "the next key is in the content");
}

#[test]
fn a_task_is_found_and_cancelled_without_a_mouse() {
    let Some(field) = Field::start() else { return };
    let (browser, id) = (&field.browser, field.submit("/hook", "keys", HOUR_MS));
    field.open("/");
    for link in
        ["nav a[href='/tasks']", &format!("main a[href='/tasks/{id}']"), &format!("main a[href$='/tasks/{id}/cancel']")]
    {
        tab_to(browser, link);
        assert!(is_seen(browser), "{link} is not seen to have the keyboard");
        let place = browser.attribute(link, "href").unwrap();
        browser.press(ENTER);
        browser.until_at(&place);
    }
    tab_to(browser, super::SUBMIT);
    assert!(is_seen(browser));
    browser.press(ENTER);
    let is_told = || browser.place() == format!("/tasks/{id}") && browser.has(DONE);
    until("its page says that it is done", SOON, is_told);
    assert_eq!(field.task(&id)["state"], "cancelled");
}
