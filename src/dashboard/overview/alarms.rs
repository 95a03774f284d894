//! What somebody should see to.

use maud::{Markup, html};

use crate::dashboard::actors;
use crate::dashboard::look::Look;
use crate::dashboard::words::{clipped, minute};
use crate::domain::State;
use crate::domain::all_nodes::Queue;

/// A node's clock may be off by so much without a word, in microseconds: nothing goes by it, but people read its log.
const OFFSET_US: i64 = 1_000_000;
/// Longest name of a node that is shown, in characters.
const NAME_CHARS: usize = 40;
/// Longest description of a pause that is shown, in characters.
const ABOUT_CHARS: usize = 80;

/// Something that somebody should see to. It has no numbers, which stand beside: as long as it is the same, its words are the
/// same, for they are read out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alarm {
    /// What.
    text: String,
    /// Where it is shown.
    to: &'static str,
    /// Something is wrong; otherwise it is only worth knowing.
    is_bad: bool,
}

impl Alarm {
    fn bad(to: &'static str, text: impl Into<String>) -> Self {
        Self { text: text.into(), to, is_bad: true }
    }

    fn note(to: &'static str, text: impl Into<String>) -> Self {
        Self { is_bad: false, ..Self::bad(to, text) }
    }
}

/// The part of the page.
pub fn section(look: &Look) -> Markup {
    let alarms = alarms(look);
    html! {
        h2 { "Alarms" }
        @if alarms.is_empty() {
            p.good { "Nothing is wrong." }
        } @else {
            ul.alarms {
                @for alarm in &alarms {
                    li.bad[alarm.is_bad] { (alarm.text) " " a href=(alarm.to) { "See" } }
                }
            }
        }
    }
}

/// The worst first.
fn alarms(look: &Look) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    if look.master().is_none() {
        alarms.push(Alarm::bad("/cluster", "There is no master: nothing is claimed until another is found."));
    }
    alarms.extend(of_tasks(look));
    alarms.extend(of_nodes(look));
    alarms.extend(of_the_topic(look));
    for (pause, _) in &look.pauses {
        let how = if pause.is_in_force() { "Paused" } else { "Being resumed" };
        alarms.push(Alarm::note("/cluster", format!("{how}: {}.", clipped(&pause.about(), ABOUT_CHARS))));
    }
    alarms.sort_by_key(|alarm| !alarm.is_bad);
    alarms
}

fn of_tasks(look: &Look) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    if let Some((due_at, _)) = look.backlog() {
        let text = format!("Tasks that were due wait still, the oldest since {}.", minute(due_at));
        alarms.push(Alarm::bad("/tasks?state=scheduled", text));
    }
    if look.count(State::Unknown) > 0 {
        let text = "Tasks are unknown: nobody can know whether the target was reached. Settle each.";
        alarms.push(Alarm::bad("/tasks?state=unknown", text));
    }
    if look.count(State::Failed) > 0 {
        alarms.push(Alarm::note("/tasks?state=failed", "Tasks have failed."));
    }
    alarms
}

fn of_nodes(look: &Look) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    if actors::is_any_wrong(look) {
        alarms.push(Alarm::bad("/actors", "Something is wrong with the actors."));
    }
    for one in look.living().filter(|one| one.clock_offset_us.saturating_abs() > OFFSET_US) {
        let node = clipped(&one.node, NAME_CHARS);
        alarms.push(Alarm::bad("/cluster", format!("The clock of node {node} is off by more than a second.")));
    }
    for one in look.lost() {
        let (node, since) = (clipped(&one.node, NAME_CHARS), minute(look.at.minus(one.heartbeat_age)));
        alarms.push(Alarm::note("/cluster", format!("Node {node} is gone since {since}.")));
    }
    alarms
}

fn of_the_topic(look: &Look) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    if look.dead_letters > 0 {
        alarms.push(Alarm::bad("/dead-letters", "There are dead letters: records that could not be read."));
    }
    if Queue::of(look.reports.iter().map(|one| &one.snapshot)).stopped > 0 {
        let text = "Partitions of the submission topic are not read until somebody says from where.";
        alarms.push(Alarm::bad("/cluster", text));
    }
    alarms
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::fake;
    use crate::domain::{GenerationId, Timestamp};
    use crate::store::{Generation, Standing};

    fn texts(look: &Look) -> Vec<(bool, String)> {
        alarms(look).into_iter().map(|alarm| (alarm.is_bad, alarm.text)).collect()
    }

    #[test]
    fn the_worst_is_told_first() {
        let counts = vec![(State::Failed, 2_000), (State::Unknown, 1), (State::Succeeded, 9)];
        let look = Look { counts, dead_letters: 3, ..Look::default() };
        let told = texts(&look);
        let words = ["There is no master", "Tasks are unknown", "There are dead letters", "Tasks have failed"];
        assert_eq!(told.len(), words.len());
        assert!(told.iter().zip(words).all(|((_, text), words)| text.starts_with(words)), "{told:?}");
        assert_eq!(told.iter().map(|(is_bad, _)| *is_bad).collect::<Vec<_>>(), [true, true, true, false]);
    }

    #[test]
    fn a_backlog_is_told_in_the_same_words_as_long_as_it_lasts() {
        let at = |seconds: i64| Timestamp::from_micros(1_790_000_000_000_000 + seconds * 1_000_000);
        let told = |seconds, due: i64| {
            let look = Look { at: at(seconds), oldest_due: Some(at(due)), ..Look::default() };
            texts(&look).into_iter().nth(1)
        };
        let backlog = "Tasks that were due wait still, the oldest since 2026-09-21 14:13 UTC.".to_owned();
        assert_eq!(told(10, 0), Some((true, backlog.clone())));
        assert_eq!(told(300, 0), Some((true, backlog)));
        assert_eq!(told(2, 0), None, "on their way");
    }

    #[test]
    fn a_node_is_missed_unless_it_is_back_or_long_gone() {
        let node = |name: &str, standing, age| Generation {
            node: name.to_owned(),
            heartbeat_age: Duration::from_secs(age),
            ..fake::generation(GenerationId(uuid::Uuid::nil()), standing)
        };
        let generations = vec![
            node("a", Standing::Dead, 60),
            node("b", Standing::Dead, 60),
            node("b", Standing::Alive, 0),
            node("c", Standing::Dead, 3_600),
        ];
        let look = Look { generations, at: Timestamp::from_micros(1_790_000_000_000_000), ..Look::default() };
        let told = texts(&look);
        assert_eq!(told[1..], [(false, "Node a is gone since 2026-09-21 14:12 UTC.".to_owned())]);
    }
}
