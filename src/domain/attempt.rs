//! One start of a task and how it ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::Epoch;
use super::time::Timestamp;

/// How a call ended, as its target's adapter types it. The types decide what may happen next, so an adapter that is
/// not sure says [`Outcome::Ambiguous`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target took it.
    Succeeded,
    /// Definite: it did not take it, or was never reached.
    Failed {
        /// Another attempt makes sense.
        retryable: bool,
        /// The target asked for this much patience.
        retry_after: Option<Duration>,
        /// What went wrong.
        error: String,
    },
    /// It has a start record, but the call was never made: no attempt is counted.
    NotSent {
        /// Why not.
        error: String,
    },
    /// Nobody can know whether the target was reached.
    Ambiguous {
        /// What went wrong.
        error: String,
    },
}

impl Outcome {
    /// What went wrong; `None` on success.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Succeeded => None,
            Self::Failed { error, .. } | Self::NotSent { error } | Self::Ambiguous { error } => Some(error),
        }
    }

    /// The word kept with the attempt.
    pub fn recorded(&self) -> AttemptOutcome {
        match self {
            Self::Succeeded => AttemptOutcome::Succeeded,
            Self::Failed { .. } => AttemptOutcome::Failed,
            Self::NotSent { .. } => AttemptOutcome::NotSent,
            Self::Ambiguous { .. } => AttemptOutcome::Ambiguous,
        }
    }
}

/// How an attempt ended, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The target took it.
    Succeeded,
    /// Definite failure.
    Failed,
    /// Never called.
    NotSent,
    /// Nobody can know.
    Ambiguous,
}

impl AttemptOutcome {
    const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::NotSent, Self::Ambiguous];

    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
            Self::NotSent => 2,
            Self::Ambiguous => 3,
        }
    }

    /// The outcome of that number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }
}

/// One attempt, as it is read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// 1 is the first start.
    pub attempt: u32,
    /// The node that executed it.
    pub node: Option<String>,
    /// The epoch of its claim.
    pub epoch: Option<Epoch>,
    /// When it was to be fired.
    pub due_at: Timestamp,
    /// When the call started; `None` where nobody can know.
    pub started_at: Option<Timestamp>,
    /// When its outcome was known.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What went wrong.
    pub error: Option<String>,
}
