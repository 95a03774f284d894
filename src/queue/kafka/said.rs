//! What is logged again and again as long as it lasts: at once if it is new, then once a minute.

use std::time::Duration;

use crate::domain::time::Mono;

/// Between two times that the same is said.
const AGAIN: Duration = Duration::from_mins(1);

/// What was said last, and when.
#[derive(Debug, Default)]
pub struct Said(Option<(Mono, String)>);

impl Said {
    /// It is to be said now.
    pub fn is_due(&mut self, now: Mono, text: &str) -> bool {
        let due = self.0.as_ref().is_none_or(|(at, said)| said != text || now.since(*at) >= AGAIN);
        if due {
            self.0 = Some((now, text.to_owned()));
        }
        due
    }

    /// It does not last any more.
    pub fn over(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute() {
        let (mut said, at) = (Said::default(), |s| Mono(Duration::from_secs(s)));
        assert!(said.is_due(at(1), "a") && !said.is_due(at(60), "a") && said.is_due(at(61), "a"));
        assert!(said.is_due(at(62), "b"));
        said.over();
        assert!(said.is_due(at(63), "b"));
    }
}
