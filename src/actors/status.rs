//! What the rest of the program may know of the actors, and whisper to them: readiness and hints.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use actix::{Message, Recipient};
use tokio::sync::{Notify, watch};

use crate::domain::{Due, GenerationId, Timestamp};
use crate::store::Hint;

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

/// Other processes scheduled tasks, the first of them due at this instant. A hint.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Woken {
    /// The earliest.
    pub first: Timestamp,
}

/// There are new claims for this generation. A hint.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Assigned;

/// The master has resigned. A hint.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Resigned;

/// Another process reads other partitions of the topic now. A hint.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct ReadersChanged;

/// Whom hints are for, in the set that works.
pub struct Ears {
    /// The Dispatcher.
    pub scheduled: Recipient<Scheduled>,
    /// The Dispatcher.
    pub credited: Recipient<Credited>,
    /// The Dispatcher.
    pub woken: Recipient<Woken>,
    /// The Executor.
    pub assigned: Recipient<Assigned>,
    /// The MasterResolver.
    pub resigned: Recipient<Resigned>,
}

/// Shared between the actors, the API and the node.
#[derive(Default)]
pub struct Status {
    stopping: AtomicBool,
    ingested: Notify,
    generation: watch::Sender<Option<GenerationId>>,
    ears: Mutex<Option<Ears>>,
    /// The KafkaIngest, which begins when the others can be told of what it stores.
    reader: Mutex<Option<Recipient<ReadersChanged>>>,
}

impl Status {
    /// The set of `generation` works and takes hints.
    pub fn alive(&self, generation: GenerationId, ears: Ears) {
        *self.ears() = Some(ears);
        self.generation.send_replace(Some(generation));
    }

    /// The set reads the topic and takes hints about that too.
    pub fn reads(&self, reader: Recipient<ReadersChanged>) {
        *self.reader() = Some(reader);
    }

    /// The set is down.
    pub fn down(&self) {
        self.generation.send_replace(None);
        *self.reader() = None;
        *self.ears() = None;
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
        if let Some(ears) = &*self.ears()
            && ears.scheduled.try_send(Scheduled { tasks }).is_err()
        {
            log::debug!("the dispatcher's mailbox is full or closed; its sweep will find the tasks");
        }
    }

    /// Tells the Dispatcher that an executor has room again. A hint: it looks by itself too.
    pub fn credited(&self) {
        if let Some(ears) = &*self.ears()
            && ears.credited.try_send(Credited).is_err()
        {
            log::debug!("the dispatcher's mailbox is full or closed; it looks for credit by itself");
        }
    }

    /// Passes on what another process did. A hint: every actor looks by itself too.
    pub fn heard(&self, hint: &Hint) {
        let ears = self.ears();
        let Some(ears) = &*ears else { return };
        let told = match hint {
            Hint::Assigned(generations) if self.generation().is_some_and(|own| generations.contains(&own)) => {
                ears.assigned.try_send(Assigned).is_ok()
            }
            Hint::Assigned(_) => true,
            Hint::Scheduled(first) => ears.woken.try_send(Woken { first: *first }).is_ok(),
            Hint::Resigned => ears.resigned.try_send(Resigned).is_ok(),
            Hint::Readers => self.tell_reader(),
            Hint::Missed => {
                let woken = ears.woken.try_send(Woken { first: Timestamp::from_micros(0) }).is_ok();
                ears.assigned.try_send(Assigned).is_ok() && self.tell_reader() && woken
            }
        };
        if !told {
            log::debug!("a mailbox is full or closed; its actor looks by itself");
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

    fn tell_reader(&self) -> bool {
        self.reader().as_ref().is_some_and(|reader| reader.try_send(ReadersChanged).is_ok())
    }

    fn reader(&self) -> std::sync::MutexGuard<'_, Option<Recipient<ReadersChanged>>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ears(&self) -> std::sync::MutexGuard<'_, Option<Ears>> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
