//! What a task carries, as text: JSON is laid out for people, and no digit of it is lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::super::words::{count, visible};
use crate::domain::payload::{Payload, minified};

/// Most bytes that are shown.
const SHOWN_BYTES_MAX: usize = 64 * 1024;
const INDENT: &str = "  ";

/// All of it, or its beginning.
pub fn of(payload: &Payload) -> Markup {
    let bytes = payload.bytes().len();
    let (kind, text) = match payload {
        Payload::Empty => return html! { p { "None: the target gets an empty body." } },
        Payload::Json(json) => ("JSON", laid_out(json)),
        Payload::Bytes(bytes) => ("raw bytes, here in base64", STANDARD.encode(bytes)),
    };
    let shown = beginning(&text);
    html! {
        p.soft {
            (count(u64::try_from(bytes).unwrap_or(u64::MAX))) " bytes, " (kind)
            @if shown.len() < text.len() { ". This is the beginning of it; the API has the whole." }
        }
        pre tabindex="0" role="region" aria-label="Payload as text" { code { (visible(shown)) } }
    }
}

fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or(text)
}

/// A valid JSON text with a line for each part. Nothing but the white space between the parts is changed. It ends somewhat
/// beyond what is shown.
fn laid_out(json: &str) -> String {
    let compact = minified(json);
    let mut text = String::with_capacity(compact.len().min(SHOWN_BYTES_MAX));
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut signs = compact.chars().peekable();
    while let Some(sign) = signs.next() {
        if text.len() > SHOWN_BYTES_MAX {
            break;
        }
        if matches!(sign, '}' | ']') && !in_string {
            depth = depth.saturating_sub(1);
            begin_line(&mut text, depth);
        }
        text.push(sign);
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ if in_string => {}
            '{' | '[' => {
                if let Some(end) = signs.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth = depth.saturating_add(1);
                    begin_line(&mut text, depth);
                }
            }
            ',' => begin_line(&mut text, depth),
            ':' => text.push(' '),
            _ => {}
        }
    }
    text
}

fn begin_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n(INDENT, depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_and_no_digit_is_lost() {
        let json =
            r#" {"b" : 1.00,"a":[ ], "c":[1,{"d":"x, y: {\"z\\"}], "e": {}, "n": 123456789012345678901234567890} "#;
        let laid = "{\n  \"b\": 1.00,\n  \"a\": [],\n  \"c\": [\n    1,\n    {\n      \"d\": \"x, y: {\\\"z\\\\\"\n    }\n  ],\n  \
                    \"e\": {},\n  \"n\": 123456789012345678901234567890\n}";
        assert_eq!(laid_out(json), laid);
        assert_eq!(minified(laid), minified(json));
        for scalar in ["1.00", "\"a\\\"[\"", "true", "[]"] {
            assert_eq!(laid_out(scalar), scalar);
        }
    }

    #[test]
    fn a_long_one_is_cut_and_says_so() {
        let whole = Payload::Json(format!("\"{}\"", "é".repeat(100_000)));
        let html = of(&whole).into_string();
        assert!(html.contains("200\u{202f}002 bytes, JSON. This is the beginning"), "{:?}", html.get(..100));
        assert!((64_000..67_000).contains(&html.len()), "{}", html.len());
        let nested = format!("{}{}", "[".repeat(60), "]".repeat(60));
        let many = format!("[{}]", vec![nested; 1_000].join(","));
        assert!(of(&Payload::Json(many)).into_string().len() < 70_000);
        assert!(!of(&Payload::Json("1".to_owned())).into_string().contains("beginning"));
    }

    #[test]
    fn what_is_hostile_is_text() {
        let html = of(&Payload::Json("\"</pre><script>\u{202e}\u{0}\"".to_owned())).into_string();
        assert!(html.contains("&lt;/pre&gt;&lt;script&gt;‹U+202E›‹U+0000›"), "{html}");
        assert!(of(&Payload::Bytes(vec![0, 255])).into_string().contains("<code>AP8=</code>"));
        assert!(of(&Payload::Empty).into_string().contains("empty body"));
    }
}
