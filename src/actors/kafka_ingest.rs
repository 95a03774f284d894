//! KafkaIngest: takes submissions from whichever queue is configured into the task database.
//!
//! In: batches of the queue, word that others read something else. Out: rows, acknowledgements, a hint to the Dispatcher;
//! of a topic also which partitions are read. Owns: this node's share of the topic; an unacknowledged batch belongs to the
//! queue. Never: acknowledges before the commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::prelude::*;

use super::parts::{Parts, blocking};
use super::set::Set;
use super::status::ReadersChanged;
use super::topic_share::{TopicError, TopicShare, publish_dead_letters};
use super::vital::{Vital, vital_signs};
use crate::domain::Due;
use crate::metrics::ActorName;
use crate::queue::{Batch, Polled};
use crate::store::{Ingested, Result};

/// After a failed transaction: long enough not to spin, short enough for a disk that has room again.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two looks at this node's share of the topic.
const LOOK: Duration = Duration::from_millis(500);
/// The same after a stretch was not stored.
const SOON: Duration = Duration::from_millis(20);

/// See the module.
pub struct KafkaIngest {
    parts: Parts,
    share: Arc<Mutex<TopicShare>>,
    vital: Vital,
    /// Until the next look; `None` while one is under way.
    timer: Option<SpawnHandle>,
    /// Something changed during the look.
    again: bool,
    /// Dead letters are on their way to their topic.
    publishing: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

/// A look at this node's share of the topic is due.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

impl KafkaIngest {
    /// For this set.
    pub fn new(parts: Parts, set: &Set) -> Self {
        let share = Arc::new(Mutex::new(TopicShare::new(set.generation)));
        let vital = Vital::new(ActorName::KafkaIngest, &parts, set);
        Self { vital, share, parts, timer: None, again: false, publishing: false }
    }

    fn poll(&self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let (queue, limit) = (Arc::clone(&self.parts.queue), self.parts.config.ingest_batch);
        async move { queue.poll(limit).await }.into_actor(self).map(|polled, actor: &mut Self, ctx| match polled {
            Some(polled) => {
                ctx.spawn(actor.ingest(polled));
            }
            // Closed and empty: every submission that was taken is stored.
            None => actor.parts.status.ingested(),
        })
    }

    /// One batch, one transaction. It is acknowledged on the blocking thread, so that a publisher is answered even if
    /// this actor does not live to see it.
    fn ingest(&self, polled: Polled) -> impl ActorFuture<Self, Output = ()> + use<> {
        let begun = self.vital.begin();
        let (parts, share) = (self.parts.clone(), Arc::clone(&self.share));
        let ingested = blocking(move || {
            let timer = parts.metrics.ingest.start_timer();
            let outcomes = match &polled.batch {
                Batch::Tasks(tasks) => parts.store.ingest(tasks).map(Some),
                Batch::Stretch(stretch) => parts.store.ingest_from(stretch),
            };
            match outcomes {
                Ok(Some(outcomes)) => {
                    timer.observe_duration();
                    count(&parts, &polled.batch, &outcomes);
                    parts.status.hint(stored(&outcomes));
                    polled.committed(&outcomes);
                    Ok(())
                }
                // Another node was faster: where it has come to stands in the database.
                Ok(None) => {
                    if let Batch::Stretch(stretch) = &polled.batch {
                        let read = stretch.offset.origin(stretch.offset.from.unwrap_or(0));
                        log::info!(
                            "what was read from {read} on was ingested by another node meanwhile: it is read anew"
                        );
                    }
                    locked(&share).read_anew();
                    Ok(())
                }
                Err(cause) => {
                    locked(&share).read_anew();
                    polled.failed(&cause.to_string());
                    Err(cause)
                }
            }
        });
        ingested.into_actor(self).map(move |result, actor, ctx: &mut Context<Self>| {
            drop(begun);
            actor.again(&result, ctx);
        })
    }

    fn again(&self, result: &Result<()>, ctx: &mut Context<Self>) {
        match result {
            Ok(()) => {
                ctx.spawn(self.poll());
            }
            Err(cause) => {
                self.vital.failed("a batch was not stored; its publishers were told so, or it is read again", cause);
                ctx.notify_later(Tick, PAUSE);
            }
        }
    }

    /// Has the queue read this node's share of the topic; then has dead letters published if that is this node's to do.
    fn look(&self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let (parts, share) = (self.parts.clone(), Arc::clone(&self.share));
        let looked = async move {
            let Some(kafka) = parts.kafka.clone() else { return Ok(false) };
            blocking(move || {
                let mut share = locked(&share);
                share.look(&parts, &kafka)?;
                Ok(share.is_first())
            })
            .await
        };
        looked.into_actor(self).map(|result: Result<bool>, actor: &mut Self, ctx| {
            match result {
                Ok(first) if first && !actor.publishing => actor.publish(ctx),
                Ok(_) => {}
                Err(cause) => actor.vital.failed("the share of the topic was not looked at", &cause),
            }
            let lost = locked(&actor.share).is_to_be_read_anew();
            let at_once = std::mem::take(&mut actor.again);
            actor.timer = Some(ctx.notify_later(Look, if lost || at_once { SOON } else { LOOK }));
        })
    }

    /// Brokers that do not take dead letters keep no look waiting.
    fn publish(&mut self, ctx: &mut Context<Self>) {
        let Some(kafka) = self.parts.kafka.clone() else { return };
        self.publishing = true;
        let parts = self.parts.clone();
        let published = async move { publish_dead_letters(parts, &kafka).await };
        let ended = |result: std::result::Result<(), TopicError>, actor: &mut Self, _: &mut Context<Self>| {
            actor.publishing = false;
            if let Err(cause) = result {
                actor.vital.failed("dead letters were not published yet", &cause);
            }
        };
        ctx.spawn(published.into_actor(self).map(ended));
    }
}

/// Counts what came by a topic; what came over REST is counted where it is answered.
fn count(parts: &Parts, batch: &Batch, outcomes: &[Ingested]) {
    let Batch::Stretch(stretch) = batch else { return };
    let ended = |end: &str, n: usize| {
        parts.metrics.submissions.with_label_values(&[end]).inc_by(u64::try_from(n).unwrap_or(u64::MAX));
    };
    for outcome in outcomes {
        ended(outcome.word(), 1);
    }
    ended("unreadable", stretch.letters.len());
}

fn locked(share: &Mutex<TopicShare>) -> MutexGuard<'_, TopicShare> {
    share.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stored(outcomes: &[Ingested]) -> Vec<Due> {
    let due = |outcome: &Ingested| match outcome {
        Ingested::Stored(due) => Some(*due),
        Ingested::Same | Ingested::Conflict | Ingested::Cancelled => None,
    };
    outcomes.iter().filter_map(due).collect()
}

impl Actor for KafkaIngest {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Tick);
        if self.parts.kafka.is_some() {
            ctx.notify(Look);
        }
    }
}

impl Handler<Look> for KafkaIngest {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.timer = None;
        ctx.spawn(self.look());
    }
}

impl Handler<ReadersChanged> for KafkaIngest {
    type Result = ();

    fn handle(&mut self, _: ReadersChanged, ctx: &mut Self::Context) {
        match self.timer.take() {
            Some(timer) => {
                ctx.cancel_future(timer);
                ctx.notify(Look);
            }
            None => self.again = true,
        }
    }
}

impl Handler<Tick> for KafkaIngest {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        ctx.spawn(self.poll());
    }
}

vital_signs!(KafkaIngest);
