//! `GET /v1/stats`: how many tasks stand where, how fast they come and go, how late they are.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::ApiState;
use super::problem::Problem;
use super::rates::{Counters, Rates};
use crate::domain::State;
use crate::metrics::{Metrics, quantile};

/// `GET /v1/stats`.
pub async fn stats(api: web::Data<ApiState>, rates: web::Data<Rates>) -> Result<HttpResponse, Problem> {
    let (counts, dead_letters) = api.ask(|store| Ok((store.counts()?, store.dead_letters()?))).await?;
    let lateness = |q| quantile(&api.metrics.lateness, q).map(|seconds| seconds * 1_000.0);
    Ok(HttpResponse::Ok().json(json!({
        "tasks": by_state(&counts),
        "rates": rates.look(counters(&api.metrics)),
        "lateness_ms": { "p50": lateness(0.5), "p99": lateness(0.99) },
        "queue": { "depth": api.queue.depth() },
        "dead_letters": dead_letters,
    })))
}

/// Every state, those without tasks too.
fn by_state(counts: &[(State, u64)]) -> Map<String, Value> {
    let count = |state| counts.iter().filter(|(of, _)| *of == state).map(|(_, count)| count).sum::<u64>();
    State::ALL.into_iter().map(|state| (state.word().to_owned(), count(state).into())).collect()
}

fn counters(metrics: &Metrics) -> Counters {
    let outcome = |kind: &str| metrics.outcomes.with_label_values(&[kind]).get();
    Counters {
        at: metrics.clock().mono(),
        stored: metrics.submissions.with_label_values(&["stored"]).get(),
        started: metrics.starts.get(),
        ended: ["succeeded", "failed", "not_sent", "ambiguous"].into_iter().map(outcome).sum(),
    }
}
