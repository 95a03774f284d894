//! From an outcome to the task's next state: the rule that makes `delivery` true.

use super::attempt::Outcome;
use super::retry::RetryPolicy;
use super::state::Step;
use super::task::{Delivery, Spec};
use super::time::Timestamp;

/// What an outcome does to its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The step to take from `dispatched` (or, late, from `unknown`).
    pub step: Step,
    /// When it is to be fired next; only for steps that lead back to `scheduled`.
    pub due_at: Option<Timestamp>,
    /// The start counts against the retry budget.
    pub counts: bool,
}

/// What an outcome is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// At most once, or at least once.
    pub delivery: Delivery,
    /// The retry policy.
    pub retry: &'a RetryPolicy,
    /// The number of the attempt that ended; 1 is the first.
    pub attempt: u32,
    /// When that attempt was due.
    pub due_at: Timestamp,
}

impl<'a> Judge<'a> {
    /// For attempt number `attempt` of a task.
    pub fn of(spec: &'a Spec, attempt: u32, due_at: Timestamp) -> Self {
        Self { delivery: spec.delivery, retry: &spec.retry, attempt, due_at }
    }

    /// Decides. `now` is the database's clock; `chance` is uniform in 0..1 and spreads the backoff.
    pub fn verdict(&self, outcome: &Outcome, now: Timestamp, chance: f64) -> Verdict {
        match outcome {
            Outcome::Succeeded => Verdict { step: Step::Succeed, due_at: None, counts: true },
            Outcome::Failed { retryable: true, retry_after, .. } if self.retry.allows_another(self.attempt) => {
                let backoff = self.retry.backoff(self.attempt, chance, *retry_after);
                Verdict { step: Step::Retry, due_at: Some(now.plus(backoff)), counts: true }
            }
            Outcome::Failed { .. } => Verdict { step: Step::Fail, due_at: None, counts: true },
            Outcome::NotSent { .. } => Verdict { step: Step::Return, due_at: Some(self.due_at), counts: false },
            Outcome::Ambiguous { .. } => self.ambiguous(now, chance),
        }
    }

    /// A spent budget with an unknown outcome is `unknown`, never `failed`: nobody may call it a failure.
    fn ambiguous(&self, now: Timestamp, chance: f64) -> Verdict {
        if self.delivery == Delivery::AtLeastOnce && self.retry.allows_another(self.attempt) {
            let backoff = self.retry.backoff(self.attempt, chance, None);
            return Verdict { step: Step::Retry, due_at: Some(now.plus(backoff)), counts: true };
        }
        Verdict { step: Step::Lose, due_at: None, counts: true }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::State;

    const NOW: Timestamp = Timestamp::from_micros(10_000_000);
    const DUE: Timestamp = Timestamp::from_micros(9_000_000);

    fn verdict(delivery: Delivery, attempt: u32, outcome: &Outcome) -> Verdict {
        let retry = RetryPolicy { max_attempts: 2, jitter: 0.0, ..RetryPolicy::default() };
        Judge { delivery, retry: &retry, attempt, due_at: DUE }.verdict(outcome, NOW, 0.5)
    }

    fn failed(retryable: bool) -> Outcome {
        Outcome::Failed { retryable, retry_after: None, error: "503".to_owned() }
    }

    fn ambiguous() -> Outcome {
        Outcome::Ambiguous { error: "time-out".to_owned() }
    }

    #[test]
    fn definite_failures_are_retried_under_both_deliveries() {
        for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
            let first = verdict(delivery, 1, &failed(true));
            assert_eq!((first.step, first.due_at), (Step::Retry, Some(NOW.plus(Duration::from_secs(1)))));
            assert_eq!(verdict(delivery, 2, &failed(true)).step, Step::Fail);
            assert_eq!(verdict(delivery, 1, &failed(false)).step, Step::Fail);
        }
    }

    #[test]
    fn an_ambiguous_outcome_is_refired_only_at_least_once() {
        assert_eq!(verdict(Delivery::AtMostOnce, 1, &ambiguous()).step, Step::Lose);
        assert_eq!(verdict(Delivery::AtLeastOnce, 1, &ambiguous()).step, Step::Retry);
    }

    #[test]
    fn a_spent_budget_with_an_unknown_outcome_is_unknown_never_failed() {
        assert_eq!(verdict(Delivery::AtLeastOnce, 2, &ambiguous()).step, Step::Lose);
    }

    #[test]
    fn not_sent_goes_back_to_its_own_instant_and_counts_nothing() {
        let back = verdict(Delivery::AtMostOnce, 2, &Outcome::NotSent { error: String::new() });
        assert_eq!(back, Verdict { step: Step::Return, due_at: Some(DUE), counts: false });
    }

    #[test]
    fn every_verdict_is_a_legal_step_with_an_instant_exactly_if_it_is_scheduled_again() {
        let outcomes =
            [Outcome::Succeeded, failed(true), failed(false), ambiguous(), Outcome::NotSent { error: String::new() }];
        for delivery in [Delivery::AtMostOnce, Delivery::AtLeastOnce] {
            for attempt in [1, 2, 3] {
                for outcome in &outcomes {
                    let verdict = verdict(delivery, attempt, outcome);
                    let to = State::Dispatched.after(verdict.step).expect("a legal step");
                    assert_eq!(to == State::Scheduled, verdict.due_at.is_some());
                }
            }
        }
    }
}
