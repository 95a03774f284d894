//! `GET /v1/stats`: how many tasks stand where, how fast they come and go, how late they are, on all nodes together.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ApiState;
use super::problem::Problem;
use crate::domain::State;
use crate::domain::all_nodes::{self, Queue};
use crate::domain::figures::{Figures, Snapshot};
use crate::store::Reported;

/// Per second, over the last `over_ms`, and over five seconds at least.
#[derive(Debug, PartialEq, Serialize)]
struct Rates {
    over_ms: u64,
    stored_per_s: f64,
    started_per_s: f64,
    ended_per_s: f64,
}

/// `GET /v1/stats`.
pub async fn stats(api: web::Data<ApiState>) -> Result<HttpResponse, Problem> {
    let question = api.ask(|store| Ok((store.counts()?, store.dead_letters()?, store.reports()?, store.pauses()?)));
    let (counts, dead_letters, reports, pauses) = question.await?;
    let mut recent = Figures::default();
    for one in &reports {
        recent.add(&one.snapshot.recent);
    }
    let lateness = |q| recent.lateness.quantile(q).map(|seconds| seconds * 1_000.0);
    Ok(HttpResponse::Ok().json(json!({
        "tasks": by_state(&counts),
        "rates": rates(&reports),
        "lateness_ms": { "p50": lateness(0.5), "p99": lateness(0.99) },
        "queue": Queue::of(snapshots(&reports)),
        "dead_letters": dead_letters,
        "pauses": pauses.all.iter().filter(|pause| pause.is_in_force()).count(),
    })))
}

/// Every state, those without tasks too.
fn by_state(counts: &[(State, u64)]) -> Map<String, Value> {
    let count = |state| counts.iter().filter(|(of, _)| *of == state).map(|(_, count)| count).sum::<u64>();
    State::ALL.into_iter().map(|state| (state.word().to_owned(), count(state).into())).collect()
}

/// The nodes' rates, added up.
fn rates(reports: &[Reported]) -> Rates {
    let per_second = |of: fn(&Figures) -> u64| all_nodes::per_second(snapshots(reports), of);
    Rates {
        over_ms: snapshots(reports).map(|one| one.over_ms).max().unwrap_or(0),
        stored_per_s: per_second(Figures::stored),
        started_per_s: per_second(|figures| figures.starts),
        ended_per_s: per_second(|figures| figures.outcomes.values().sum()),
    }
}

fn snapshots(reports: &[Reported]) -> impl Iterator<Item = &Snapshot> {
    reports.iter().map(|one| &one.snapshot)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::GenerationId;
    use crate::domain::figures::Minute;

    fn reported(over_ms: u64, starts: u64, lag: i64) -> Reported {
        let recent = Figures { starts, outcomes: [("succeeded".to_owned(), 6)].into(), ..Figures::default() };
        let snapshot = Snapshot { over_ms, recent, queue_lag: lag, queue_depth: 1, ..Snapshot::default() };
        let current = Minute { begun_us: 0, figures: Figures::default() };
        Reported { generation: GenerationId(Uuid::nil()), age: Duration::ZERO, snapshot, current }
    }

    #[test]
    fn rates_of_nodes_are_added_up() {
        let all = [reported(60_000, 120, 3), reported(10_000, 10, 4)];
        let rates = rates(&all);
        assert_eq!(rates.over_ms, 60_000);
        for (rate, is) in [(rates.started_per_s, 3.0), (rates.stored_per_s, 0.0), (rates.ended_per_s, 0.7)] {
            assert!((rate - is).abs() < 1e-9, "{rate} is {is}");
        }
        assert_eq!(Queue::of(snapshots(&all)), Queue { depth: 2, lag: 7, ..Queue::default() });
    }
}
