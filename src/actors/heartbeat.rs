//! Heartbeat: says that this generation is alive, and looks at the database's clock.
//!
//! In: its own tick. Out: heartbeats and clock samples. Owns: nothing. Never: decides who is dead.

use actix::prelude::*;

use super::parts::{Parts, blocking};
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

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

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
            let reads_topic = parts.kafka.as_ref().is_some_and(|kafka| kafka.is_in_reach());
            let beat = Beat { free_slots: set.calls.free_slots(), clock_offset_us: offset_us, reads_topic };
            parts.store.beat(set.generation, beat)
        });
        beaten.into_actor(self).map(move |result, actor, ctx: &mut Context<Self>| {
            drop(begun);
            actor.after(result, ctx);
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
        ctx.notify(Tick);
    }
}

impl Handler<Tick> for Heartbeat {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        ctx.spawn(self.pass());
    }
}

vital_signs!(Heartbeat);
