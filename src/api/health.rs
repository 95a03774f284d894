//! For those who watch the node: alive, and ready.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::ApiState;
use super::problem::{Kind, Problem};

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
