//! `GET /v1/stats`: how many tasks stand where, how fast they come and go, how late they are, on all nodes together.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ApiState;
use super::problem::Problem;
use crate::domain::State;
use crate::domain::figures::Figures;
use crate::store::Reported;

/// Per second, over the last `over_ms`.
#[derive(Debug, PartialEq, Serialize)]
struct Rates {
    over_ms: u64,
    stored_per_s: f64,
    started_per_s: f64,
    ended_per_s: f64,
}

/// What waits between the callers and the task database.
#[derive(Debug, PartialEq, Serialize)]
struct Queue {
    /// Submissions in the nodes' memory.
    depth: i64,
    /// Records of the submission topic that are not stored.
    lag: i64,
    /// How long ago the oldest record that was read and is not stored was written.
    oldest_ms: u64,
    /// How long the topic keeps records; null: for ever.
    retention_ms: Option<u64>,
    /// Partitions of the topic that are not read until an operator says from where.
    stopped: u64,
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
        "queue": queue(&reports),
        "dead_letters": dead_letters,
        "pauses": pauses.all.iter().filter(|pause| pause.is_in_force()).count(),
    })))
}

/// Every state, those without tasks too.
fn by_state(counts: &[(State, u64)]) -> Map<String, Value> {
    let count = |state| counts.iter().filter(|(of, _)| *of == state).map(|(_, count)| count).sum::<u64>();
    State::ALL.into_iter().map(|state| (state.word().to_owned(), count(state).into())).collect()
}

/// The nodes' rates, added up: each counts over its own time.
fn rates(reports: &[Reported]) -> Rates {
    let per_second = |of: fn(&Figures) -> u64| {
        let of_node = |one: &Reported| {
            let (count, over_ms) = (of(&one.snapshot.recent), one.snapshot.over_ms.max(1));
            f64::from(u32::try_from(count).unwrap_or(u32::MAX)) * 1_000.0
                / f64::from(u32::try_from(over_ms).unwrap_or(u32::MAX))
        };
        reports.iter().map(of_node).sum()
    };
    Rates {
        over_ms: reports.iter().map(|one| one.snapshot.over_ms).max().unwrap_or(0),
        stored_per_s: per_second(|figures| figures.submissions.get("stored").copied().unwrap_or(0)),
        started_per_s: per_second(|figures| figures.starts),
        ended_per_s: per_second(|figures| figures.outcomes.values().sum()),
    }
}

fn queue(reports: &[Reported]) -> Queue {
    let snapshots = || reports.iter().map(|one| &one.snapshot);
    Queue {
        depth: snapshots().map(|one| one.queue_depth).sum(),
        lag: snapshots().map(|one| one.queue_lag).sum(),
        oldest_ms: snapshots().map(|one| one.queue_age_ms).max().unwrap_or(0),
        retention_ms: snapshots().filter_map(|one| one.queue_retention_ms).min(),
        stopped: snapshots().map(|one| one.queue_stopped).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::GenerationId;
    use crate::domain::figures::{Minute, Snapshot};

    fn reported(over_ms: u64, starts: u64, lag: i64) -> Reported {
        let recent = Figures { starts, outcomes: [("succeeded".to_owned(), 6)].into(), ..Figures::default() };
        let snapshot = Snapshot { over_ms, recent, queue_lag: lag, queue_depth: 1, ..Snapshot::default() };
        let current = Minute { begun_us: 0, figures: Figures::default() };
        Reported { generation: GenerationId(Uuid::nil()), age: Duration::ZERO, snapshot, current }
    }

    #[test]
    fn rates_of_nodes_are_added_up() {
        let all = [reported(60_000, 120, 3), reported(2_000, 10, 4)];
        let rates = rates(&all);
        assert_eq!(rates.over_ms, 60_000);
        for (rate, is) in [(rates.started_per_s, 7.0), (rates.stored_per_s, 0.0), (rates.ended_per_s, 3.1)] {
            assert!((rate - is).abs() < 1e-9, "{rate} is {is}");
        }
        assert_eq!(queue(&all), Queue { depth: 2, lag: 7, oldest_ms: 0, retention_ms: None, stopped: 0 });
        assert!(super::rates(&[reported(0, 0, 0)]).started_per_s.abs() < 1e-9, "and divides by no zero");
    }
}
