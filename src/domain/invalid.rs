//! What is wrong with something from outside: which field, which value, what is allowed.

use std::fmt;

/// Longest value quoted in a message, in characters.
const QUOTED_CHARS_MAX: usize = 100;
/// Longest pointer, in characters: a key of it may be as long as the whole document.
const POINTER_CHARS_MAX: usize = 500;
/// Longest phrase of what is allowed, in characters: it may name keys and values too.
const ALLOWED_CHARS_MAX: usize = 1_000;

/// One input that was refused. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// JSON pointer (RFC 6901) of the field, legible and shortened for a message; empty for the whole document.
    pub pointer: String,
    /// The value as it was sent, shortened for a message.
    pub value: String,
    /// What is allowed there, as a phrase: "an integer from 0 to 9".
    pub allowed: String,
}

impl Invalid {
    /// For the field at `pointer`.
    pub fn new(pointer: impl Into<String>, value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self {
            pointer: legible(&pointer.into(), POINTER_CHARS_MAX),
            value: legible(&value.to_string(), QUOTED_CHARS_MAX),
            allowed: legible(&allowed.into(), ALLOWED_CHARS_MAX),
        }
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

/// A text of whatever origin, fit to be shown and kept: control characters are escaped (PostgreSQL takes no NUL into a
/// text, and a log no line break), and what is longer than `chars_max` ends in an ellipsis.
pub fn legible(text: &str, chars_max: usize) -> String {
    let (mut short, mut chars) = (String::new(), 0_usize);
    for c in text.chars() {
        let escaped = c.is_control().then(|| c.escape_default());
        let room = chars_max.saturating_sub(chars);
        let needed = escaped.as_ref().map_or(1, ExactSizeIterator::len);
        if needed > room {
            short.push('…');
            break;
        }
        match escaped {
            Some(escaped) => short.extend(escaped),
            None => short.push(c),
        }
        chars += needed;
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
        assert_eq!(invalid.value.chars().count(), QUOTED_CHARS_MAX + 1);
    }

    #[test]
    fn every_part_is_legible_and_bounded() {
        let key = format!("\0{}", "\u{1b}".repeat(1 << 20));
        let invalid = Invalid::new(pointer_part(&key), &key, &key).under("/7");
        let parts = [(&invalid.pointer, POINTER_CHARS_MAX + 2), (&invalid.value, QUOTED_CHARS_MAX)];
        for (part, most) in parts.into_iter().chain([(&invalid.allowed, ALLOWED_CHARS_MAX)]) {
            assert!(part.contains("\\u{0}\\u{1b}") && part.ends_with('…'), "{part}");
            assert!(part.chars().count() <= most + 1 && !part.contains(char::is_control), "{part}");
        }
    }

    #[test]
    fn what_is_legible_and_fits_stays_as_it_is() {
        for text in ["", "bücher", "a b"] {
            assert_eq!(legible(text, text.chars().count()), text);
        }
        assert_eq!(legible("a\nb\0", 9), "a\\nb\\u{0}");
        assert_eq!(legible("a\nb\0", 8), "a\\nb…");
    }

    #[test]
    fn pointers_escape_slash_and_tilde() {
        assert_eq!(pointer_part("a/b~c"), "/a~1b~0c");
    }
}
