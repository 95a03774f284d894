//! One life of the actors: built, watched and replaced as a whole.

use std::sync::Arc;

use actix::{Message, Recipient};

use super::calls::Calls;
use crate::domain::GenerationId;
use crate::metrics::ActorName;

/// An actor of a set has ended, by a panic or by itself.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Died {
    /// Which.
    pub actor: ActorName,
    /// Of which set: the end of an older one is no news.
    pub generation: GenerationId,
}

/// One life of the actor set.
#[derive(Clone)]
pub struct Set {
    /// Its id.
    pub generation: GenerationId,
    /// Its calls.
    pub calls: Arc<Calls>,
    /// Who hears of the end of an actor.
    pub supervisor: Recipient<Died>,
}
