//! Rates of this node, from its counters: how they moved since a look at them in the last minute.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::domain::Mono;
use crate::domain::time::millis_of;

/// How far back a rate looks.
const WINDOW: Duration = Duration::from_mins(1);
/// Least time between two looks that are kept: many callers must not push each other's out.
const STEP: Duration = Duration::from_secs(1);

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// When.
    pub at: Mono,
    /// Submissions stored.
    pub stored: u64,
    /// Calls started.
    pub started: u64,
    /// Outcomes of calls.
    pub ended: u64,
}

/// Per second, over the last `over_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    over_ms: u64,
    stored_per_s: f64,
    started_per_s: f64,
    ended_per_s: f64,
}

/// Remembers the looks of the last minute. Nobody looks: nothing is done; the first look counts from the start.
#[derive(Debug, Default)]
pub struct Rates {
    looks: Mutex<VecDeque<Counters>>,
}

impl Rates {
    /// The rates until `now`.
    pub fn look(&self, now: Counters) -> Rate {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        // The newest look that is older than the window is the base line.
        while looks.get(1).is_some_and(|look| now.at.since(look.at) >= WINDOW) {
            looks.pop_front();
        }
        let base = looks.front().copied().unwrap_or_default();
        if looks.back().is_none_or(|look| now.at.since(look.at) >= STEP) {
            looks.push_back(now);
        }
        let over = now.at.since(base.at);
        Rate {
            over_ms: millis_of(over),
            stored_per_s: per_second(now.stored, base.stored, over),
            started_per_s: per_second(now.started, base.started, over),
            ended_per_s: per_second(now.ended, base.ended, over),
        }
    }
}

fn per_second(now: u64, before: u64, over: Duration) -> f64 {
    let moved = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
    if over.is_zero() { 0.0 } else { f64::from(moved) / over.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64, stored: u64) -> Counters {
        Counters { at: Mono(Duration::from_secs(s)), stored, ..Counters::default() }
    }

    #[test]
    fn the_first_look_counts_from_the_start() {
        let rate = Rates::default().look(at(10, 50));
        assert_eq!((rate.over_ms, rate.stored_per_s), (10_000, 5.0));
        assert_eq!(Rates::default().look(Counters::default()).over_ms, 0, "and divides by no zero");
    }

    #[test]
    fn later_looks_count_over_the_last_minute() {
        let rates = Rates::default();
        for s in 1..=300 {
            rates.look(at(s, 100));
        }
        let rate = rates.look(at(301, 160));
        assert_eq!((rate.over_ms, rate.stored_per_s), (60_000, 1.0));
    }
}
