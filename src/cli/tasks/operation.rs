//! What can be done to a task, to one by its id and to many by filters.

use serde_json::{Value, json};

use crate::cli::answer::Answer;
use crate::cli::client::{Client, Path};
use crate::cli::exit::Failure;

/// One of the five.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Call off what is scheduled.
    Cancel,
    /// Fire what is scheduled now.
    Run,
    /// Schedule what failed again, now.
    Retry,
    /// Settle what is unknown, as this state.
    Resolve(String),
    /// Move what is scheduled: the fields `run_at` or `delay_ms`.
    Reschedule(Value),
}

impl Operation {
    /// Its word in the API.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Run => "run",
            Self::Retry => "retry",
            Self::Resolve(_) => "resolve",
            Self::Reschedule(_) => "reschedule",
        }
    }

    /// The state of a task to which it was done.
    pub fn state(&self) -> &str {
        match self {
            Self::Cancel => "cancelled",
            Self::Run | Self::Retry | Self::Reschedule(_) => "scheduled",
            Self::Resolve(state) => state,
        }
    }

    /// The document that it is asked for with.
    pub fn document(&self) -> Vec<u8> {
        let document = match self {
            Self::Cancel | Self::Run | Self::Retry => json!({}),
            Self::Resolve(state) => json!({ "state": state }),
            Self::Reschedule(when) => when.clone(),
        };
        document.to_string().into_bytes()
    }

    /// Does it to one task.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn of_one(&self, client: &Client, id: &str) -> Result<Answer, Failure> {
        let task = ["v1", "tasks", id];
        match self {
            Self::Cancel => client.delete(Path::of(&task)),
            Self::Reschedule(_) => client.patch(Path::of(&task), self.document()),
            Self::Run | Self::Retry | Self::Resolve(_) => {
                client.post(Path::of(&["v1", "tasks", id, self.word()]), self.document(), None)
            }
        }
    }
}
