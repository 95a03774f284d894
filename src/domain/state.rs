//! The states of a task and every legal step between them: the one place that knows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for its `due_at`.
    Scheduled,
    /// Claimed by the master for one executor.
    Dispatched,
    /// Its target took it.
    Succeeded,
    /// Out of attempts, or not worth another.
    Failed,
    /// Nobody can know whether the target was reached; waits for `resolve`.
    Unknown,
    /// Called off while it was scheduled.
    Cancelled,
    /// Its misfire policy called it off.
    Expired,
}

/// What moves a task from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The master named an executor.
    Claim,
    /// A definite success.
    Succeed,
    /// A definite failure, the last one.
    Fail,
    /// An outcome that nobody can know.
    Lose,
    /// Another attempt is owed: a definite failure with budget left, or a re-fire under `at_least_once`.
    Retry,
    /// Back without an attempt: recovered before its start, given back, never sent.
    Return,
    /// Called off by a caller.
    Cancel,
    /// Called off by its misfire policy.
    Expire,
}

/// Every legal transition. What is not here does not happen: the store's conditional writes follow this table.
pub const TRANSITIONS: [(State, Step, State); 13] = [
    (State::Scheduled, Step::Claim, State::Dispatched),
    (State::Scheduled, Step::Cancel, State::Cancelled),
    (State::Scheduled, Step::Expire, State::Expired),
    (State::Dispatched, Step::Succeed, State::Succeeded),
    (State::Dispatched, Step::Fail, State::Failed),
    (State::Dispatched, Step::Lose, State::Unknown),
    (State::Dispatched, Step::Retry, State::Scheduled),
    (State::Dispatched, Step::Return, State::Scheduled),
    // `resolve`, or the late outcome of the same claim.
    (State::Unknown, Step::Succeed, State::Succeeded),
    (State::Unknown, Step::Fail, State::Failed),
    (State::Unknown, Step::Retry, State::Scheduled),
    (State::Unknown, Step::Return, State::Scheduled),
    // The caller's `/retry`.
    (State::Failed, Step::Retry, State::Scheduled),
];

impl State {
    /// All states, in the order of a task's life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Dispatched,
        Self::Succeeded,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Where `step` leads from here; `None` if it is not legal.
    pub fn after(self, step: Step) -> Option<Self> {
        TRANSITIONS.iter().find(|(from, by, _)| *from == self && *by == step).map(|(_, _, to)| *to)
    }

    /// Lives in table `task` (otherwise in `task_history`).
    pub fn is_live(self) -> bool {
        matches!(self, Self::Scheduled | Self::Dispatched)
    }

    /// The word used in SQL, in JSON and on the page.
    pub fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Dispatched => "dispatched",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Scheduled => 0,
            Self::Dispatched => 1,
            Self::Succeeded => 2,
            Self::Failed => 3,
            Self::Unknown => 4,
            Self::Cancelled => 5,
            Self::Expired => 6,
        }
    }

    /// The state of that number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEPS: [Step; 8] =
        [Step::Claim, Step::Succeed, Step::Fail, Step::Lose, Step::Retry, Step::Return, Step::Cancel, Step::Expire];

    /// The contract's sentence, written out once more by hand: from, to.
    const CONTRACT: [(State, State); 11] = [
        (State::Scheduled, State::Dispatched),
        (State::Dispatched, State::Succeeded),
        (State::Dispatched, State::Failed),
        (State::Dispatched, State::Unknown),
        (State::Dispatched, State::Scheduled),
        (State::Scheduled, State::Cancelled),
        (State::Scheduled, State::Expired),
        (State::Unknown, State::Succeeded),
        (State::Unknown, State::Failed),
        (State::Unknown, State::Scheduled),
        (State::Failed, State::Scheduled),
    ];

    #[test]
    fn every_pair_of_states_is_reachable_exactly_if_the_contract_says_so() {
        for from in State::ALL {
            for to in State::ALL {
                let reachable = STEPS.iter().any(|step| from.after(*step) == Some(to));
                assert_eq!(reachable, CONTRACT.contains(&(from, to)), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn each_state_and_step_has_at_most_one_end() {
        for from in State::ALL {
            for step in STEPS {
                let ends = TRANSITIONS.iter().filter(|(f, s, _)| *f == from && *s == step).count();
                assert!(ends <= 1, "{from} by {step:?} has {ends} ends");
            }
        }
    }

    #[test]
    fn words_and_codes_come_back() {
        for state in State::ALL {
            assert_eq!(State::from_word(state.word()), Some(state));
            assert_eq!(State::from_code(state.code()), Some(state));
        }
    }

    proptest! {
        /// Whatever happens to a task: once called off or succeeded, it never moves again, and it is only ever
        /// fired from `dispatched`, which only a claim of a scheduled task reaches.
        #[test]
        fn no_walk_leaves_an_end(steps in proptest::collection::vec(0_usize..STEPS.len(), 0..60)) {
            let mut state = State::Scheduled;
            for step in steps {
                let before = state;
                if let Some(next) = before.after(STEPS[step]) {
                    prop_assert!(!matches!(before, State::Succeeded | State::Cancelled | State::Expired));
                    if next == State::Dispatched {
                        prop_assert_eq!(before, State::Scheduled);
                    }
                    state = next;
                }
            }
        }
    }
}
