//! The database's clock as this node sees it: mapped to the node's own monotonic clock by samples.
//!
//! A sample says: the value was true at some moment between *sent* and *received*. So the true difference
//! `value − monotonic` lies in the interval `[value − received, value − sent]`. Firing at `received + (due_at − value)`
//! is therefore never early by the database's clock, and late by at most the sample's width.

use std::collections::VecDeque;
use std::time::Duration;

use super::time::{Mono, Timestamp, micros_of};

/// Samples older than this are not used.
pub const WINDOW: Duration = Duration::from_secs(5);
/// A sample that was under way for longer says less than one that is somewhat older.
const LONG: Duration = Duration::from_millis(100);

/// One look at the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What the database's clock said.
    pub value: Timestamp,
    /// This process's clock before the question was sent.
    pub sent: Mono,
    /// This process's clock after the answer had come.
    pub received: Mono,
}

impl Sample {
    /// The smallest possible `value − monotonic`, in microseconds: never early if trusted.
    fn low(&self) -> i64 {
        // Rounded up: a reading within a microsecond must not make an instant early.
        self.value.micros().saturating_sub(ceil_micros(self.received))
    }

    /// The largest possible one.
    fn high(&self) -> i64 {
        self.value.micros().saturating_sub(micros_of(self.sent.0))
    }

    fn width(&self) -> i64 {
        self.high().saturating_sub(self.low())
    }
}

fn ceil_micros(at: Mono) -> i64 {
    micros_of(at.0.saturating_add(Duration::from_nanos(999)))
}

/// The mapping; made of the samples of the last seconds.
#[derive(Debug, Default, Clone)]
pub struct ClockMap {
    samples: VecDeque<Sample>,
    /// Added per second of a sample's age: the two clocks may run apart. Zero where they are one machine's.
    drift_per_second: Duration,
    steps: u64,
}

impl ClockMap {
    /// `drift_per_second`: 0.1 ms if the database is on another machine, zero if it is on this one.
    pub fn new(drift_per_second: Duration) -> Self {
        Self { drift_per_second, ..Self::default() }
    }

    fn drift(&self, age: Duration) -> i64 {
        micros_of(self.drift_per_second.mul_f64(age.as_secs_f64()))
    }

    /// Takes in a sample. Older ones that it contradicts, by more than the clocks may have run apart since, are dropped: the
    /// database's clock was set; that is a step. Returns true for a step.
    pub fn observe(&mut self, sample: Sample) -> bool {
        let before = self.samples.len();
        let agree = |old: &Sample| {
            let apart = self.drift(sample.received.since(old.sent));
            old.low().saturating_sub(apart) <= sample.high() && sample.low() <= old.high().saturating_add(apart)
        };
        let agreeing: VecDeque<Sample> = self.samples.iter().filter(|old| agree(old)).copied().collect();
        self.samples = agreeing;
        let stepped = self.samples.len() < before;
        if stepped {
            // One contradicted, all go: they were measured before the step.
            self.samples.clear();
            self.steps += 1;
        }
        let best = self.best(sample.received).map(|(_, best)| best);
        self.samples.retain(|old| sample.received.since(old.received) <= WINDOW);
        // After a stall (this process was stopped, say) the first look may have been under way all the time.
        if self.samples.is_empty() && sample.width() > micros_of(LONG) {
            self.samples.extend(best);
        }
        self.samples.push_back(sample);
        stepped
    }

    /// The tightest sample, and what it says `value − monotonic` is at least.
    fn best(&self, now: Mono) -> Option<(i64, Sample)> {
        self.samples
            .iter()
            .map(|sample| {
                let drift = self.drift(now.since(sample.received));
                (sample.width().saturating_add(drift), sample.low().saturating_sub(drift), *sample)
            })
            .min_by_key(|(width, _, _)| *width)
            .map(|(_, low, sample)| (low, sample))
    }

    /// When to fire what is due at `due_at`: never early. `None` before the first sample.
    pub fn fire_at(&self, due_at: Timestamp, now: Mono) -> Option<Mono> {
        let (low, _) = self.best(now)?;
        let at = due_at.micros().saturating_sub(low);
        Some(Mono(Duration::from_micros(u64::try_from(at).unwrap_or(0))))
    }

    /// The database's clock now, not later than it truly is. `None` before the first sample.
    pub fn now(&self, now: Mono) -> Option<Timestamp> {
        let (low, _) = self.best(now)?;
        Some(Timestamp::from_micros(low.saturating_add(micros_of(now.0))))
    }

    /// The database's clock now, not earlier than it truly is. `None` before the first sample.
    pub fn at_latest(&self, now: Mono) -> Option<Timestamp> {
        let high = |sample: &Sample| sample.high().saturating_add(self.drift(now.since(sample.received)));
        let high = self.samples.iter().map(high).min()?;
        Some(Timestamp::from_micros(high.saturating_add(ceil_micros(now))))
    }

    /// How often the database's clock was found to have been set.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mono(us: u64) -> Mono {
        Mono(Duration::from_micros(us))
    }

    fn sample(value: i64, sent: u64, received: u64) -> Sample {
        Sample { value: Timestamp::from_micros(value), sent: mono(sent), received: mono(received) }
    }

    #[test]
    fn clocks_that_run_apart_are_no_step() {
        // The database's clock is faster by 80 µs in a second, the samples are 50 µs wide.
        let at = |second: u64| {
            let received = second * 1_000_000;
            sample(i64::try_from(received).unwrap() + 80 * i64::try_from(second).unwrap(), received - 50, received)
        };
        let mut apart = ClockMap::new(Duration::from_micros(100));
        assert!((1..20).all(|second| !apart.observe(at(second))));
        assert_eq!((apart.steps(), apart.samples.len()), (0, 6), "those of the last 5 s");
        let mut same = ClockMap::default();
        same.observe(at(1));
        assert!(same.observe(at(2)), "on one machine they do not");
    }

    #[test]
    fn fires_by_the_receipt_of_the_tightest_sample() {
        let mut map = ClockMap::default();
        map.observe(sample(1_000_000, 0, 400));
        map.observe(sample(1_001_000, 1_000, 1_010));
        // 1,010 + (1,002,000 − 1,001,000)
        assert_eq!(map.fire_at(Timestamp::from_micros(1_002_000), mono(1_010)), Some(mono(2_010)));
    }

    #[test]
    fn before_the_first_sample_nothing_is_known() {
        assert_eq!(ClockMap::default().fire_at(Timestamp::from_micros(1), mono(1)), None);
        assert_eq!(ClockMap::default().now(mono(1)), None);
    }

    #[test]
    fn a_step_drops_every_older_sample_and_is_counted() {
        let mut map = ClockMap::default();
        map.observe(sample(1_000_000, 0, 1));
        map.observe(sample(1_001_000, 1_000, 1_500));
        assert!(map.observe(sample(500_000, 2_000, 2_900)));
        assert_eq!(map.steps(), 1);
        assert_eq!(map.fire_at(Timestamp::from_micros(500_000), mono(2_900)), Some(mono(2_900)));
    }

    #[test]
    fn old_samples_are_not_used() {
        let mut map = ClockMap::default();
        map.observe(sample(0, 0, 1));
        map.observe(sample(6_000_050, 6_000_000, 6_000_100));
        assert_eq!(map.samples.len(), 1);
    }

    #[test]
    fn a_sample_that_was_long_under_way_replaces_no_better_one() {
        let mut map = ClockMap::new(Duration::from_micros(100));
        map.observe(sample(1_000, 1_000, 1_100));
        // Answered at once, but the answer was read 8 s later.
        map.observe(sample(2_050, 2_000, 8_002_000));
        assert_eq!(map.now(mono(8_002_000)), Some(Timestamp::from_micros(8_002_000 - 100 - 800)));
        map.observe(sample(8_500_050, 8_500_000, 8_500_100));
        assert_eq!(map.now(mono(8_500_100)), Some(Timestamp::from_micros(8_500_050)), "the next good one is used");
    }

    #[test]
    fn a_sample_loses_trust_as_it_ages() {
        let mut map = ClockMap::new(Duration::from_micros(100));
        map.observe(sample(0, 0, 0));
        let due = Timestamp::from_micros(2_000_000);
        assert_eq!(map.fire_at(due, mono(1_000_000)), Some(mono(2_000_100)));
    }

    proptest! {
        /// Whatever the delays of the samples: with a database clock that runs evenly, nothing is ever early.
        #[test]
        fn never_early(offset in -1_000_000_i64..1_000_000, looks in proptest::collection::vec((0_u64..3_000, 0_u64..3_000, 1_u64..400_000), 1..30), ahead in 0_i64..1_000_000) {
            let mut map = ClockMap::default();
            let mut now = 2_000_000_u64;
            for (there, back, pause) in looks {
                let value = i64::try_from(now + there).unwrap() + offset;
                map.observe(sample(value, now, now + there + back));
                now += there + back + pause;
            }
            let due = i64::try_from(now).unwrap() + offset + ahead;
            let fire = map.fire_at(Timestamp::from_micros(due), mono(now)).unwrap();
            let database_then = i64::try_from(fire.0.as_micros()).unwrap() + offset;
            prop_assert!(database_then >= due, "early by {} us", due - database_then);
            prop_assert!(database_then <= due + 6_001, "later than the width of a sample");
            prop_assert!(map.now(mono(now)).unwrap().micros() <= i64::try_from(now).unwrap() + offset);
            prop_assert!(map.at_latest(mono(now)).unwrap().micros() >= i64::try_from(now).unwrap() + offset);
            prop_assert_eq!(map.steps(), 0);
        }
    }
}
