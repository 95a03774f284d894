//! Who is dead: a heartbeat *counter* that stands still, measured by the observer's own monotonic clock.
//!
//! No wall clock is compared with another, so a clock that jumps kills nobody; and the count starts anew whenever the
//! database could not be read, so an outage kills nobody either.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::ids::GenerationId;
use super::time::Mono;

/// What the observer saw of every generation.
#[derive(Debug, Default)]
pub struct Liveness {
    seen: HashMap<GenerationId, (i64, Mono)>,
    moved: HashSet<GenerationId>,
}

impl Liveness {
    /// Takes in the counters whose answer came at `now`, and forgets generations that are no longer listed.
    pub fn observe(&mut self, counters: &[(GenerationId, i64)], now: Mono) {
        self.seen.retain(|generation, _| counters.iter().any(|(listed, _)| listed == generation));
        self.moved.retain(|generation| self.seen.contains_key(generation));
        for (generation, counter) in counters {
            let seen = self.seen.entry(*generation).or_insert((*counter, now));
            if seen.0 != *counter {
                *seen = (*counter, now);
                self.moved.insert(*generation);
            }
        }
    }

    /// How long the counter of `generation` has stood still; `None` if it was never seen.
    pub fn silence(&self, generation: GenerationId, now: Mono) -> Option<Duration> {
        self.seen.get(&generation).map(|(_, since)| now.since(*since))
    }

    /// Its counter was seen to move, this lately: it lives, and did not merely leave a row behind.
    pub fn is_alive(&self, generation: GenerationId, now: Mono, within: Duration) -> bool {
        self.moved.contains(&generation) && self.silence(generation, now).is_some_and(|silent| silent < within)
    }

    /// No counter has moved for so long.
    pub fn all_stand_still(&self, now: Mono, within: Duration) -> bool {
        self.seen.values().all(|(_, since)| now.since(*since) >= within)
    }

    /// Those silent for at least `dead_after`. `now`: before the counters were asked for, so that no pause of the observer's
    /// own is counted.
    pub fn dead(&self, now: Mono, dead_after: Duration) -> Vec<GenerationId> {
        let is_dead = |(_, (_, since)): &(&GenerationId, &(i64, Mono))| now.since(*since) >= dead_after;
        let mut dead: Vec<_> = self.seen.iter().filter(is_dead).map(|(id, _)| *id).collect();
        dead.sort_unstable();
        dead
    }

    /// The database was out of reach, or the observer has just become master: nothing seen before counts.
    pub fn start_anew(&mut self) {
        self.seen.clear();
        self.moved.clear();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const A: GenerationId = GenerationId(Uuid::from_u128(1));
    const B: GenerationId = GenerationId(Uuid::from_u128(2));
    const DEAD_AFTER: Duration = Duration::from_secs(3);

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn only_a_counter_that_stands_still_is_dead() {
        let mut liveness = Liveness::default();
        liveness.observe(&[(A, 1), (B, 1)], at(0));
        liveness.observe(&[(A, 2), (B, 1)], at(2));
        assert_eq!(liveness.dead(at(3), DEAD_AFTER), vec![B]);
        assert_eq!(liveness.silence(A, at(3)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn only_what_was_seen_to_move_is_alive() {
        let mut liveness = Liveness::default();
        let lately = Duration::from_secs(2);
        liveness.observe(&[(A, 4), (B, 9)], at(0));
        assert!(!liveness.is_alive(A, at(0), lately), "a row says nothing");
        liveness.observe(&[(A, 5), (B, 9)], at(1));
        assert!(liveness.is_alive(A, at(2), lately) && !liveness.is_alive(B, at(2), lately));
        assert!(!liveness.is_alive(A, at(3), lately), "too long ago");
    }

    #[test]
    fn where_all_stand_still_it_is_the_database_that_does() {
        let mut liveness = Liveness::default();
        liveness.observe(&[(A, 1), (B, 1)], at(0));
        assert!(!liveness.all_stand_still(at(1), Duration::from_secs(2)));
        assert!(liveness.all_stand_still(at(2), Duration::from_secs(2)));
        liveness.observe(&[(A, 2), (B, 1)], at(2));
        assert!(!liveness.all_stand_still(at(3), Duration::from_secs(2)), "one of them lives");
    }

    #[test]
    fn an_outage_kills_nobody() {
        let mut liveness = Liveness::default();
        liveness.observe(&[(A, 1)], at(0));
        liveness.start_anew();
        liveness.observe(&[(A, 1)], at(60));
        assert_eq!(liveness.dead(at(62), DEAD_AFTER), vec![]);
    }

    #[test]
    fn who_is_no_longer_listed_is_forgotten() {
        let mut liveness = Liveness::default();
        liveness.observe(&[(A, 1)], at(0));
        liveness.observe(&[], at(1));
        assert_eq!(liveness.dead(at(9), DEAD_AFTER), vec![]);
    }
}
