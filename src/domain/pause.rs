//! Pauses: what is not to be claimed for now, all of it or what has a label, and what is let go again.
//!
//! A task's labels never change, so whether it matches a pause never does either: what was found to match none of them is free
//! as long as the pauses stay as they are.

use std::collections::BTreeMap;

use super::time::Timestamp;

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
