//! What has happened to a task, moment by moment, with the time between them.

use maud::{Markup, html};

use super::super::words::{self, clipped};
use super::attempts::outcome;
use crate::domain::{Attempt, AttemptOutcome, Epoch, State, Task, Timestamp};

/// Attempts that are told moment by moment: the last ones.
const ATTEMPTS_TOLD: usize = 10;
/// Longest name of a node, in characters.
const CHARS_SHOWN: usize = 100;

/// One moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Moment {
    at: Timestamp,
    what: String,
}

/// The moments in their order.
pub fn of(task: &Task, attempts: &[Attempt], now: Timestamp) -> Markup {
    let before = attempts.len().saturating_sub(ATTEMPTS_TOLD);
    let moments = moments(task, attempts.get(before..).unwrap_or_default(), now);
    html! {
        @if before > 0 { p.soft { "The first " (before) " attempts are left out." } }
        ol.timeline {
            @for (place, moment) in moments.iter().enumerate() {
                @let last = place.checked_sub(1).and_then(|place| moments.get(place));
                li {
                    (words::instant(moment.at)) " " strong { (moment.what) }
                    @if let Some(last) = last { " " span.soft { (later(last.at, moment.at)) } }
                    @if moment.at > now { " " span.soft { "(in " (words::duration(seconds(now, moment.at))) ")" } }
                }
            }
        }
    }
}

fn moments(task: &Task, attempts: &[Attempt], now: Timestamp) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut tell = |at: Timestamp, what: String| moments.push(Moment { at, what });
    // First, so that it stays before what came in the same instant.
    if let Some(at) = task.accepted_at {
        tell(at, "accepted".to_owned());
    }
    tell(task.created_at, "stored".to_owned());
    if let Some(at) = task.dispatched_at {
        tell(at, format!("claimed{}", by("for", task.node.as_deref(), task.epoch)));
    }
    for attempt in attempts {
        tell(attempt.due_at, "due".to_owned());
        if let Some(at) = attempt.started_at {
            let by = by("on", attempt.node.as_deref(), attempt.epoch);
            tell(at, format!("attempt {} started{by}", attempt.attempt));
        }
        tell(attempt.finished_at, ended(attempt));
    }
    if !attempts.iter().any(|attempt| attempt.due_at == task.due_at) {
        tell(task.due_at, due(task, now).to_owned());
    }
    let is_told = |at: Timestamp| attempts.iter().any(|attempt| attempt.started_at == Some(at));
    if let Some(at) = task.started_at.filter(|at| task.state == State::Dispatched && !is_told(*at)) {
        tell(at, format!("started{}", by("on", task.node.as_deref(), task.epoch)));
    }
    if let Some(at) = task.finished_at.filter(|at| attempts.last().is_none_or(|last| last.finished_at != *at)) {
        tell(at, finished(task.state).to_owned());
    }
    moments.sort_by_key(|moment| moment.at);
    moments
}

fn by(how: &str, node: Option<&str>, epoch: Option<Epoch>) -> String {
    let node = node.map(|node| format!(" {how} {}", clipped(node, CHARS_SHOWN)));
    let epoch = epoch.map(|epoch| format!(" in epoch {epoch}"));
    node.unwrap_or_default() + &epoch.unwrap_or_default()
}

fn due(task: &Task, now: Timestamp) -> &'static str {
    match task.finished_at {
        Some(finished_at) if task.due_at > finished_at => "would have been due",
        None if task.paused => "was due, and waits for the end of a pause",
        None if task.due_at > now => "will be due",
        _ => "due",
    }
}

fn ended(attempt: &Attempt) -> String {
    let number = attempt.attempt;
    match attempt.outcome {
        AttemptOutcome::Ambiguous => {
            format!("attempt {number} ended, and nobody can know whether it reached its target")
        }
        AttemptOutcome::NotSent => format!("attempt {number} was not sent"),
        other => format!("attempt {number} {}", outcome(other)),
    }
}

fn finished(state: State) -> &'static str {
    match state {
        State::Cancelled => "cancelled",
        State::Expired => "expired: too late for its misfire policy",
        State::Unknown => "unknown: it waits for somebody to resolve it",
        State::Succeeded => "settled as succeeded",
        State::Failed => "settled as failed",
        State::Scheduled | State::Dispatched => "ended",
    }
}

fn later(from: Timestamp, to: Timestamp) -> String {
    format!("{} later", words::duration(seconds(from, to)))
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::super::super::tasks::fixture::{self, stored};
    use super::*;

    const BEGIN: i64 = 1_790_000_000_000_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_micros(BEGIN + ms * 1_000)
    }

    fn task() -> Task {
        let (api, _folder) = fixture::api();
        let id = stored(&api, r#""priority": 0"#);
        Task { accepted_at: None, created_at: at(0), due_at: at(10_000), ..api.store.find(id).unwrap().unwrap() }
    }

    fn attempt(number: u32, due_ms: i64, outcome: AttemptOutcome) -> Attempt {
        Attempt {
            attempt: number,
            node: Some("n1".to_owned()),
            epoch: Some(Epoch(4)),
            due_at: at(due_ms),
            started_at: Some(at(due_ms + 1)),
            finished_at: at(due_ms + 251),
            outcome,
            error: None,
        }
    }

    fn told(task: &Task, attempts: &[Attempt], now_ms: i64) -> Vec<(i64, String)> {
        let all = moments(task, attempts, at(now_ms));
        all.into_iter().map(|moment| ((moment.at.micros() - BEGIN) / 1_000, moment.what)).collect()
    }

    fn said(moments: &[(i64, &str)]) -> Vec<(i64, String)> {
        moments.iter().map(|(at, what)| (*at, (*what).to_owned())).collect()
    }

    #[test]
    fn a_task_that_waits_says_when_it_will_be_due() {
        let task = task();
        assert_eq!(told(&task, &[], 5_000), said(&[(0, "stored"), (10_000, "will be due")]));
        let html = of(&task, &[], at(5_000)).into_string();
        assert!(html.contains("(in 5.0 s)") && html.contains("10.0 s later"), "{html}");
        let paused = Task { paused: true, ..task };
        assert_eq!(told(&paused, &[], 15_000)[1].1, "was due, and waits for the end of a pause");
    }

    #[test]
    fn it_was_accepted_before_it_was_stored() {
        let accepted = |ms: i64| Task { accepted_at: Some(at(ms)), ..task() };
        assert_eq!(told(&accepted(-40), &[], 5_000)[..2], said(&[(-40, "accepted"), (0, "stored")]));
        assert_eq!(told(&accepted(0), &[], 5_000)[..2], said(&[(0, "accepted"), (0, "stored")]));
    }

    #[test]
    fn a_task_that_runs_says_who_claimed_and_started_it() {
        let task = Task {
            state: State::Dispatched,
            dispatched_at: Some(at(8_000)),
            started_at: Some(at(10_002)),
            node: Some("n\u{202e}".to_owned()),
            epoch: Some(Epoch(5)),
            ..task()
        };
        let is = said(&[
            (0, "stored"),
            (8_000, "claimed for n‹U+202E› in epoch 5"),
            (10_000, "due"),
            (10_002, "started on n‹U+202E› in epoch 5"),
        ]);
        assert_eq!(told(&task, &[], 11_000), is);
    }

    #[test]
    fn attempts_are_told_and_no_moment_twice() {
        let attempts = [attempt(1, 5_000, AttemptOutcome::Failed), attempt(2, 10_000, AttemptOutcome::Succeeded)];
        let task = Task {
            state: State::Succeeded,
            dispatched_at: Some(at(9_000)),
            started_at: Some(at(10_001)),
            finished_at: Some(at(10_251)),
            ..task()
        };
        let is = said(&[
            (0, "stored"),
            (5_000, "due"),
            (5_001, "attempt 1 started on n1 in epoch 4"),
            (5_251, "attempt 1 failed"),
            (9_000, "claimed"),
            (10_000, "due"),
            (10_001, "attempt 2 started on n1 in epoch 4"),
            (10_251, "attempt 2 succeeded"),
        ]);
        assert_eq!(told(&task, &attempts, 20_000), is);
        let resolved = Task { state: State::Failed, finished_at: Some(at(90_000)), ..task };
        assert_eq!(told(&resolved, &attempts, 99_000).last().unwrap().1, "settled as failed");
    }

    #[test]
    fn what_was_cancelled_never_came_due() {
        let task = Task { state: State::Cancelled, finished_at: Some(at(3_000)), ..task() };
        assert_eq!(
            told(&task, &[], 20_000),
            said(&[(0, "stored"), (3_000, "cancelled"), (10_000, "would have been due")])
        );
    }

    #[test]
    fn of_many_attempts_the_first_are_left_out() {
        let many: Vec<Attempt> = (1..=13).map(|n| attempt(n, 1_000 * i64::from(n), AttemptOutcome::Failed)).collect();
        let html = of(&task(), &many, at(20_000)).into_string();
        assert!(html.contains("The first 3 attempts") && !html.contains("attempt 3 failed"), "{html}");
        assert!(html.contains("attempt 4 failed") && html.contains("attempt 13 failed"), "{html}");
    }
}
