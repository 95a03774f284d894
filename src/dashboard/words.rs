//! How things are written for people.

use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};

use crate::domain::{State, Timestamp};

/// Between groups of three digits: narrow, and never broken.
const GROUP: char = '\u{202f}';

/// Text from outside as it is: what has no shape of its own, or turns the order of what stands around it, is named.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        if is_hidden(sign) {
            // Writing to a string does not fail.
            let _ok = write!(shown, "‹U+{:04X}›", u32::from(sign));
        } else {
            shown.push(sign);
        }
    }
    shown
}

/// The same, at most so many characters of it.
pub fn clipped(text: &str, most: usize) -> String {
    let mut signs = text.chars();
    let start: String = signs.by_ref().take(most).collect();
    let rest = if signs.next().is_some() { "…" } else { "" };
    visible(&start) + rest
}

/// Controls but line ends and tabs, marks of direction, and what takes no room.
fn is_hidden(sign: char) -> bool {
    let is_mark = matches!(sign,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}');
    is_mark || (sign.is_control() && !matches!(sign, '\n' | '\t'))
}

/// A time in seconds, by its largest unit.
pub fn duration(seconds: f64) -> String {
    const STEPS: [(f64, f64, &str, usize); 6] = [
        (0.001, 1e-6, "µs", 0),
        (1.0, 1e-3, "ms", 1),
        (120.0, 1.0, "s", 1),
        (7_200.0, 60.0, "min", 0),
        (172_800.0, 3_600.0, "h", 0),
        (f64::INFINITY, 86_400.0, "d", 0),
    ];
    let step = STEPS.into_iter().find(|(below, ..)| seconds < *below);
    let (_, unit, name, digits) = step.unwrap_or((0.0, 86_400.0, "d", 0));
    format!("{:.digits$} {name}", seconds / unit)
}

/// A whole number in groups of three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(GROUP);
        }
        grouped.push(digit);
    }
    grouped
}

/// So many a second.
pub fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}/s") } else { format!("{per_second:.0}/s") }
}

/// How long ago.
pub fn ago(since: Duration) -> String {
    format!("{} ago", duration(since.as_secs_f64()))
}

/// An instant, to the millisecond and in UTC; for programs exactly.
pub fn instant(at: Timestamp) -> Markup {
    let exact = at.to_string();
    let shown = exact.replacen('T', " ", 1);
    let shown = shown.get(..23).unwrap_or(&shown);
    html! { time datetime=(exact) { (shown) " UTC" } }
}

/// An instant to the minute.
pub fn minute(at: Timestamp) -> String {
    let exact = at.to_string().replacen('T', " ", 1);
    format!("{} UTC", exact.get(..16).unwrap_or(&exact))
}

/// Where a task stands.
pub fn state(state: State) -> Markup {
    html! { span class={ "state " (state.word()) } { (state.word()) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_named_and_what_is_read_stays() {
        assert_eq!(visible("a\tb\nc é 日本 <b>"), "a\tb\nc é 日本 <b>");
        assert_eq!(visible("x\u{202e}y\0\u{1b}[2J\u{200b}"), "x‹U+202E›y‹U+0000›‹U+001B›[2J‹U+200B›");
        assert_eq!(clipped("abcdef", 3), "abc…");
        assert_eq!(clipped("ab\u{7f}", 3), "ab‹U+007F›");
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [0.000_25, 0.003, 12.5, 240.0, 10_800.0, 259_200.0].map(duration),
            ["250 µs", "3.0 ms", "12.5 s", "4 min", "3 h", "3 d"]
        );
        assert_eq!([7, 999, 1_000, 1_234_567].map(count), ["7", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([0.0, 9.94, 1_000.4].map(rate), ["0.0/s", "9.9/s", "1000/s"]);
        assert_eq!(ago(Duration::from_secs(3)), "3.0 s ago");
    }

    #[test]
    fn an_instant_is_exact_for_programs() {
        let shown = instant(Timestamp::from_micros(1_790_000_000_123_456)).into_string();
        assert!(shown.contains(".123 UTC</time>") && shown.contains(".123456Z\""), "{shown}");
    }
}
