//! A page that is written while many tasks are changed: a line about every second, and at last what has become of them.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use maud::{Markup, html};

use super::super::act::Deed;
use super::super::frame::{self, Place};
use super::super::words::visible;
use super::number;
use crate::api::request_id;
use crate::api::{Problem, Tally, Work, again};
use crate::clock::Clock;
use crate::store::Operation;

/// Time between lines.
const EVERY: Duration = Duration::from_secs(1);
/// Around the lines. A page that is written in parts cannot be made of whole elements.
const LINES_BEGIN: &str = "<div role=\"log\" aria-label=\"Progress\">";
const LINES_END: &str = "</div>";

/// An operation that is about to go through the tasks.
pub struct Going {
    work: Work,
    deed: Deed,
    operation: Operation,
    clock: Clock,
    /// Where one goes from there.
    back: String,
}

impl Going {
    /// Nothing is done before its page is read.
    pub fn new(work: Work, deed: Deed, operation: Operation, clock: Clock, back: String) -> Self {
        Self { work, deed, operation, clock, back }
    }

    /// The whole page. Whoever stops reading stops it, after the batch under way.
    pub fn page(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let begin = Bytes::from(frame::open(Place::Tasks, &title(self.deed)) + &first().into_string() + LINES_BEGIN);
        // Whoever reads the stream does not know the request any more.
        let id = request_id::current();
        let rest = stream::unfold(Some(self), move |going| request_id::carried(id.clone(), next_part(going)));
        stream::iter([begin]).chain(rest).map(Ok)
    }

    fn line(&self) -> Markup {
        let Tally { matched, changed, .. } = self.work.tally();
        html! { p { (number(matched)) " tasks so far, " (number(changed)) " of them " (self.deed.done_in_words()) } }
    }

    fn over(&self) -> Markup {
        let Tally { matched, changed, skipped } = self.work.tally();
        html! {
            p role="status" {
                "Done: of " (number(matched)) " tasks " (number(changed)) " were " (self.deed.done_in_words())
                @if skipped > 0 { ", " (number(skipped)) " had moved on meanwhile" }
                "."
            }
            (way_back(&self.back))
        }
    }

    fn broken(&self, problem: &Problem) -> Markup {
        html! { (self.line()) (broken(problem, self.operation, &self.back)) }
    }
}

fn title(deed: Deed) -> String {
    format!("{} all of these tasks", deed.name())
}

fn first() -> Markup {
    html! { p { "It goes on as long as this page is open. If it is left, the batch under way is the last one." } }
}

fn way_back(back: &str) -> Markup {
    html! { p { a href=(back) { "Back to the list" } } }
}

fn broken(problem: &Problem, operation: Operation, back: &str) -> Markup {
    let id = request_id::current();
    html! {
        p role="alert" { "It has stopped: " (visible(&problem.to_string())) "; " (again(operation)) "." }
        @if let Some(id) = &id { p { "In the log it is the request " code { (id.text()) } "." } }
        (way_back(back))
    }
}

/// The last part of a page.
fn end(body: Markup) -> Bytes {
    Bytes::from(LINES_END.to_owned() + &body.into_string() + frame::close())
}

/// What has become of the batches of about a second, and what goes on.
async fn next_part(going: Option<Going>) -> Option<(Bytes, Option<Going>)> {
    let Going { mut work, deed, operation, clock, back } = going?;
    let began = clock.mono();
    let (work, stepped) = loop {
        let (stepping, stepped) = match work.step_apart().await {
            Ok(both) => both,
            Err(problem) => return Some((end(broken(&problem, operation, &back)), None)),
        };
        if !matches!(stepped, Ok(true)) || clock.mono().since(began) >= EVERY {
            break (stepping, stepped);
        }
        work = stepping;
    };
    let going = Going { work, deed, operation, clock, back };
    Some(match stepped {
        Ok(true) => (going.line().into_string().into(), Some(going)),
        Ok(false) => (end(going.over()), None),
        Err(problem) => (end(going.broken(&problem)), None),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::tasks::fixture;
    use super::*;
    use crate::api::Kind;
    use crate::store::Filter;

    fn going() -> (Going, tempfile::TempDir) {
        let (api, folder) = fixture::api();
        let clock = api.database_clock.clock().clone();
        let filter = Filter { limit: 10, ..Filter::default() };
        let work = Work::new(Arc::new(api), Arc::default(), Operation::Cancel, filter);
        (Going::new(work, Deed::Cancel, Operation::Cancel, clock, "/tasks?label=a%3Db".to_owned()), folder)
    }

    #[actix_web::test]
    async fn a_page_is_whole_in_the_end() {
        let (going, _folder) = going();
        let parts: Vec<Bytes> = going.page().map(Result::unwrap).collect().await;
        assert_eq!(parts.len(), 2);
        let html = String::from_utf8(parts.concat()).unwrap();
        assert!(html.contains("of 0 tasks 0 were cancelled.") && html.ends_with(frame::close()), "{html}");
        for element in ["div", "p", "main", "html"] {
            let (opened, closed) = (format!("<{element}"), format!("</{element}>"));
            let opened =
                html.match_indices(&opened).filter(|(at, _)| html[at + opened.len()..].starts_with(['>', ' ']));
            assert_eq!(opened.count(), html.matches(&closed).count(), "{element} in {html}");
        }
    }

    #[test]
    fn what_stops_it_is_said_with_what_to_do_and_is_text() {
        let (going, _folder) = going();
        let html = going.broken(&Problem::new(Kind::Unavailable, "no <answer>")).into_string();
        assert!(
            html.contains("It has stopped: no &lt;answer&gt;; the same call again goes on with what is left."),
            "{html}"
        );
        assert!(html.contains("0 tasks so far") && html.contains("href=\"/tasks?label=a%3Db\""), "{html}");
    }
}
