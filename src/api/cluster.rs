//! `GET /v1/cluster`: who is there, who is master, and who was.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::ApiState;
use super::problem::Problem;
use crate::domain::time::millis_of;
use crate::domain::{Epoch, GenerationId, Timestamp};
use crate::store::{Generation, Standing, Term};

/// Most terms answered, the newest first.
const TERMS_MAX: usize = 100;

#[derive(Serialize)]
struct Cluster<'a> {
    epoch: Option<Epoch>,
    master: Option<GenerationId>,
    nodes: Vec<NodeView<'a>>,
    terms: Vec<TermView<'a>>,
}

#[derive(Serialize)]
struct NodeView<'a> {
    id: GenerationId,
    name: &'a str,
    address: &'a str,
    version: &'a str,
    state: Standing,
    is_master: bool,
    slots: u32,
    free_slots: u32,
    heartbeat_age_ms: u64,
    clock_offset_ms: f64,
}

#[derive(Serialize)]
struct TermView<'a> {
    epoch: Epoch,
    node: &'a str,
    generation: GenerationId,
    elected_at: Timestamp,
    ended_at: Option<Timestamp>,
    end_reason: Option<&'a str>,
}

/// `GET /v1/cluster`.
pub async fn cluster(api: web::Data<ApiState>) -> Result<HttpResponse, Problem> {
    // In this order: a master is known as a generation before its term begins.
    let (terms, generations) = api.ask(|store| Ok((store.terms(TERMS_MAX)?, store.generations()?))).await?;
    let master = master(&generations, &terms);
    Ok(HttpResponse::Ok().json(Cluster {
        epoch: terms.first().map(|newest| newest.epoch),
        master,
        nodes: generations.iter().map(|generation| node(generation, master)).collect(),
        terms: terms.iter().map(term).collect(),
    }))
}

/// The holder of the newest term, as long as it lasts and its holder is not dead.
fn master(generations: &[Generation], terms: &[Term]) -> Option<GenerationId> {
    let holder = terms.first().filter(|term| term.ended_at.is_none())?.generation;
    generations.iter().any(|one| one.id == holder && one.standing != Standing::Dead).then_some(holder)
}

fn node(generation: &Generation, master: Option<GenerationId>) -> NodeView<'_> {
    // Only an alive one takes work.
    let takes = |slots: u32| if generation.standing == Standing::Alive { slots } else { 0 };
    NodeView {
        id: generation.id,
        name: &generation.node,
        address: &generation.address,
        version: &generation.version,
        state: generation.standing,
        is_master: master == Some(generation.id),
        slots: takes(generation.slots),
        free_slots: takes(generation.free_slots),
        heartbeat_age_ms: millis_of(generation.heartbeat_age),
        clock_offset_ms: in_ms(generation.clock_offset_us),
    }
}

fn term(term: &Term) -> TermView<'_> {
    TermView {
        epoch: term.epoch,
        node: &term.node,
        generation: term.generation,
        elected_at: term.elected_at,
        ended_at: term.ended_at,
        end_reason: term.end_reason.as_deref(),
    }
}

/// Beyond half an hour the microseconds do not matter.
fn in_ms(micros: i64) -> f64 {
    match i32::try_from(micros) {
        Ok(micros) => f64::from(micros) / 1_000.0,
        Err(_) => f64::from(i32::try_from(micros / 1_000).unwrap_or(if micros < 0 { i32::MIN } else { i32::MAX })),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::api::fake;

    const A: GenerationId = GenerationId(Uuid::from_u128(1));

    fn term_of(generation: GenerationId, ended_at: Option<Timestamp>) -> Term {
        let at = Timestamp::from_micros(0);
        Term { epoch: Epoch(1), generation, node: "n".to_owned(), elected_at: at, ended_at, end_reason: None }
    }

    #[test]
    fn the_master_is_the_living_holder_of_the_open_term() {
        let alive = fake::generation(A, Standing::Alive);
        let dead = fake::generation(A, Standing::Dead);
        assert_eq!(master(std::slice::from_ref(&alive), &[term_of(A, None)]), Some(A));
        assert_eq!(master(&[alive], &[term_of(A, Some(Timestamp::from_micros(1)))]), None);
        assert_eq!(master(&[dead], &[term_of(A, None)]), None);
        assert_eq!(master(&[], &[]), None);
    }

    #[test]
    fn a_draining_one_has_no_slots() {
        let draining = fake::generation(A, Standing::Draining);
        assert_eq!(node(&draining, None).slots, 0);
    }

    #[test]
    fn offsets_keep_their_sign() {
        assert!((in_ms(-1_500) + 1.5).abs() < 1e-9);
        assert!((in_ms(3_600_000_000) - 3_600_000.0).abs() < 1e-9);
        assert!(in_ms(i64::MIN) < 0.0);
    }
}
