//! Dead letters in a list: the reason of each beside the beginning of its record.

use maud::{Markup, html};
use url::form_urlencoded;

use super::record::beginning;
use crate::dashboard::words::{clipped, count, instant};
use crate::store::{Buried, Result, Store};

/// A longer record is not read for its beginning, in bytes.
const READ_BYTES: i64 = 64 * 1024;
/// Longest reason that is shown, in characters.
const REASON_CHARS: usize = 300;
const HEADS: [&str; 6] = ["Number", "Kept", "Reason", "Record", "Bytes", "Submitted again"];

/// One of them.
pub struct Row {
    letter: Buried,
    /// How its record begins; `None`: it is too long to be read for that.
    beginning: Option<String>,
}

/// Reads how their records begin.
///
/// # Errors
/// Those of the store.
pub fn rows(store: &dyn Store, letters: Vec<Buried>) -> Result<Vec<Row>> {
    let row = |letter: Buried| -> Result<Row> {
        let read = if letter.bytes > READ_BYTES { None } else { store.buried_record(letter.id)? };
        Ok(Row { letter, beginning: read.map(|(_, record)| beginning(&record)) })
    };
    letters.into_iter().map(row).collect()
}

/// What the page has.
pub fn body(rows: &[Row], next_cursor: Option<&str>) -> Markup {
    html! {
        p {
            "A dead letter is a record of the submission topic that could not be taken as a task: it is kept with its "
            "reason until somebody mends it and submits it again."
        }
        @if rows.is_empty() {
            p.good { "There is none." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Dead letters as a table" {
                table {
                    caption { "The newest first." }
                    thead { tr { @for head in HEADS { th scope="col" { (head) } } } }
                    tbody { @for one in rows { (row(one)) } }
                }
            }
        }
        @if let Some(cursor) = next_cursor {
            p { a.button href={ "/dead-letters?" (after(cursor)) } { "Older ones" } }
        }
    }
}

fn row(Row { letter, beginning }: &Row) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/dead-letters/" (letter.id) } { (letter.id) } }
            td { (instant(letter.buried_at)) }
            td.text { (clipped(&letter.reason, REASON_CHARS)) }
            td.text {
                @match beginning {
                    Some(beginning) if beginning.is_empty() => { span.soft { "empty" } }
                    Some(beginning) => { code { (beginning) } }
                    None => { span.soft { "too long to be shown here" } }
                }
            }
            td.number { (count(u64::try_from(letter.bytes).unwrap_or(0))) }
            td { @if let Some(at) = letter.replayed_at { (instant(at)) } @else { "no" } }
        }
    }
}

fn after(cursor: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("cursor", cursor).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake;
    use crate::queue::PublishError;
    use crate::store::{DeadLetter, OffsetMove, Stretch};

    #[test]
    fn each_reason_stands_beside_the_beginning_of_its_record() {
        let (api, _folder) = fake::api(Err(PublishError::Full));
        let letter = |record: &[u8]| DeadLetter {
            origin: format!("t[0]@{}", record.len()),
            reason: "<b>no JSON\u{202e}".to_owned(),
            record: record.to_vec(),
        };
        let offset = OffsetMove { topic_id: "t".to_owned(), partition: 0, from: None, to: 99 };
        let long = vec![b'x'; 65 * 1024];
        let letters = vec![letter(b"<script>\xff"), letter(b""), letter(&long)];
        api.store.ingest_from(&Stretch { offset, tasks: vec![], records: vec![], letters }).unwrap().unwrap();
        let rows = rows(&*api.store, api.store.buried(None, 9).unwrap()).unwrap();
        let html = body(&rows, None).0;
        for part in [
            "&lt;b&gt;no JSON‹U+202E›",
            "<code>&lt;script&gt;\u{fffd}</code>",
            ">empty<",
            "too long to be shown here",
            "<td class=\"number\">66\u{202f}560</td>",
            "<a href=\"/dead-letters/1\">1</a>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("Older ones") && !html.contains("There is none"), "{html}");
    }

    #[test]
    fn an_empty_page_says_what_a_dead_letter_is_and_a_full_one_goes_on() {
        let html = body(&[], Some("a&b\"")).0;
        assert!(html.contains("A dead letter is a record") && html.contains("There is none."), "{html}");
        assert!(html.contains("href=\"/dead-letters?cursor=a%26b%22\""), "{html}");
    }
}
