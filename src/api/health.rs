//! For those who watch the node: alive, ready, and its figures.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::ApiState;
use super::problem::{Kind, Problem};
use super::request_id::InLog;
use crate::metrics::Metrics;

/// `GET /healthz`: the process serves.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// `GET /readyz`: it takes submissions and its actors are alive.
pub async fn readyz(api: web::Data<ApiState>) -> Result<HttpResponse, Problem> {
    api.status.ready().map_err(|reason| Problem::new(Kind::NotReady, reason))?;
    if let Some(kafka) = &api.kafka {
        kafka.ready().map_err(|reason| Problem::new(Kind::NotReady, reason))?;
    }
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}

/// `GET /metrics`, for Prometheus.
pub async fn metrics(metrics: web::Data<Metrics>) -> Result<HttpResponse, Problem> {
    let text = metrics.text().map_err(|cause| {
        log::error!("{InLog}the metrics cannot be written: {cause}");
        Problem::new(Kind::Internal, "the metrics cannot be written; the node's log says more")
    })?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}
