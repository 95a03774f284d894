//! KafkaIngest: takes submissions from whichever queue is configured into the task database.
//!
//! In: batches of the queue. Out: rows, acknowledgements, a hint to the Dispatcher. Owns: nothing; an unacknowledged
//! batch belongs to the queue. Never: acknowledges before the commit.

use std::time::Duration;

use actix::prelude::*;

use super::parts::{Parts, blocking};
use super::set::Set;
use super::vital::{Vital, vital_signs};
use crate::domain::Due;
use crate::metrics::ActorName;
use crate::queue::Polled;
use crate::store::{Ingested, Result};

/// Most submissions in one transaction.
const BATCH_MAX: usize = 1_000;
/// After a failed transaction: long enough not to spin, short enough for a disk that has room again.
const PAUSE: Duration = Duration::from_millis(50);

/// See the module.
pub struct KafkaIngest {
    parts: Parts,
    vital: Vital,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

impl KafkaIngest {
    /// For this set.
    pub fn new(parts: Parts, set: &Set) -> Self {
        Self { vital: Vital::new(ActorName::KafkaIngest, &parts, set), parts }
    }

    fn poll(&self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let queue = std::sync::Arc::clone(&self.parts.queue);
        async move { queue.poll(BATCH_MAX).await }.into_actor(self).map(|polled, actor: &mut Self, ctx| match polled {
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
        let parts = self.parts.clone();
        let ingested = blocking(move || {
            let timer = parts.metrics.ingest.start_timer();
            match parts.store.ingest(&polled.tasks) {
                Ok(outcomes) => {
                    timer.observe_duration();
                    parts.status.hint(stored(&outcomes));
                    polled.committed(&outcomes);
                    Ok(())
                }
                Err(cause) => {
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
        self.parts.metrics.queue_depth.set(i64::try_from(self.parts.queue.depth()).unwrap_or(i64::MAX));
        match result {
            Ok(()) => {
                ctx.spawn(self.poll());
            }
            Err(cause) => {
                self.vital.failed("a batch was not stored and its publishers were told so", cause);
                ctx.notify_later(Tick, PAUSE);
            }
        }
    }
}

fn stored(outcomes: &[Ingested]) -> Vec<Due> {
    let due = |outcome: &Ingested| match outcome {
        Ingested::Stored(due) => Some(*due),
        Ingested::Same | Ingested::Conflict => None,
    };
    outcomes.iter().filter_map(due).collect()
}

impl Actor for KafkaIngest {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Tick);
    }
}

impl Handler<Tick> for KafkaIngest {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        ctx.spawn(self.poll());
    }
}

vital_signs!(KafkaIngest);
