//! A batch that is read and answered line by line: `POST /v1/tasks/batch` with `Content-Type` and `Accept`
//! `application/x-ndjson`.
//!
//! What has come in within a moment is published together, while the rest still comes; each line's answer goes out, in the
//! order sent, when its task is taken: `{"index", "id", "status"}` or `{"index", "problem"}`. If the body breaks off, what
//! came in whole is taken, and the last line is a problem with the index of what is missing. Answers wait for a caller that
//! reads them later, as many as a batch has tasks; reading never waits for them.
//!
//! Nobody holds the room of others for long: each task must be there whole within the time that a body may take, a line may be
//! as long as a task, and what is published or was empty gives its room back.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::batch::{self, CHUNK_TASKS, Results};
use super::body::{BodyReader, Pieces, Room};
use super::known::KnownIds;
use super::problem::{Kind, Problem};
use super::request_id::{self, InLog, RequestId};
use super::{ApiState, submission};
use crate::domain::limits::{BATCH_BYTES_MAX, BATCH_TASKS_MAX, SUBMISSION_BYTES_MAX};
use crate::domain::trace_parent::TraceParent;
use crate::domain::{Invalid, TaskId};

/// The media type, of what is sent and of what is answered.
pub const MEDIA_TYPE: &str = "application/x-ndjson";
/// So long a line waits for others to be published with it.
const GATHER: Duration = Duration::from_millis(5);
/// Most chunks that are being published at once; then reading waits.
const CHUNKS_AT_ONCE: usize = 4;
/// Up to so many bytes are checked on the thread that serves: about a millisecond's work.
const INLINE_BYTES_MAX: usize = 128 * 1024;

/// The request sends lines and reads lines.
fn are_asked_for(request: &HttpRequest) -> bool {
    let names = |name: HeaderName| {
        let values = request.headers().get_all(name).filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(MEDIA_TYPE))
    };
    names(CONTENT_TYPE) && names(ACCEPT)
}

/// `POST /v1/tasks/batch`: line by line for those who ask for it.
pub async fn submit(
    api: web::Data<ApiState>,
    bodies: web::Data<BodyReader>,
    known: web::Data<KnownIds>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    if !are_asked_for(&request) {
        return batch::submit(api, bodies, known, request, payload).await;
    }
    submission::refuse_while_stopping(&api)?;
    answer(Caller { api, known, bodies }, &request, payload)
}

/// Whom the lines go to, and by which ways.
struct Caller {
    /// The API.
    api: web::Data<ApiState>,
    /// What is stored already.
    known: web::Data<KnownIds>,
    /// Room for what comes in.
    bodies: web::Data<BodyReader>,
}

/// Begins to read and to answer.
///
/// # Errors
/// The request is refused before a line of it is read.
fn answer(caller: Caller, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    batch::refuse_key(request)?;
    let pieces = Pieces::new(request, payload, BATCH_BYTES_MAX)?;
    let (answers, mut parts) = mpsc::unbounded_channel();
    let id = request_id::current();
    let room = caller.bodies.room(BATCH_BYTES_MAX);
    let incoming = Incoming { pieces, room, waits: None, bytes: BytesMut::new(), looked_at: 0, count: 0, end: None };
    let upload = Upload {
        caller,
        incoming,
        answers,
        at_once: Arc::new(Semaphore::new(CHUNKS_AT_ONCE)),
        id: id.clone(),
        trace: submission::trace_parent(request),
    };
    actix_web::rt::spawn(request_id::carried(id.clone(), upload.run()));
    let lines = stream::poll_fn(move |context| parts.poll_recv(context));
    let lines = futures_util::StreamExt::then(lines, move |part| request_id::carried(id.clone(), part.lines()));
    Ok(HttpResponse::Ok().content_type(MEDIA_TYPE).streaming(lines))
}

/// A part of the answer, in the order of the lines sent.
enum Part {
    /// Documents that are being published: the first one's place, and how many.
    Published { first: usize, count: usize, end: JoinHandle<Results> },
    /// It broke off: the place of what is missing.
    BrokenOff(usize, Problem),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Accepted { index: usize, id: TaskId, status: u16 },
    Refused { index: usize, problem: Problem },
}

impl Part {
    async fn lines(self) -> Result<Bytes, serde_json::Error> {
        let (first, results) = match self {
            Self::Published { first, count, end } => (
                first,
                end.await.unwrap_or_else(|cause| {
                    log::error!("{InLog}{count} tasks of a batch were not published to their end: {cause}");
                    vec![Err(Problem::new(Kind::Unacknowledged, "it may be stored; repeat it with the same id")); count]
                }),
            ),
            Self::BrokenOff(index, problem) => (index, vec![Err(problem)]),
        };
        let (mut lines, request) = (Vec::new(), request_id::current());
        for (place, result) in results.into_iter().enumerate() {
            let index = first + place;
            let line = match result {
                Ok(accepted) => Line::Accepted { index, id: accepted.id, status: accepted.status().as_u16() },
                Err(problem) => Line::Refused { index, problem: problem.in_request(request.as_ref()) },
            };
            serde_json::to_writer(&mut lines, &line)?;
            lines.push(b'\n');
        }
        Ok(lines.into())
    }
}

struct Upload {
    caller: Caller,
    incoming: Incoming,
    answers: mpsc::UnboundedSender<Part>,
    at_once: Arc<Semaphore>,
    id: Option<RequestId>,
    trace: Option<TraceParent>,
}

impl Upload {
    /// To the end of the body. A caller that goes away breaks it off; what is being published goes on.
    async fn run(mut self) {
        loop {
            if let Err(problem) = submission::refuse_while_stopping(&self.caller.api) {
                return self.break_off(problem);
            }
            let first = self.incoming.count;
            let (documents, room) = self.incoming.chunk(&self.caller.bodies).await;
            if !documents.is_empty() && !self.publish(first, documents, room).await {
                return;
            }
            match self.incoming.end.take() {
                None => {}
                Some(Ok(())) if self.incoming.count > 0 => return,
                Some(Ok(())) => return self.break_off(Invalid::new("", "empty", "one task per line").into()),
                Some(Err(problem)) => return self.break_off(problem),
            }
        }
    }

    fn break_off(&self, problem: Problem) {
        submission::count(&self.caller.api, "invalid", 1);
        log::debug!("{InLog}a batch was broken off after {} lines: {problem}", self.incoming.count);
        let _gone = self.answers.send(Part::BrokenOff(self.incoming.count, problem));
    }

    /// False: nobody reads the answers any more.
    async fn publish(&self, first: usize, documents: Vec<Bytes>, room: Option<OwnedSemaphorePermit>) -> bool {
        let Ok(permit) = Arc::clone(&self.at_once).acquire_owned().await else { return false };
        let api = Arc::clone(&self.caller.api);
        let known = Arc::clone(&self.caller.known);
        let (count, trace) = (documents.len(), self.trace);
        let work = async move {
            let _held = (permit, room);
            let checked = checked(&api, first, documents).await;
            match checked {
                Ok(checked) => {
                    let traced = checked.into_iter().map(|one| one.map(|submission| submission.traced(trace)));
                    batch::publish(api, known, traced.collect()).await
                }
                Err(problem) => vec![Err(problem); count],
            }
        };
        let end = actix_web::rt::spawn(request_id::carried(self.id.clone(), work));
        self.answers.send(Part::Published { first, count, end }).is_ok()
    }
}

async fn checked(
    api: &ApiState,
    first: usize,
    documents: Vec<Bytes>,
) -> Result<Vec<Result<crate::queue::Submission, Problem>>, Problem> {
    let at = api.database_clock.at_latest();
    let topics = api.topics.clone();
    if documents.iter().map(Bytes::len).sum::<usize>() <= INLINE_BYTES_MAX {
        return Ok(batch::check(first, documents, at, topics.as_deref()));
    }
    let checked = crate::actors::blocking(move || Ok(batch::check(first, documents, at, topics.as_deref())));
    Ok(checked.await?)
}

/// The lines of a body, as they come in.
struct Incoming {
    pieces: Pieces,
    room: Room,
    /// What came in and has no room yet.
    waits: Option<Bytes>,
    /// What came in and is no whole line yet.
    bytes: BytesMut,
    /// So many of them hold no end of a line.
    looked_at: usize,
    /// Documents so far.
    count: usize,
    /// It has ended, well or not.
    end: Option<Result<(), Problem>>,
}

impl Incoming {
    /// The documents of the next moment, with the room that they take: some, unless it has ended.
    async fn chunk(&mut self, bodies: &BodyReader) -> (Vec<Bytes>, Option<OwnedSemaphorePermit>) {
        let (mut documents, mut bytes) = (Vec::new(), 0);
        let (late, gathered, mut any) = (sleep(bodies.timeout()), sleep(GATHER), false);
        tokio::pin!(late, gathered);
        while self.end.is_none() {
            bytes += self.take_lines(&mut documents);
            if documents.is_empty() {
                // Lines with nothing in them.
                drop(self.room.split(std::mem::take(&mut bytes)));
            } else if !any {
                any = true;
                // Counted from the first document on. Only by one does a caller get more time, whatever else comes in.
                gathered.set(sleep(GATHER));
                late.set(sleep(bodies.timeout()));
            }
            if documents.len() >= CHUNK_TASKS || self.end.is_some() {
                break;
            }
            let more = tokio::select! {
                biased;
                more = self.take_in() => more,
                // What waits for room must not keep that of what could be published.
                () = &mut gathered, if any => break,
                () = &mut late => Err(bodies.late(&self.room)),
            };
            match more {
                Ok(true) => {}
                Ok(false) => {
                    self.end = Some(Ok(()));
                    let rest = self.bytes.split().freeze();
                    self.take_line(&rest, &mut documents);
                    bytes += rest.len();
                }
                Err(problem) => self.end = Some(Err(problem)),
            }
        }
        (documents, self.room.split(bytes))
    }

    /// Takes in what comes next; false at the end. A call that is given up loses nothing.
    async fn take_in(&mut self) -> Result<bool, Problem> {
        if self.waits.is_none() {
            self.waits = self.pieces.next().await?;
        }
        let Some(piece) = &self.waits else { return Ok(false) };
        self.room.take(piece.len()).await?;
        self.bytes.extend_from_slice(piece);
        self.waits = None;
        Ok(true)
    }

    /// Takes whole lines, as many as go into a chunk; their bytes.
    fn take_lines(&mut self, documents: &mut Vec<Bytes>) -> usize {
        let mut taken = 0;
        while documents.len() < CHUNK_TASKS && self.end.is_none() {
            let unseen = self.bytes.get(self.looked_at..).unwrap_or_default();
            let place = unseen.iter().position(|byte| *byte == b'\n');
            let length = self.looked_at + place.unwrap_or(unseen.len());
            if is_too_long(self.bytes.get(..length).unwrap_or_default()) {
                self.end = Some(Err(too_long(self.count)));
                break;
            }
            if place.is_none() {
                self.looked_at = length;
                break;
            }
            let line = self.bytes.split_to(length).freeze();
            self.bytes.advance(1);
            self.looked_at = 0;
            taken += line.len() + 1;
            self.take_line(&line, documents);
        }
        taken
    }

    fn take_line(&mut self, line: &Bytes, documents: &mut Vec<Bytes>) {
        let document = line.trim_ascii();
        if document.is_empty() {
            return;
        }
        if self.count == BATCH_TASKS_MAX {
            self.end = Some(Err(batch::too_many(&format!("more than {BATCH_TASKS_MAX} tasks"))));
            return;
        }
        self.count += 1;
        documents.push(line.slice_ref(document));
    }
}

/// Also where it has no end yet: it would be no task.
fn is_too_long(line: &[u8]) -> bool {
    line.strip_suffix(b"\r").unwrap_or(line).len() > SUBMISSION_BYTES_MAX
}

fn too_long(index: usize) -> Problem {
    let allowed = format!("at most {SUBMISSION_BYTES_MAX} bytes");
    Problem::too_large(Invalid::new(format!("/{index}"), "a line that is longer", allowed))
}
