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

    /// What the same command for many does after one that broke off.
    pub fn again(&self) -> &'static str {
        match self {
            Self::Resolve(state) if state == "scheduled" => {
                "the same command again goes on with what is left, and with what has become unknown again by then"
            }
            Self::Cancel | Self::Resolve(_) => "the same command again goes on with what is left",
            Self::Retry => "the same command again goes on with what is left, and with what has failed again by then",
            Self::Run => {
                "the same command again begins anew: what is still scheduled by then is due at once, also what was \
                changed and waits for a retry"
            }
            Self::Reschedule(when) if when.get("run_at").is_some() => {
                "the same command again begins anew: what was moved still matches and comes to the same time; \
                add --to with an instant so that nothing stored later is moved with it"
            }
            Self::Reschedule(_) => {
                "the same command again begins anew: what was moved still matches and is moved once more; take --at \
                with an instant so that all come to the same time, and --to so that nothing stored later is moved with it"
            }
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
