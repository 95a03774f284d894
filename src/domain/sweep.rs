//! When the master sweeps for what a hint has missed, and from where on.
//!
//! From the oldest live instant on: what lies before it was claimed and moved away, and as long as somebody's old snapshot
//! is held open the database walks over every entry that is left of it (measured: 100 to 200 ms for 600,000 of them). What is
//! stored still further back than that, and of which no hint came, is found by a whole sweep from time to time.

use std::time::Duration;

use super::ids::TaskId;
use super::look_ahead::Key;
use super::time::{Mono, Timestamp};

/// Time between sweeps.
const EVERY: Duration = Duration::from_secs(1);
/// Time between those from the very beginning.
const WHOLE_EVERY: Duration = Duration::from_secs(30);
/// How far back the others begin at least: what is stored now may be due a while ago.
const BACK: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Sweep {
    last: Option<Mono>,
    last_whole: Option<Mono>,
    /// The last one was from the very beginning.
    is_whole: bool,
    /// No older task is scheduled, as far as is known; `None` as long as nothing is known.
    oldest: Option<Timestamp>,
}

impl Sweep {
    /// How long until the next.
    pub fn wait(&self, now: Mono) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.plus(EVERY).since(now))
    }

    /// One begins, behind this place in the index; `None`: from its beginning.
    pub fn begin(&mut self, now: Mono) -> Option<Key> {
        self.last = Some(now);
        let from = self.oldest.filter(|_| self.last_whole.is_some_and(|last| now.since(last) < WHOLE_EVERY));
        self.is_whole = from.is_none();
        from.map(|oldest| (oldest, TaskId(uuid::Uuid::nil())))
    }

    /// It has found this one first, or none. `now`: by the database's clock.
    pub fn found(&mut self, first: Option<Timestamp>, now: Timestamp) {
        if self.is_whole {
            self.last_whole = self.last;
        }
        let back = now.minus(BACK);
        self.oldest = Some(first.map_or(back, |first| first.min(back)));
    }

    /// Another node may have been master.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn instant(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_first_is_whole_and_the_next_begin_with_the_oldest() {
        let mut sweep = Sweep::default();
        assert_eq!((sweep.wait(at(5)), sweep.begin(at(5))), (Duration::ZERO, None));
        sweep.found(Some(instant(100)), instant(1_000));
        assert_eq!(sweep.wait(at(5)), EVERY);
        assert_eq!(sweep.begin(at(6)).unwrap().0, instant(100));
    }

    #[test]
    fn where_nothing_is_old_it_reaches_a_minute_back() {
        let mut sweep = Sweep::default();
        sweep.begin(at(5));
        sweep.found(None, instant(1_000));
        assert_eq!(sweep.begin(at(6)).unwrap().0, instant(940));
        sweep.found(Some(instant(1_003)), instant(1_001));
        assert_eq!(sweep.begin(at(7)).unwrap().0, instant(941));
        // The database's clock was set back.
        sweep.found(None, instant(500));
        assert_eq!(sweep.begin(at(8)).unwrap().0, instant(440));
    }

    #[test]
    fn now_and_then_one_is_whole_and_so_is_the_first_of_a_reign() {
        let mut sweep = Sweep::default();
        sweep.begin(at(5));
        sweep.found(None, instant(1_000));
        assert!(sweep.begin(at(34)).is_some());
        assert_eq!(sweep.begin(at(35)), None);
        sweep.found(None, instant(1_031));
        assert!(sweep.begin(at(36)).is_some());
        sweep.clear();
        assert_eq!(sweep.begin(at(37)), None);
        assert_eq!(sweep.begin(at(38)), None, "it had no answer");
    }
}
