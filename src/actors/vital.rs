//! What makes an actor observable: its drop guard, its signs of life, the time of its passes.

use std::sync::Arc;

use actix::prelude::*;

use super::parts::Parts;
use super::set::{Died, Set};
use crate::domain::GenerationId;
use crate::domain::time::Mono;
use crate::metrics::{ActorName, Metrics};

/// Are you there? Answered at once by every actor; the Supervisor takes a long silence for a stall.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Ping;

/// Held by every actor of a set. Dropped with it, however it ends, it tells the Supervisor.
pub struct Vital {
    actor: ActorName,
    generation: GenerationId,
    metrics: Arc<Metrics>,
    supervisor: Recipient<Died>,
}

impl Vital {
    /// For `actor` of this set.
    pub fn new(actor: ActorName, parts: &Parts, set: &Set) -> Self {
        let vital = Self {
            actor,
            generation: set.generation,
            metrics: Arc::clone(&parts.metrics),
            supervisor: set.supervisor.clone(),
        };
        vital.sign_of_life();
        vital
    }

    /// It works.
    pub fn sign_of_life(&self) {
        self.metrics.actor(self.actor).sign_of_life(self.metrics.clock().mono());
    }

    /// A pass or message begins; it ends when the returned is dropped.
    pub fn begin(&self) -> Pass {
        Pass::begin(self.actor, &self.metrics)
    }

    /// A pass failed and is tried again.
    pub fn failed(&self, what: &str, cause: &dyn std::error::Error) {
        self.metrics.actor(self.actor).errors.inc();
        log::warn!("{} of generation {}: {what}: {cause}", self.actor.word(), self.generation);
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        let died = Died { actor: self.actor, generation: self.generation };
        if self.supervisor.try_send(died).is_err() {
            // Its next ping will find the actor closed.
            log::debug!("the supervisor could not be told of the end of {}", self.actor.word());
        }
    }
}

/// One pass or message under way.
#[derive(Debug)]
pub struct Pass {
    actor: ActorName,
    metrics: Arc<Metrics>,
    since: Mono,
}

impl Pass {
    /// Of `actor`.
    pub fn begin(actor: ActorName, metrics: &Arc<Metrics>) -> Self {
        metrics.actor(actor).mailbox.inc();
        Self { actor, metrics: Arc::clone(metrics), since: metrics.clock().mono() }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let now = self.metrics.clock().mono();
        let reported = self.metrics.actor(self.actor);
        reported.mailbox.dec();
        reported.messages.inc();
        reported.handling.observe(now.since(self.since).as_secs_f64());
        reported.sign_of_life(now);
    }
}

/// An actor that the Supervisor can watch (and a test can break).
#[cfg(not(test))]
pub trait Watched: Handler<Ping> {}
#[cfg(not(test))]
impl<A: Handler<Ping>> Watched for A {}
/// An actor that the Supervisor can watch and a test can break.
#[cfg(test)]
pub trait Watched: Handler<Ping> + Handler<super::supervision_test::Break> {}
#[cfg(test)]
impl<A: Handler<Ping> + Handler<super::supervision_test::Break>> Watched for A {}

/// The handlers that every actor of a set has alike.
macro_rules! vital_signs {
    ($actor:ty) => {
        impl actix::Handler<$crate::actors::vital::Ping> for $actor {
            type Result = ();

            fn handle(&mut self, _: $crate::actors::vital::Ping, _: &mut Self::Context) {
                self.vital.sign_of_life();
            }
        }

        #[cfg(test)]
        impl actix::Handler<$crate::actors::supervision_test::Break> for $actor {
            type Result = ();

            fn handle(&mut self, how: $crate::actors::supervision_test::Break, ctx: &mut Self::Context) {
                $crate::actors::supervision_test::break_down(how, ctx);
            }
        }
    };
}
pub(super) use vital_signs;
