//! Reading a request's body: at most so many bytes, in at most so much time, and all of them together within a bound.
//!
//! Room is taken as the bytes come in, not as they are announced: a caller that sends nothing takes none. Batches have
//! a room of their own, so that they never keep single submissions out. Of a body in gzip both count, what comes in and
//! what comes out of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::gzip::Unpacker;
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
    _room: Room,
}

/// Room that is taken, and where more of it is.
#[derive(Debug)]
pub struct Room {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Takes so many bytes more, as soon as they are free.
    pub async fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        let permits = u32::try_from(bytes).map_err(|_| busy())?;
        let more = Arc::clone(&self.all).acquire_many_owned(permits).await.map_err(|_| busy())?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// So many bytes of it, or all, to be kept elsewhere.
    pub fn split(&mut self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let taken = self.taken.as_mut()?;
        taken.split(bytes.min(taken.num_permits()))
    }

    fn is_full(&self) -> bool {
        self.all.available_permits() == 0
    }
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
    /// Too large, too slow, cut off, or in another encoding than gzip.
    pub async fn read(&self, request: &HttpRequest, payload: Payload, limit: usize) -> Result<Body, Problem> {
        let mut pieces = Pieces::new(request, payload, limit)?;
        let mut room = self.room(limit);
        let mut bytes = BytesMut::with_capacity(announced(request).unwrap_or(0).min(READY_BYTES));
        match tokio::time::timeout(self.timeout, collect(&mut pieces, &mut room, &mut bytes)).await {
            Ok(Ok(())) => Ok(Body { bytes: bytes.freeze(), _room: room }),
            Ok(Err(problem)) => Err(problem),
            Err(_) => Err(self.late(&room)),
        }
    }

    /// Where bodies of at most `limit` bytes take their room; nothing is taken yet.
    pub fn room(&self, limit: usize) -> Room {
        let all = if limit > SUBMISSION_BYTES_MAX { &self.batches } else { &self.singles };
        Room { all: Arc::clone(all), taken: None }
    }

    /// How long a caller may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// It took longer.
    pub fn late(&self, room: &Room) -> Problem {
        if room.is_full() {
            return busy();
        }
        let ms = self.timeout.as_millis();
        Problem::new(Kind::Timeout, format!("the body did not come in within {ms} ms; send it faster"))
    }
}

async fn collect(pieces: &mut Pieces, room: &mut Room, bytes: &mut BytesMut) -> Result<(), Problem> {
    while let Some(piece) = pieces.next().await? {
        room.take(piece.len()).await?;
        bytes.extend_from_slice(&piece);
    }
    Ok(())
}

/// A body as it comes in, unpacked, within its limit.
pub struct Pieces {
    payload: Payload,
    unpacker: Option<Unpacker>,
    limit: usize,
    came: usize,
    given: usize,
}

impl Pieces {
    /// # Errors
    /// It announces more than `limit` bytes, or another encoding than gzip.
    pub fn new(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Self, Problem> {
        let unpacker = is_packed(request)?.then(Unpacker::new);
        if let Some(bytes) = announced(request).filter(|bytes| *bytes > limit) {
            return Err(too_large(&format!("{bytes} bytes"), limit));
        }
        Ok(Self { payload, unpacker, limit, came: 0, given: 0 })
    }

    /// The next piece; `None` at the end. A call that is given up loses nothing.
    ///
    /// # Errors
    /// Too large, cut off, or broken gzip.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(unpacker) = &mut self.unpacker
                && let Some(piece) = unpacker.next().map_err(|cause| no_gzip(&cause))?
            {
                return self.within_limit(piece).map(Some);
            }
            let came = self.payload.next().await.transpose().map_err(|cause| unreadable(&cause))?;
            match (came, &mut self.unpacker) {
                (Some(chunk), unpacker) => {
                    self.came = self.came.saturating_add(chunk.len());
                    if self.came > self.limit {
                        return Err(self.too_large());
                    }
                    match unpacker {
                        Some(unpacker) => unpacker.feed(chunk),
                        None => return Ok(Some(chunk)),
                    }
                }
                (None, None) => return Ok(None),
                (None, Some(unpacker)) => {
                    let last = unpacker.finish().map_err(|cause| no_gzip(&cause))?;
                    self.unpacker = None;
                    return last.map(|piece| self.within_limit(piece)).transpose();
                }
            }
        }
    }

    fn within_limit(&mut self, piece: Bytes) -> Result<Bytes, Problem> {
        self.given = self.given.saturating_add(piece.len());
        if self.given > self.limit { Err(self.too_large()) } else { Ok(piece) }
    }

    fn too_large(&self) -> Problem {
        too_large(&format!("more than {} bytes", self.limit), self.limit)
    }
}

fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// In gzip, or as it is.
fn is_packed(request: &HttpRequest) -> Result<bool, Problem> {
    let mut given = request.headers().get_all(CONTENT_ENCODING);
    let Some(encoding) = given.next() else { return Ok(false) };
    let refused = |value: &[u8]| {
        let value = String::from_utf8_lossy(value);
        Problem::header(Kind::UnsupportedMediaType, "Content-Encoding", value, "gzip, or none: the body as it is")
    };
    if given.next().is_some() {
        return Err(refused(b"given twice"));
    }
    match encoding.as_bytes().to_ascii_lowercase().as_slice() {
        b"gzip" | b"x-gzip" => Ok(true),
        b"identity" => Ok(false),
        _ => Err(refused(encoding.as_bytes())),
    }
}

fn too_large(value: &str, limit: usize) -> Problem {
    Problem::too_large(Invalid::new("", value, format!("at most {limit} bytes")))
}

fn busy() -> Problem {
    Problem::new(Kind::Unavailable, "too many large requests at once; try again")
}

fn no_gzip(cause: &io::Error) -> Problem {
    Problem::new(Kind::BadRequest, format!("the body is no gzip as its Content-Encoding says ({cause}); send it again"))
}

fn unreadable(cause: &PayloadError) -> Problem {
    let detail = match cause {
        PayloadError::Incomplete(_) => "the body ended before all of it had come in; send it again".to_owned(),
        other => format!("the body cannot be read ({other}); send it again"),
    };
    Problem::new(Kind::BadRequest, detail)
}
