//! How a command ends: the exit codes, and the one line that says why.

use std::fmt;

/// The server refused the request (a 4xx): the same again will be refused again.
pub const REFUSED: u8 = 1;
/// Wrong usage or a wrong setting: nothing was done.
pub const USAGE: u8 = 2;
/// An inner failure, or a stop that was cut off.
pub const INNER: u8 = 70;
/// A server is away or overloaded, or the outcome is not known: try again.
pub const AWAY: u8 = 75;

/// The exit codes, for `--help`.
pub const EXPLAINED: &str = "Exit codes: 0 done (a node: stopped cleanly) · 1 the server refused the request, the task that was \
    watched did not succeed, or you were asked and did not say yes · \
    2 wrong usage or a wrong setting · 70 an inner failure, or a node stopped by a second signal · 75 a server is away or overloaded, try again";

/// Longest value quoted in a message, in characters.
const QUOTED_CHARS_MAX: usize = 100;

/// Why a command ended without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The process's exit code.
    pub code: u8,
    /// What to tell the caller; empty if it was told already.
    pub message: String,
    /// To be told instead, where JSON was asked for: the refusal as it came.
    pub json: Option<Vec<u8>>,
    /// The HTTP status of the refusal, if it is one.
    pub status: Option<u16>,
}

impl Failure {
    /// With an exit code of this module.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), json: None, status: None }
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }
}

impl fmt::Display for Failure {
    /// One line, whatever is in the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.message))
    }
}

/// A text on one line, without anything that steers a terminal.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\n' | '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// A value as it is shown in a message: in quotes, shortened, control characters escaped.
pub fn quoted(value: &str) -> String {
    let mut chars = value.chars();
    let short: String = chars.by_ref().take(QUOTED_CHARS_MAX).collect();
    let more = if chars.next().is_some() { "…" } else { "" };
    format!("{short:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        assert_eq!(Failure::usage("a\nb\u{1b}[31mc\n").to_string(), "a b\\u{1b}[31mc");
    }

    #[test]
    fn a_quoted_value_is_short_and_harmless() {
        assert_eq!(quoted("a\"\n"), r#""a\"\n""#);
        assert!(quoted(&"x".repeat(500)).chars().count() < 110);
    }
}
