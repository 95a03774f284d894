//! What the rest of the program may know of the actors, and whisper to them: readiness and hints.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use actix::{Message, Recipient};
use tokio::sync::{Notify, watch};

use crate::domain::{Due, GenerationId};

/// Tasks that are scheduled now: stored, retried, recovered. A hint.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Scheduled {
    /// Which.
    pub tasks: Vec<Due>,
}

/// An executor has room again. A hint.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Credited;

/// Shared between the actors, the API and the node.
#[derive(Default)]
pub struct Status {
    stopping: AtomicBool,
    ingested: Notify,
    generation: watch::Sender<Option<GenerationId>>,
    hints: Mutex<Hints>,
}

#[derive(Default)]
struct Hints {
    scheduled: Option<Recipient<Scheduled>>,
    credited: Option<Recipient<Credited>>,
}

impl Status {
    /// The set of `generation` works; its Dispatcher takes hints.
    pub fn alive(&self, generation: GenerationId, scheduled: Recipient<Scheduled>, credited: Recipient<Credited>) {
        *self.hints() = Hints { scheduled: Some(scheduled), credited: Some(credited) };
        self.generation.send_replace(Some(generation));
    }

    /// The set is down.
    pub fn down(&self) {
        self.generation.send_replace(None);
        *self.hints() = Hints::default();
    }

    /// The node stops: no more submissions.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// The node is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The generation that works; `None` while the set is down.
    pub fn generation(&self) -> Option<GenerationId> {
        *self.generation.borrow()
    }

    /// Follows the generation that works.
    pub fn follow(&self) -> watch::Receiver<Option<GenerationId>> {
        self.generation.subscribe()
    }

    /// Takes submissions and has living actors. Otherwise why not, for `/readyz`.
    ///
    /// # Errors
    /// The reason, as a phrase.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.is_stopping() {
            return Err("the node is stopping");
        }
        if self.generation().is_none() {
            return Err("the actors are starting or being restarted");
        }
        Ok(())
    }

    /// Tells the Dispatcher of scheduled tasks. A hint: the sweep finds what it missed.
    pub fn hint(&self, tasks: Vec<Due>) {
        if tasks.is_empty() {
            return;
        }
        if let Some(dispatcher) = &self.hints().scheduled
            && dispatcher.try_send(Scheduled { tasks }).is_err()
        {
            log::debug!("the dispatcher's mailbox is full or closed; its sweep will find the tasks");
        }
    }

    /// Tells the Dispatcher that an executor has room again. A hint: it looks by itself too.
    pub fn credited(&self) {
        if let Some(dispatcher) = &self.hints().credited
            && dispatcher.try_send(Credited).is_err()
        {
            log::debug!("the dispatcher's mailbox is full or closed; it looks for credit by itself");
        }
    }

    /// The queue is closed and everything in it is stored.
    pub fn ingested(&self) {
        self.ingested.notify_one();
    }

    /// Resolves when the queue is closed and everything in it is stored.
    pub async fn wait_ingested(&self) {
        self.ingested.notified().await;
    }

    fn hints(&self) -> std::sync::MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
