//! What people have done to tasks: to one of them, and to many at once.

use crate::domain::payload::Payload;
use crate::domain::{Due, State, Task, Timestamp};

use super::Resolution;

/// What is to be different about a scheduled task; `None` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patch {
    /// When it is to run. It is due then, also if it waits for a retry.
    pub run_at: Option<Timestamp>,
    /// What it carries.
    pub payload: Option<Payload>,
    /// 0 to 9.
    pub priority: Option<u8>,
}

/// How a patch ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Patched {
    /// It is done: how the task stands now, and when it is due.
    Done(Box<Task>, Due),
    /// The task is not as its caller knows it.
    Unfit,
    /// The task stands in a state that does not allow it.
    Refused(State),
    /// There is no such task.
    NotFound,
}

/// What is done to many tasks at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Scheduled ones are called off.
    Cancel,
    /// Scheduled ones are due now.
    Run,
    /// Failed ones are scheduled again, due now.
    Retry,
    /// Unknown ones are settled.
    Resolve(Resolution),
    /// Scheduled ones are to run at this instant.
    Reschedule(Timestamp),
}

impl Operation {
    /// Only tasks in this state are acted on.
    pub fn acts_on(self) -> State {
        match self {
            Self::Cancel | Self::Run | Self::Reschedule(_) => State::Scheduled,
            Self::Retry => State::Failed,
            Self::Resolve(_) => State::Unknown,
        }
    }

    /// Where they stand afterwards.
    pub fn leads_to(self) -> State {
        match self {
            Self::Cancel => State::Cancelled,
            Self::Run | Self::Retry | Self::Reschedule(_) | Self::Resolve(Resolution::Scheduled) => State::Scheduled,
            Self::Resolve(Resolution::Succeeded) => State::Succeeded,
            Self::Resolve(Resolution::Failed) => State::Failed,
        }
    }
}

/// What an operation has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operated {
    /// So many tasks were changed; the others had moved on.
    pub changed: usize,
    /// When those are due that are scheduled now.
    pub due: Vec<Due>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::TRANSITIONS;

    #[test]
    fn every_operation_that_moves_a_task_takes_a_legal_step() {
        for operation in [
            Operation::Cancel,
            Operation::Retry,
            Operation::Resolve(Resolution::Succeeded),
            Operation::Resolve(Resolution::Failed),
            Operation::Resolve(Resolution::Scheduled),
        ] {
            let (from, to) = (operation.acts_on(), operation.leads_to());
            assert!(TRANSITIONS.iter().any(|(a, _, b)| (*a, *b) == (from, to)), "{operation:?}: {from} to {to}");
        }
        for operation in [Operation::Run, Operation::Reschedule(Timestamp::MIN)] {
            assert_eq!(operation.acts_on(), operation.leads_to());
        }
    }
}
