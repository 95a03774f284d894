//! How often and when a failed attempt is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::BACKOFF_MAX;

/// A task's retry policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// How often a task may be *started*; 1 is no retry.
    pub max_attempts: u32,
    /// Backoff after the first failure, in milliseconds.
    pub initial_ms: u64,
    /// Each further backoff is this times the one before.
    pub factor: f64,
    /// Longest backoff, in milliseconds.
    pub max_ms: u64,
    /// The part of a backoff that is left to chance, 0 to 1: 0.2 spreads it over 0.8 to 1.0 of itself, so that
    /// tasks which failed together do not come back together.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 5, initial_ms: 1_000, factor: 2.0, max_ms: 300_000, jitter: 0.2 }
    }
}

impl RetryPolicy {
    /// Another start is allowed after `attempt` starts.
    pub fn allows_another(&self, attempt: u32) -> bool {
        attempt < self.max_attempts
    }

    /// How long to wait after the failure of start number `attempt` (1 is the first). `chance` is uniform in 0..1.
    ///
    /// A target that names a later instant (`Retry-After`) is obeyed, up to [`BACKOFF_MAX`].
    pub fn backoff(&self, attempt: u32, chance: f64, retry_after: Option<Duration>) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let initial = Duration::from_millis(self.initial_ms).as_secs_f64();
        let longest = Duration::from_millis(self.max_ms).min(BACKOFF_MAX).as_secs_f64();
        // A huge power is infinite, not an error: `min` brings it back.
        let full = (initial * self.factor.powi(exponent)).min(longest);
        let spread = full * (1.0 - self.jitter * chance);
        let backoff = Duration::try_from_secs_f64(spread).unwrap_or(BACKOFF_MAX);
        retry_after.map_or(backoff, |asked| asked.min(BACKOFF_MAX).max(backoff))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_longest() {
        let policy = RetryPolicy { jitter: 0.0, max_ms: 5_000, ..RetryPolicy::default() };
        let backoffs = [1, 2, 3, 4, 400].map(|attempt| policy.backoff(attempt, 0.0, None).as_millis());
        assert_eq!(backoffs, [1_000, 2_000, 4_000, 5_000, 5_000]);
    }

    #[test]
    fn retry_after_is_obeyed_but_never_shortens_the_backoff() {
        let policy = RetryPolicy { jitter: 0.0, ..RetryPolicy::default() };
        assert_eq!(policy.backoff(1, 0.0, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(policy.backoff(1, 0.0, Some(Duration::ZERO)), Duration::from_secs(1));
        assert_eq!(policy.backoff(1, 0.0, Some(Duration::MAX)), BACKOFF_MAX);
    }

    #[test]
    fn the_budget_counts_starts() {
        let policy = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
        assert!(policy.allows_another(1));
        assert!(!policy.allows_another(2));
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(attempt in 1_u32..2_000, initial in 0_u64..100_000, factor in 1.0_f64..100.0,
                                   max in 0_u64..1_000_000, jitter in 0.0_f64..=1.0, chance in 0.0_f64..1.0) {
            let policy = RetryPolicy { max_attempts: 9, initial_ms: initial, factor, max_ms: max, jitter };
            let backoff = policy.backoff(attempt, chance, None);
            prop_assert!(backoff <= Duration::from_millis(max) + Duration::from_nanos(1));
        }
    }
}
