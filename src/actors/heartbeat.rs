//! Heartbeat: says that this generation is alive, and looks at the database's clock.
//!
//! In: its own ticks. Out: heartbeats, clock samples, and every 2 s a report of the node's figures. Owns: nothing. Never:
//! decides who is dead.

use std::time::Duration;

use actix::prelude::*;

use super::parts::{Parts, blocking};
use super::reporting::{begin_anew, report};
use super::set::Set;
use super::vital::{Vital, vital_signs};
use crate::clock::DatabaseClock;
use crate::domain::clock_map::Sample;
use crate::metrics::ActorName;
use crate::store::{Beat, Result, Store};

/// See the module.
pub struct Heartbeat {
    parts: Parts,
    set: Set,
    vital: Vital,
}

/// Between two reports.
const REPORT: Duration = Duration::from_secs(2);

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

/// A report is due.
#[derive(Message)]
#[rtype(result = "()")]
struct Tell;

impl Heartbeat {
    /// For this set.
    pub fn new(parts: Parts, set: Set) -> Self {
        Self { vital: Vital::new(ActorName::Heartbeat, &parts, &set), parts, set }
    }

    fn pass(&self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let begun = self.vital.begin();
        let (parts, set) = (self.parts.clone(), self.set.clone());
        let beaten = blocking(move || {
            let offset_us = sample(&*parts.store, &parts.database_clock)?;
            let reads_topic = parts.kafka.as_ref().is_some_and(|kafka| kafka.can_read());
            let beat = Beat { free_slots: set.calls.free_slots(), clock_offset_us: offset_us, reads_topic };
            parts.store.beat(set.generation, beat)
        });
        beaten.into_actor(self).map(move |result, actor, ctx: &mut Context<Self>| {
            drop(begun);
            actor.after(result, ctx);
        })
    }

    fn tell(&self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let begun = self.vital.begin();
        let (parts, generation) = (self.parts.clone(), self.set.generation);
        let told = blocking(move || report(&parts, generation));
        told.into_actor(self).map(move |result, actor, ctx: &mut Context<Self>| {
            drop(begun);
            if let Err(cause) = result {
                actor.vital.failed("no report", &cause);
            }
            ctx.notify_later(Tell, REPORT);
        })
    }

    fn after(&self, result: Result<bool>, ctx: &mut Context<Self>) {
        match result {
            Ok(true) => {}
            // Paused or cut off for longer than the others waited: only a new generation can work again.
            Ok(false) => {
                log::error!("generation {} was given up as dead while it lived", self.set.generation);
                ctx.stop();
            }
            Err(cause) => self.vital.failed("no heartbeat", &cause),
        }
        self.parts
            .metrics
            .clock_steps
            .inc_by(self.parts.database_clock.steps().saturating_sub(self.parts.metrics.clock_steps.get()));
        ctx.notify_later(Tick, self.parts.config.heartbeat);
    }
}

/// Looks at the database's clock once; the database's clock minus this machine's wall clock, in microseconds.
///
/// # Errors
/// The database does not answer.
pub fn sample(store: &dyn Store, database_clock: &DatabaseClock) -> Result<i64> {
    let sent = database_clock.clock().mono();
    let value = store.now()?;
    let received = database_clock.clock().mono();
    if database_clock.observe(Sample { value, sent, received }) {
        log::warn!("the database's clock was set: it says {value} now");
    }
    Ok(value.micros().saturating_sub(database_clock.clock().wall().micros()))
}

impl Actor for Heartbeat {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        begin_anew(&self.parts);
        ctx.notify(Tick);
        ctx.notify(Tell);
    }
}

impl Handler<Tick> for Heartbeat {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        ctx.spawn(self.pass());
    }
}

impl Handler<Tell> for Heartbeat {
    type Result = ();

    fn handle(&mut self, _: Tell, ctx: &mut Self::Context) {
        ctx.spawn(self.tell());
    }
}

vital_signs!(Heartbeat);
