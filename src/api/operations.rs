//! `POST /v1/tasks:cancel`, `:run`, `:retry`, `:resolve`, `:reschedule`: the same done to all tasks that a filter lets through.
//!
//! The tasks are gone through from the newest to the oldest, in batches, each a transaction of its own. A caller that goes
//! away, or sends no more, stops it after the batch under way; the same call then takes what `again` says.

use std::sync::Arc;

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::sync::Mutex;
use url::form_urlencoded;

use super::body::BodyReader;
use super::headless::Gone;
use super::problem::{Kind, Problem};
use super::request_id::{self, InLog};
use super::tasks::resolution;
use super::{ApiState, list};
use crate::domain::batch_size::BatchSize;
use crate::domain::limits::SUBMISSION_BYTES_MAX;
use crate::domain::time::Mono;
use crate::domain::{Timestamp, change_document};
use crate::store::{Filter, Matching, Operated, Operation, Resolution, Store};

/// The names of the operations, as a path says them.
pub const PATH: &str = "/v1/tasks:{operation:cancel|run|retry|resolve|reschedule}";
/// What is answered line by line.
const LINES: &str = "application/x-ndjson";
/// Tasks that a dry run counts at once.
const COUNTED_TOGETHER: usize = 1_000;
/// What says which tasks are meant.
const FILTERS: [&str; 5] = ["state", "label", "from", "to", "target"];
const FILTERS_ALLOWED: &str = "state, label, from, to, target and dry_run";

/// After each batch the database is left alone for so many times as long as that took.
const REST: u32 = 4;

/// One batch of this node at a time, with a rest after each: others write in between, whatever is asked for here. When it may be
/// used again.
pub type Turn = Mutex<Mono>;

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// So many tasks the filter has let through.
    pub matched: usize,
    /// So many of them were changed.
    pub changed: usize,
    /// So many had moved on.
    pub skipped: usize,
}

#[derive(Serialize)]
struct TallyView<'a> {
    matched: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Problem>,
    /// On a line only.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<bool>,
}

/// `POST /v1/tasks:{operation}`.
pub async fn operate(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    turn: web::Data<Turn>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let at = api.database_clock.at_latest();
    let (filter, dry_run) = asked(request.query_string())?;
    let body = bodies.read(&request, payload, SUBMISSION_BYTES_MAX).await?;
    let operation = operation(request.match_info().query("operation"), &body.bytes, at)?;
    let filter = meant(&api, filter, operation).await?;
    let mut work = Work::new(api.into_inner(), turn.into_inner(), operation, filter);
    work.dry_run = dry_run;
    if accepts_lines(&request) {
        return Ok(HttpResponse::Ok().content_type(LINES).streaming(progress(work)));
    }
    let gone = Gone::of(&request);
    while work.step().await.map_err(|problem| work.broken(problem))? {
        if gone.is_gone() {
            return Err(work.stopped());
        }
    }
    Ok(HttpResponse::Ok().json(work.view(None, None)))
}

/// What the query asks for: which tasks, and whether they are only counted.
fn asked(query: &str) -> Result<(Filter, bool), Problem> {
    let mut filters = form_urlencoded::Serializer::new(String::new());
    let (mut dry_run, mut any) = (None, false);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let refused = |allowed: &str| Problem::parameter(&name, &value, allowed);
        if name == "dry_run" {
            let said = value.parse().map_err(|_| refused("true or false"))?;
            if dry_run.replace(said).is_some() {
                return Err(refused("given once"));
            }
        } else if FILTERS.contains(&name.as_ref()) {
            any = true;
            filters.append_pair(&name, &value);
        } else {
            return Err(refused(FILTERS_ALLOWED));
        }
    }
    if !any {
        let allowed =
            "at least one of state, label, from, to and target, so that nobody means all tasks by leaving out a word";
        return Err(Problem::parameter("state", "missing", allowed));
    }
    Ok((list::filter(&filters.finish())?, dry_run.unwrap_or(false)))
}

/// An operation by its name and what its body says; `at` is the database's clock at receipt.
///
/// # Errors
/// There is none of that name, or it takes another body.
pub fn operation(name: &str, json: &[u8], at: Timestamp) -> Result<Operation, Problem> {
    let plain = |operation| change_document::nothing(json).map(|()| operation);
    Ok(match name {
        "cancel" => plain(Operation::Cancel)?,
        "run" => plain(Operation::Run)?,
        "retry" => plain(Operation::Retry)?,
        "resolve" => Operation::Resolve(resolution(json)?),
        "reschedule" => Operation::Reschedule(change_document::new_instant(json, at)?),
        other => return Err(Problem::new(Kind::UnknownPath, format!("there is no operation {other}"))),
    })
}

/// The tasks that are meant where an operation is asked for now.
///
/// # Errors
/// The filter asks for another state than the one it acts on; the database does not answer.
pub async fn meant(api: &ApiState, filter: Filter, operation: Operation) -> Result<Filter, Problem> {
    let filter = acting(filter, operation)?;
    let now = api.ask(Store::now).await?;
    Ok(stored_until(filter, now))
}

/// The tasks that an operation can act on at all.
fn acting(filter: Filter, operation: Operation) -> Result<Filter, Problem> {
    let state = operation.acts_on();
    match filter.state {
        Some(other) if other != state => {
            Err(Problem::parameter("state", other, format!("{state}, or none: this acts on {state} tasks only")))
        }
        _ => Ok(Filter { state: Some(state), ..filter }),
    }
}

/// What comes in from now on is not meant, and not what is scheduled again by this and fails meanwhile.
fn stored_until(filter: Filter, now: Timestamp) -> Filter {
    let end = now.plus(std::time::Duration::from_micros(1));
    Filter { to: Some(filter.to.map_or(end, |to| to.min(end))), ..filter }
}

/// What the same call does again once it has broken off. What is done leaves the state that it acts on, or it matches again.
pub fn again(operation: Operation) -> &'static str {
    match operation {
        Operation::Cancel | Operation::Resolve(Resolution::Succeeded | Resolution::Failed) => {
            "the same call again goes on with what is left"
        }
        Operation::Run | Operation::Reschedule(_) => {
            "the same call again also takes what it has changed and is still scheduled"
        }
        Operation::Retry | Operation::Resolve(Resolution::Scheduled) => {
            "the same call again goes on with what is left, and also takes what was called again and came back to the same \
             state"
        }
    }
}

fn accepts_lines(request: &HttpRequest) -> bool {
    let values = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(LINES))
}

/// An operation on its way through the tasks.
pub struct Work {
    api: Arc<ApiState>,
    turn: Arc<Turn>,
    operation: Operation,
    /// What is left.
    filter: Filter,
    dry_run: bool,
    batch: BatchSize,
    tally: Tally,
}

impl Work {
    /// On the tasks that are `meant`. Nothing is done yet.
    pub fn new(api: Arc<ApiState>, turn: Arc<Turn>, operation: Operation, filter: Filter) -> Self {
        let batch = BatchSize::new(api.store.operates_on());
        Self { api, turn, operation, filter, dry_run: false, batch, tally: Tally::default() }
    }

    /// The same, but the tasks are only counted.
    #[must_use]
    pub fn dry(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// How far it has come.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// One batch. False: it was the last one.
    ///
    /// # Errors
    /// What keeps it from going on.
    pub async fn step(&mut self) -> Result<bool, Problem> {
        let page = if self.dry_run { self.count().await? } else { self.change().await? };
        self.tally.matched += page.tasks.len();
        self.filter.after = page.next;
        let more = page.next.is_some();
        if !more && !self.dry_run {
            let Tally { matched, changed, skipped } = self.tally;
            let operation = self.operation;
            log::info!("{InLog}{operation:?}: of {matched} tasks {changed} were changed, {skipped} had moved on");
        }
        Ok(more)
    }

    /// One batch, which runs by itself: who waits for it may give up, and still holds up nobody's turn.
    ///
    /// # Errors
    /// It broke down; what only keeps it from going on stands beside it.
    pub async fn step_apart(mut self) -> Result<(Self, Result<bool, Problem>), Problem> {
        let stepped = actix_web::rt::spawn(request_id::carried(request_id::current(), async move {
            let stepped = self.step().await;
            (self, stepped)
        }));
        stepped.await.map_err(|cause| {
            log::error!("{InLog}an operation on many tasks broke down: {cause}");
            Problem::new(Kind::Internal, "the operation broke down")
        })
    }

    async fn count(&mut self) -> Result<Matching, Problem> {
        let filter = Filter { limit: COUNTED_TOGETHER, ..self.filter.clone() };
        self.api.ask(move |store| store.matching(&filter)).await
    }

    async fn change(&mut self) -> Result<Matching, Problem> {
        let clock = self.api.database_clock.clock().clone();
        let (operation, filter) = (self.operation, Filter { limit: self.batch.size(), ..self.filter.clone() });
        let mut free = self.turn.lock().await;
        tokio::time::sleep(free.since(clock.mono())).await;
        let asking = clock.clone();
        let changed = self.api.ask(move |store| {
            let page = store.matching(&filter)?;
            let began = asking.mono();
            let operated =
                if page.tasks.is_empty() { Operated::default() } else { store.operate(operation, &page.ids())? };
            Ok((page, operated, asking.mono().since(began)))
        });
        let (page, operated, lasted) = changed.await?;
        *free = clock.mono().plus(lasted.saturating_mul(REST));
        self.batch.took(lasted);
        self.tally.changed += operated.changed;
        self.tally.skipped += page.tasks.len().saturating_sub(operated.changed);
        self.api.status.hint(operated.due);
        Ok(page)
    }

    fn view<'a>(&self, problem: Option<&'a Problem>, done: Option<bool>) -> TallyView<'a> {
        let Tally { matched, changed, skipped } = self.tally;
        let told = |tasks| Some(tasks).filter(|_| !self.dry_run);
        TallyView {
            matched,
            changed: told(changed),
            skipped: told(skipped),
            dry_run: self.dry_run.then_some(true),
            problem,
            done,
        }
    }

    /// What has stopped it, and how far it had come.
    fn broken(&self, problem: Problem) -> Problem {
        let Tally { matched, changed, skipped } = self.tally;
        let problem = problem.with("matched", matched);
        if self.dry_run {
            problem.with("dry_run", true)
        } else {
            problem.with("changed", changed).with("skipped", skipped)
        }
    }

    /// Nobody is there any more whom it is done for.
    fn stopped(&self) -> Problem {
        let then = if self.dry_run { "not all are counted" } else { again(self.operation) };
        if !self.dry_run {
            log::info!("{InLog}{:?} is stopped, since its caller sends no more: {:?}", self.operation, self.tally);
        }
        self.broken(Problem::new(Kind::Unavailable, format!("stopped: the caller sends no more; {then}")))
    }

    fn line(&self, problem: Option<&Problem>, done: bool) -> Bytes {
        let mut line = serde_json::to_vec(&self.view(problem, Some(done))).unwrap_or_default();
        line.push(b'\n');
        line.into()
    }
}

/// A line for each batch.
fn progress(work: Work) -> impl Stream<Item = Result<Bytes, Problem>> {
    // Whoever reads the stream does not know the request any more.
    let id = request_id::current();
    stream::unfold(Some(work), move |work| request_id::carried(id.clone(), next_line(work)))
}

async fn next_line(work: Option<Work>) -> Option<(Result<Bytes, Problem>, Option<Work>)> {
    Some(match work?.step_apart().await {
        Ok((work, Ok(more))) => (Ok(work.line(None, !more)), more.then_some(work)),
        Ok((work, Err(problem))) => {
            let named = problem.in_request(request_id::current().as_ref());
            (Ok(work.line(Some(&named), false)), None)
        }
        Err(broken) => (Err(broken), None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::State;

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

    fn refused(problem: Problem) -> serde_json::Value {
        serde_json::to_value(problem).unwrap()
    }

    #[test]
    fn a_filter_must_be_given_and_may_be_dry() {
        let (filter, dry_run) = asked("state=failed&label=a%3Db&dry_run=true").unwrap();
        assert_eq!((filter.state, dry_run), (Some(State::Failed), true));
        assert_eq!(filter.labels, [("a".to_owned(), "b".to_owned())]);
        assert!(!asked("label=a%3Db&dry_run=false").unwrap().1);
        for (query, name) in [
            ("", "state"),
            ("dry_run=true", "state"),
            ("label=a%3Db&dry_run=yes", "dry_run"),
            ("label=a%3Db&dry_run=true&dry_run=true", "dry_run"),
            ("label=a%3Db&limit=5", "limit"),
            ("label=a%3Db&cursor=x", "cursor"),
            ("label=a%3Db&stat=failed", "stat"),
            ("state=done", "state"),
            ("from=yesterday", "from"),
        ] {
            assert_eq!(refused(asked(query).expect_err(query))["parameter"], name, "{query}");
        }
    }

    #[test]
    fn each_operation_takes_its_own_body_and_state() {
        let read = |name: &str, json: &str| operation(name, json.as_bytes(), NOW);
        for (name, json, is) in [
            ("cancel", "", Operation::Cancel),
            ("run", "{}", Operation::Run),
            ("retry", "", Operation::Retry),
            ("resolve", r#"{"state": "failed"}"#, Operation::Resolve(Resolution::Failed)),
            ("reschedule", r#"{"delay_ms": 0}"#, Operation::Reschedule(NOW)),
        ] {
            assert_eq!(read(name, json).unwrap(), is);
            let with = |state| acting(Filter { state, ..Filter::default() }, is);
            assert_eq!(with(None).unwrap().state, Some(is.acts_on()));
            assert!(with(Some(is.acts_on())).is_ok());
            assert_eq!(refused(with(Some(State::Succeeded)).unwrap_err())["parameter"], "state");
        }
        for (name, json) in [("cancel", r#"{"state": "failed"}"#), ("resolve", "{}"), ("reschedule", "{}"), ("x", "")] {
            assert!(read(name, json).is_err(), "{name} {json}");
        }
    }

    #[test]
    fn what_the_same_call_does_again_is_told_by_what_it_has_done() {
        for (operation, goes_on, more) in [
            (Operation::Cancel, true, false),
            (Operation::Resolve(Resolution::Failed), true, false),
            (Operation::Resolve(Resolution::Scheduled), true, true),
            (Operation::Retry, true, true),
            (Operation::Run, false, true),
            (Operation::Reschedule(NOW), false, true),
        ] {
            let says = again(operation);
            assert_eq!((says.contains("goes on with what is left"), says.contains("also takes")), (goes_on, more));
            // It goes on where it leaves the state that it acts on, and only what comes back is taken twice.
            assert_eq!(goes_on, operation.acts_on() != operation.leads_to(), "{operation:?}");
        }
    }

    #[test]
    fn what_comes_in_later_is_not_meant() {
        let until = |to| stored_until(Filter { to, ..Filter::default() }, NOW).to;
        let just_behind = Timestamp::from_micros(NOW.micros() + 1);
        assert_eq!(until(None), Some(just_behind));
        assert_eq!(until(Some(Timestamp::from_micros(5))), Some(Timestamp::from_micros(5)));
        assert_eq!(until(Some(NOW.plus(std::time::Duration::from_secs(9)))), Some(just_behind));
    }
}
