//! One dead letter: what is known of it, its record, and the form that submits it again.

use maud::{Markup, html};

use super::record::Record;
use crate::api::Problem;
use crate::dashboard::token::Token;
use crate::dashboard::words::{count, instant, visible};
use crate::domain::TaskId;
use crate::domain::limits::SUBMISSION_BYTES_MAX;
use crate::store::Buried;

/// What a page shows of one.
pub struct Shown<'a> {
    /// Which.
    pub letter: &'a Buried,
    /// Its record.
    pub record: &'a Record,
    /// The task that it was just submitted as.
    pub became: Option<TaskId>,
    /// The browser's.
    pub token: &'a Token,
}

impl Shown<'_> {
    /// The page's title.
    pub fn title(&self) -> String {
        format!("Dead letter {}", self.letter.id)
    }

    /// What the page has. `refused`: why it was not submitted again, and the text that was to be.
    pub fn body(&self, refused: Option<(&Problem, &str)>) -> Markup {
        html! {
            @if let Some(task) = self.became {
                p role="status" { "It was submitted again as task " a href={ "/tasks/" (task) } { (task) } "." }
            }
            (self.about())
            @if self.letter.replayed_at.is_some() {
                @if let Some((problem, _)) = refused { (alert(problem)) }
                h2 { "Record" }
                (self.read_only())
            } @else {
                (self.form(refused))
            }
            p { a href="/dead-letters" { "Back to the dead letters" } }
        }
    }

    fn about(&self) -> Markup {
        let Buried { buried_at, origin, reason, bytes, published, replayed_at, .. } = self.letter;
        html! {
            dl {
                dt { "Reason" } dd { (visible(reason)) }
                dt { "Origin" } dd { code { (visible(origin)) } " (topic[partition]@offset)" }
                dt { "Kept" } dd { (instant(*buried_at)) }
                dt { "Bytes" } dd { (count(u64::try_from(*bytes).unwrap_or(0))) }
                dt { "In the topic of dead letters" } dd { @if *published { "yes" } @else { "no" } }
                dt { "Submitted again" } dd { @if let Some(at) = replayed_at { (instant(*at)) } @else { "no" } }
            }
        }
    }

    /// The record where there is nothing to edit.
    fn read_only(&self) -> Markup {
        let (why, text) = match self.record {
            Record::Text(text) => (None, text),
            Record::Bytes(text) => (Some("It is no UTF-8, so it is no task. In base64:".to_owned()), text),
            Record::Long(text) => {
                let most = count(u64::try_from(SUBMISSION_BYTES_MAX).unwrap_or(u64::MAX));
                (Some(format!("It is longer than a task may be ({most} bytes). It begins so:")), text)
            }
        };
        html! {
            @if let Some(why) = why { p { (why) } }
            pre tabindex="0" role="region" aria-label="The record" { (text) }
        }
    }

    fn form(&self, refused: Option<(&Problem, &str)>) -> Markup {
        let (record, label) = match self.record {
            Record::Text(text) => (text.as_str(), "The record, to be mended: one task as JSON"),
            _ => ("", "Another record in its place: one task as JSON"),
        };
        let text = refused.map_or(record, |(_, text)| text);
        html! {
            @if !matches!(self.record, Record::Text(_)) {
                h2 { "Record" }
                (self.read_only())
            }
            h2 { "Submit it again" }
            @if let Some((problem, _)) = refused { (alert(problem)) }
            form method="post" action={ "/dead-letters/" (self.letter.id) "/replay" } {
                (self.token.field())
                label for="record" { (label) }
                // A form's text loses its first line end.
                textarea #record name="record" rows="16" spellcheck="false" autocomplete="off" { "\n" (text) }
                p.soft {
                    "Signs that cannot be seen are written as JSON writes them, with \\u. "
                    "What is refused leaves the dead letter as it was."
                }
                p { button type="submit" { "Submit it again" } }
            }
        }
    }
}

fn alert(problem: &Problem) -> Markup {
    html! { p role="alert" { "It was not submitted: " (visible(&problem.to_string())) } }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::domain::{Invalid, Timestamp};

    fn buried(replayed: bool) -> Buried {
        Buried {
            id: 7,
            buried_at: Timestamp::from_micros(1_000_000),
            origin: "t[0]@1".to_owned(),
            reason: "no <b>JSON\u{202e}".to_owned(),
            bytes: 1_234,
            published: true,
            replayed_at: replayed.then_some(Timestamp::from_micros(2_000_000)),
        }
    }

    fn html(replayed: bool, record: &Record, refused: Option<(&Problem, &str)>) -> String {
        let token = Token::of(&TestRequest::default().to_http_request());
        let became = replayed.then(|| TaskId::from_key("k"));
        Shown { letter: &buried(replayed), record, became, token: &token }.body(refused).0
    }

    #[test]
    fn a_record_is_text_to_be_mended() {
        let html = html(false, &Record::Text("</textarea><script>".to_owned()), None);
        assert!(html.contains("autocomplete=\"off\">\n&lt;/textarea&gt;&lt;script&gt;</textarea>"), "{html}");
        assert!(html.contains("action=\"/dead-letters/7/replay\"") && html.contains("name=\"token\""), "{html}");
        assert!(html.contains("no &lt;b&gt;JSON‹U+202E›") && html.contains("t[0]@1"), "{html}");
        assert!(!html.contains("role=\"alert\"") && !html.contains("role=\"status\""), "{html}");
    }

    #[test]
    fn what_was_refused_stands_above_the_text_that_was_sent() {
        let problem = Problem::from(Invalid::new("/target/type", "fax", "\"log\""));
        let html = html(false, &Record::Text("old".to_owned()), Some((&problem, "sent")));
        let (alert, text) = (html.find("/target/type is fax").unwrap(), html.find("\nsent</textarea>").unwrap());
        assert!(alert < text && !html.contains("old"), "{html}");
    }

    #[test]
    fn what_is_no_text_is_shown_and_another_may_be_given() {
        for (record, why) in [
            (Record::Bytes("/wD+".to_owned()), "no UTF-8"),
            (Record::Long("xxx".to_owned()), "1\u{202f}048\u{202f}576"),
        ] {
            let html = html(false, &record, None);
            assert!(html.contains(why) && html.contains("autocomplete=\"off\">\n</textarea>"), "{html}");
        }
        assert!(html(false, &Record::Bytes("/wD+".to_owned()), None).contains("/wD+</pre>"));
    }

    #[test]
    fn one_that_was_replayed_says_so_and_has_no_form() {
        let record = Record::Text("{}".to_owned());
        let html = html(true, &record, None);
        let task = TaskId::from_key("k");
        assert!(html.contains(&format!("as task <a href=\"/tasks/{task}\">{task}</a>")), "{html}");
        assert!(html.contains("{}</pre>") && !html.contains("<form"), "{html}");
    }
}
