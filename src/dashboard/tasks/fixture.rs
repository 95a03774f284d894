//! What the tests of the pages of tasks begin with.

use actix_web::HttpResponse;
use actix_web::body::to_bytes;
use tempfile::TempDir;
use uuid::Uuid;

use crate::api::{ApiState, fake};
use crate::domain::TaskId;
use crate::domain::document::{Document, Received};
use crate::queue::Published;

/// An API on an empty database. The folder goes with what is returned.
pub fn api() -> (ApiState, TempDir) {
    fake::api(Ok(Published::Queued))
}

/// Stores a task that is due in an hour, with these fields besides.
pub fn stored(api: &ApiState, fields: &str) -> TaskId {
    let id = Uuid::now_v7();
    let target = if fields.contains("\"target\"") { "" } else { r#""target": {"type": "log"}, "# };
    let json = format!(r#"{{"id": "{id}", "delay_ms": 3600000, {target}{fields}}}"#);
    let received = Received { idempotency_key: None, record_key: None, at: api.store.now().unwrap() };
    let task = Document::parse(json.as_bytes()).unwrap().check(received).unwrap();
    api.store.ingest(&[task]).unwrap();
    TaskId(id)
}

/// The text of an answer.
pub async fn text(answer: HttpResponse) -> String {
    String::from_utf8(to_bytes(answer.into_body()).await.unwrap().to_vec()).unwrap()
}
