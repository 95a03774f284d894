//! What is wrong with something from outside: which field, which value, what is allowed.

use std::fmt;

/// Longest value quoted in a message, in characters.
const QUOTED_CHARS_MAX: usize = 100;

/// One input that was refused. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// JSON pointer (RFC 6901) of the field; empty for the whole document.
    pub pointer: String,
    /// The value as it was sent, shortened for a message.
    pub value: String,
    /// What is allowed there, as a phrase: "an integer from 0 to 9".
    pub allowed: String,
}

impl Invalid {
    /// For the field at `pointer`.
    pub fn new(pointer: impl Into<String>, value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), value: quoted(&value.to_string()), allowed: allowed.into() }
    }

    /// The same, one level deeper: for an item of a list or a field of an object.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the document" } else { &self.pointer };
        write!(f, "{place} is {}; allowed: {}", self.value, self.allowed)
    }
}

impl std::error::Error for Invalid {}

/// One key as a part of a JSON pointer: `/` and `~` are escaped (RFC 6901, section 3).
pub fn pointer_part(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A value fit for a message: shortened, control characters escaped.
fn quoted(value: &str) -> String {
    let mut chars = value.chars();
    let mut short: String = chars
        .by_ref()
        .take(QUOTED_CHARS_MAX)
        .flat_map(|c| if c.is_control() { c.escape_default().to_string().chars().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_field_value_and_what_is_allowed() {
        let invalid = Invalid::new("/priority", 12, "an integer from 0 to 9").under("/3");
        assert_eq!(invalid.to_string(), "/3/priority is 12; allowed: an integer from 0 to 9");
    }

    #[test]
    fn long_and_hostile_values_are_shortened_and_escaped() {
        let invalid = Invalid::new("", format!("a\n{}", "x".repeat(500)), "less");
        assert!(invalid.value.starts_with("a\\nx"));
        assert!(invalid.value.ends_with('…'));
        assert!(invalid.value.chars().count() < 110);
    }

    #[test]
    fn pointers_escape_slash_and_tilde() {
        assert_eq!(pointer_part("a/b~c"), "/a~1b~0c");
    }
}
