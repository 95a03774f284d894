//! `GET /metrics`, for Prometheus: what this node has counted, and what it looks up for the answer.
//!
//! A scrape fails for nothing that is away: each look has its time and is left out if it takes longer.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use tokio::sync::Semaphore;

use super::ApiState;
use super::problem::{Kind, Problem};
use super::request_id::InLog;
use crate::metrics::{InDatabase, Looked, OnTopic, Process};
use crate::store::{Result as StoreResult, Store};

/// Longest wait for the task database. Prometheus by default waits 10 s for the whole.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest wait for a scrape that is asking it: a look that takes longer is not waited for again and again, so that what the
/// node knows by itself is told at once while the database is away.
const TURN_PATIENCE: Duration = Duration::from_millis(100);

/// Lets one scrape at a time ask the database: while it does not answer, scrapes must not pile up on it.
pub struct Turn(Arc<Semaphore>);

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// `GET /metrics`.
pub async fn metrics(api: web::Data<ApiState>, turn: web::Data<Turn>) -> Result<HttpResponse, Problem> {
    let (database, process) = tokio::join!(in_database(&api, &turn), process());
    let clock = &api.database_clock;
    let (now, wall) = (clock.now(), clock.clock().wall());
    let looked = Looked {
        database,
        clock_offset_s: signed_seconds(now.micros().saturating_sub(wall.micros())),
        queue_depth: api.queue.depth(),
        topic: api.kafka.as_ref().map(|kafka| {
            let lag = kafka.lag(now);
            OnTopic {
                lag: lag.records,
                oldest_s: Duration::from_millis(lag.age_ms).as_secs_f64(),
                retention_s: kafka.retention().map(|retention| retention.as_secs_f64()),
            }
        }),
        process,
    };
    let text = api.metrics.text().and_then(|counted| Ok(counted + &looked.text()?)).map_err(|cause| {
        log::error!("{InLog}the metrics cannot be written: {cause}");
        Problem::new(Kind::Internal, "the metrics cannot be written; the node's log says more")
    })?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

/// `None`: it does not answer, or not in time.
async fn in_database(api: &ApiState, turn: &Turn) -> Option<InDatabase> {
    let (store, turn) = (Arc::clone(&api.store), Arc::clone(&turn.0));
    let asked = async {
        // Held until the database has answered, however long nobody has waited for it any more.
        let held = tokio::time::timeout(TURN_PATIENCE, turn.acquire_owned()).await.ok()?.ok()?;
        let answer = crate::actors::blocking(move || {
            let _held = held;
            ask(store.as_ref())
        });
        answer.await.inspect_err(|cause| log::debug!("no figures of the database to scrape: {cause}")).ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
}

fn ask(store: &dyn Store) -> StoreResult<InDatabase> {
    Ok(InDatabase {
        tasks: store.counts()?,
        dead_letters: store.dead_letters()?,
        epoch: store.epoch()?,
        overdue_s: store.overdue()?.as_secs_f64(),
    })
}

async fn process() -> Option<Process> {
    let looked = crate::actors::blocking(|| Ok(Process::look()));
    tokio::time::timeout(PATIENCE, looked).await.ok()?.ok()?
}

fn signed_seconds(micros: i64) -> f64 {
    let size = Duration::from_micros(micros.unsigned_abs()).as_secs_f64();
    if micros < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_keeps_its_sign() {
        assert!((signed_seconds(-1_500_000) + 1.5).abs() < 1e-9 && (signed_seconds(250_000) - 0.25).abs() < 1e-9);
    }
}
