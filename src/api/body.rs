//! Reading a request's body: at most so many bytes, in at most so much time, and all of them together within a bound.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Kind, Problem};
use crate::domain::Invalid;

/// Most bytes of bodies in memory at once, over all requests: 8 of the largest batches.
const BYTES_AT_ONCE_MAX: usize = 128 * 1024 * 1024;

/// Room for bodies: a request waits until there is some.
#[derive(Debug, Clone)]
pub struct BodyReader {
    room: Arc<Semaphore>,
    timeout: Duration,
}

/// A body; its room is taken as long as it lives.
#[derive(Debug)]
pub struct Body {
    /// What came in.
    pub bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl BodyReader {
    /// A body must come in within `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self { room: Arc::new(Semaphore::new(BYTES_AT_ONCE_MAX)), timeout }
    }

    /// Reads a body of at most `limit` bytes.
    ///
    /// # Errors
    /// Too large, too slow, cut off, or compressed.
    pub async fn read(&self, request: &HttpRequest, payload: Payload, limit: usize) -> Result<Body, Problem> {
        refuse_encoded(request)?;
        let announced = announced(request);
        if announced.is_some_and(|bytes| bytes > limit) {
            return Err(too_large(&format!("{} bytes", announced.unwrap_or(limit)), limit));
        }
        let size = announced.unwrap_or(limit);
        let deadline = self.timeout;
        let room = tokio::time::timeout(deadline, self.take_room(size)).await.map_err(|_| busy())??;
        let bytes = tokio::time::timeout(deadline, collect(payload, announced.unwrap_or(0), limit)).await;
        let bytes = bytes.map_err(|_| {
            let ms = deadline.as_millis();
            Problem::new(Kind::Timeout, format!("the body did not come in within {ms} ms; send it faster"))
        })??;
        Ok(Body { bytes, _room: room })
    }

    async fn take_room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let permits = u32::try_from(bytes).map_err(|_| busy())?;
        Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| busy())
    }
}

async fn collect(mut payload: Payload, announced: usize, limit: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::with_capacity(announced);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|cause| unreadable(&cause))?;
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(too_large(&format!("more than {limit} bytes"), limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn refuse_encoded(request: &HttpRequest) -> Result<(), Problem> {
    match request.headers().get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(Problem::header(
            Kind::UnsupportedMediaType,
            "Content-Encoding",
            String::from_utf8_lossy(encoding.as_bytes()),
            "none: the body as it is",
        )),
        _ => Ok(()),
    }
}

fn too_large(value: &str, limit: usize) -> Problem {
    Problem::too_large(Invalid::new("", value, format!("at most {limit} bytes")))
}

fn busy() -> Problem {
    Problem::new(Kind::Unavailable, "too many large requests at once; try again")
}

fn unreadable(cause: &PayloadError) -> Problem {
    let detail = match cause {
        PayloadError::Incomplete(_) => "the body ended before all of it had come in; send it again".to_owned(),
        other => format!("the body cannot be read ({other}); send it again"),
    };
    Problem::new(Kind::BadRequest, detail)
}
