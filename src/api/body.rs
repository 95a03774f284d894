//! Reading a request's body: at most so many bytes, in at most so much time, and all of them together within a bound.
//!
//! Room is taken as the bytes come in, not as they are announced: a caller that sends nothing takes none. Batches have
//! a room of their own, so that they never keep single submissions out.

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
use crate::domain::limits::SUBMISSION_BYTES_MAX;

/// Most bytes of batches in memory at once, over all requests: 8 of the largest.
const BATCHES_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Most bytes of other bodies.
const SINGLES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Of an announced body, so much is made ready before a byte of it has come.
const READY_BYTES: usize = 64 * 1024;

/// Room for bodies: a request waits until there is some.
#[derive(Debug, Clone)]
pub struct BodyReader {
    batches: Arc<Semaphore>,
    singles: Arc<Semaphore>,
    timeout: Duration,
}

/// A body; its room is taken as long as it lives.
#[derive(Debug)]
pub struct Body {
    /// What came in.
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl BodyReader {
    /// A body must come in within `timeout`.
    pub fn new(timeout: Duration) -> Self {
        let (batches, singles) = (Semaphore::new(BATCHES_BYTES_MAX), Semaphore::new(SINGLES_BYTES_MAX));
        Self { batches: Arc::new(batches), singles: Arc::new(singles), timeout }
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
        let room = if limit > SUBMISSION_BYTES_MAX { &self.batches } else { &self.singles };
        let mut body = Incoming { bytes: BytesMut::with_capacity(announced.unwrap_or(0).min(READY_BYTES)), room: None };
        match tokio::time::timeout(self.timeout, body.collect(payload, room, limit)).await {
            Ok(Ok(())) => Ok(Body { bytes: body.bytes.freeze(), _room: body.room }),
            Ok(Err(problem)) => Err(problem),
            Err(_) if room.available_permits() == 0 => Err(busy()),
            Err(_) => {
                let ms = self.timeout.as_millis();
                Err(Problem::new(Kind::Timeout, format!("the body did not come in within {ms} ms; send it faster")))
            }
        }
    }
}

/// What has come in of a body so far, with its room.
struct Incoming {
    bytes: BytesMut,
    room: Option<OwnedSemaphorePermit>,
}

impl Incoming {
    async fn collect(&mut self, mut payload: Payload, room: &Arc<Semaphore>, limit: usize) -> Result<(), Problem> {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|cause| unreadable(&cause))?;
            if self.bytes.len().saturating_add(chunk.len()) > limit {
                return Err(too_large(&format!("more than {limit} bytes"), limit));
            }
            let permits = u32::try_from(chunk.len()).map_err(|_| busy())?;
            let more = Arc::clone(room).acquire_many_owned(permits).await.map_err(|_| busy())?;
            match &mut self.room {
                Some(taken) => taken.merge(more),
                none => *none = Some(more),
            }
            self.bytes.extend_from_slice(&chunk);
        }
        Ok(())
    }
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
