//! A task as the random walk remembers it, moved by the domain's rules alone.

use task_scheduler::domain::settlement::Judge;
use task_scheduler::domain::{Claim, Due, GenerationId, NewTask, Outcome, State, Timestamp};
use task_scheduler::store::{EndedAttempt, Settled, Settlement};

use crate::fixtures::BASE;

/// A claim as the model remembers it.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub claim: Claim,
    pub owner: GenerationId,
    /// The number of the attempt that it starts.
    pub attempt: u32,
    pub due_at: Timestamp,
    pub started: bool,
}

#[derive(Debug)]
pub struct Model {
    pub asked: NewTask,
    pub state: State,
    pub due_at: Timestamp,
    pub attempt: u32,
    pub claims: i64,
    /// The claim it is held by, or was held by last.
    pub held: Option<Held>,
    /// The pause for whose end it waits.
    pub parked: Option<i64>,
}

impl Model {
    pub fn due(&self) -> Due {
        let NewTask { id, spec, .. } = &self.asked;
        Due { id: *id, due_at: self.due_at, priority: spec.priority, misfire: spec.misfire }
    }

    /// What `outcome` of the claim `held` must come to.
    pub fn settlement(&self, held: Held, outcome: &Outcome) -> Settlement {
        let verdict = Judge::of(&self.asked.spec, held.attempt, held.due_at).verdict(outcome, BASE, 0.0);
        let error = outcome.error().map(str::to_owned);
        let attempt = EndedAttempt { started_at: BASE, finished_at: BASE, outcome: outcome.recorded(), error };
        Settlement { claim: held.claim, verdict, attempt: Some(attempt) }
    }

    /// Takes a settlement in, as the rules say.
    pub fn settle(&mut self, settlement: &Settlement, held: Held) -> Settled {
        let late = self.state == State::Unknown;
        let to = State::Dispatched.after(settlement.verdict.step).unwrap();
        if (self.state != State::Dispatched && !late) || (late && to == State::Unknown) {
            return Settled::Stale;
        }
        self.state = to;
        self.attempt = if settlement.verdict.counts { held.attempt } else { held.attempt - 1 };
        if to != State::Scheduled {
            return Settled::Applied(None);
        }
        self.due_at = settlement.verdict.due_at.unwrap();
        self.held = None;
        Settled::Applied(Some(self.due()))
    }
}
