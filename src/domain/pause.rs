//! Pauses: what is not to be claimed for now, all of it or what has a label, and what is let go again.
//!
//! A task's labels never change, so whether it matches a pause never does either: what was found to match none of them is free
//! as long as the pauses stay as they are.

use std::collections::BTreeMap;

use super::claim::Due;
use super::ids::TaskId;
use super::time::Timestamp;

/// Before every task's instant.
pub const FIRST: (Timestamp, TaskId) = (Timestamp::MIN, TaskId(uuid::Uuid::nil()));

/// One pause, from the call that began it until nothing waits for its end any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Its number.
    pub id: i64,
    /// Only tasks with this label, name and value; `None`: all.
    pub label: Option<(String, String)>,
    /// Why, in the words of who paused.
    pub reason: Option<String>,
    /// Since when, by the database's clock.
    pub paused_at: Timestamp,
    /// Since when what waits is let go again; `None`: it is in force.
    pub resumed_at: Option<Timestamp>,
    /// Tasks let go a second, from 1 on; `None`: as fast as it goes.
    pub per_second: Option<u32>,
}

impl Pause {
    /// Nothing that matches is claimed.
    pub fn is_in_force(&self) -> bool {
        self.resumed_at.is_none()
    }

    /// A task with these labels matches.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.label.as_ref().is_none_or(|(name, value)| labels.get(name) == Some(value))
    }

    /// What it is about, for a log: a label may hold what would end a line of it.
    pub fn about(&self) -> String {
        match &self.label {
            Some((name, value)) => format!("tasks labelled {:?}", format!("{name}={value}")),
            None => "all tasks".to_owned(),
        }
    }
}

/// What a pause holds back, of the tasks that match it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold<'a> {
    /// Which.
    pub pause: &'a Pause,
    /// Only what is due before this.
    pub before: Timestamp,
    /// Only what stands behind this in the order of [`Due::key`].
    pub after: (Timestamp, TaskId),
}

impl Hold<'_> {
    /// A task that is due so is held back, if it matches.
    pub fn holds(&self, due: &Due) -> bool {
        due.due_at < self.before && due.key() > self.after
    }
}

/// All of them, as they stood when somebody read them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pauses {
    /// How often they had been changed: with another number they are not these any more.
    pub count: i64,
    /// In the order of their numbers.
    pub all: Vec<Pause>,
}

impl Pauses {
    /// Those that hold tasks back. Where everything is paused that pause stands for all.
    pub fn in_force(&self) -> Vec<&Pause> {
        let mut in_force: Vec<&Pause> = self.all.iter().filter(|pause| pause.is_in_force()).collect();
        if let Some(whole) = in_force.iter().copied().find(|pause| pause.label.is_none()) {
            in_force = vec![whole];
        }
        in_force
    }

    /// What they hold back. While one is resumed at a pace, what had come due before waits for its turn even if it was not
    /// parked in time; `reached` tells up to which task a pause has let them go by now.
    pub fn holds(&self, reached: &dyn Fn(i64) -> Option<(Timestamp, TaskId)>) -> Vec<Hold<'_>> {
        let end = Timestamp::from_micros(i64::MAX);
        let in_force = self.in_force().into_iter().map(|pause| Hold { pause, before: end, after: FIRST });
        let paced = self.all.iter().filter(|pause| pause.per_second.is_some());
        let paced = paced.filter_map(|pause| {
            Some(Hold { pause, before: pause.resumed_at?, after: reached(pause.id).unwrap_or(FIRST) })
        });
        let mut holds: Vec<Hold<'_>> = in_force.chain(paced).collect();
        holds.sort_unstable_by_key(|hold| hold.pause.id);
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::Misfire;
    use super::*;

    const DUE: Due = Due { id: FIRST.1, due_at: FIRST.0, priority: 5, misfire: Misfire::Fire };

    fn pause(id: i64, label: Option<(&str, &str)>, resumed: bool) -> Pause {
        Pause {
            id,
            label: label.map(|(name, value)| (name.to_owned(), value.to_owned())),
            reason: None,
            paused_at: Timestamp::from_micros(1),
            resumed_at: resumed.then_some(Timestamp::from_micros(2)),
            per_second: None,
        }
    }

    #[test]
    fn a_label_matches_by_name_and_value_and_none_matches_all() {
        let labels: BTreeMap<String, String> = [("tenant".to_owned(), "acme".to_owned())].into();
        assert!(pause(1, Some(("tenant", "acme")), false).matches(&labels));
        assert!(!pause(1, Some(("tenant", "other")), false).matches(&labels));
        assert!(!pause(1, Some(("acme", "tenant")), false).matches(&labels));
        assert!(!pause(1, Some(("tenant", "acme")), false).matches(&BTreeMap::new()));
        assert!(pause(1, None, false).matches(&BTreeMap::new()));
    }

    #[test]
    fn a_label_stays_on_its_line_of_a_log() {
        let about = |value| pause(1, Some(("tenant", value)), false).about();
        assert_eq!(about("acme"), r#"tasks labelled "tenant=acme""#);
        assert_eq!(about("a\nb \u{1b}[2J\"\u{2028}"), r#"tasks labelled "tenant=a\nb \u{1b}[2J\"\u{2028}""#);
        assert_eq!(pause(1, None, false).about(), "all tasks");
    }

    #[test]
    fn what_was_due_before_a_paced_resume_waits_until_it_is_reached() {
        let due = |at, id| Due { id: TaskId(uuid::Uuid::from_u128(id)), due_at: Timestamp::from_micros(at), ..DUE };
        let mut pauses =
            Pauses { count: 1, all: vec![pause(1, None, true), pause(2, Some(("tenant", "acme")), false)] };
        let held = |pauses: &Pauses, due: &Due, reached| {
            let holds = pauses.holds(&|pause| (pause == 1).then_some(reached));
            holds.iter().filter(|hold| hold.holds(due)).map(|hold| hold.pause.id).collect::<Vec<_>>()
        };
        assert_eq!(held(&pauses, &due(1, 5), FIRST), [2], "without a pace they may go at once");
        pauses.all[0].per_second = Some(10);
        assert_eq!(held(&pauses, &due(1, 5), FIRST), [1, 2]);
        assert_eq!(held(&pauses, &due(1, 5), due(1, 4).key()), [1, 2]);
        assert_eq!(held(&pauses, &due(1, 5), due(1, 5).key()), [2], "it was let go");
        assert_eq!(held(&pauses, &due(2, 5), FIRST), [2], "it came due when the pause was over");
        assert_eq!(pauses.holds(&|_| None).len(), 2);
    }

    #[test]
    fn only_what_is_not_resumed_is_in_force() {
        let (acme, other) = (pause(1, Some(("tenant", "acme")), true), pause(2, Some(("tenant", "other")), false));
        let mut pauses = Pauses { count: 3, all: vec![acme, other.clone()] };
        assert_eq!(pauses.in_force(), [&other]);
        let whole = pause(7, None, false);
        pauses.all.push(whole.clone());
        assert_eq!(pauses.in_force(), [&whole], "it stands for the others");
        pauses.all[2].resumed_at = Some(Timestamp::from_micros(2));
        assert_eq!(pauses.in_force(), [&other]);
    }
}
