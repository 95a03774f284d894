//! An answer of one JSON document per line, read as the lines come.

use std::io::{BufRead as _, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::Value;
use ureq::Body;
use ureq::http::Response;

use super::exit::{AWAY, Failure};

/// Longest silence: a node tells of each batch, and no batch takes as long.
const SILENCE_MAX: Duration = Duration::from_mins(2);
/// Lines read ahead of who takes them.
const AHEAD: usize = 64;

/// The lines of an answer under way.
#[derive(Debug)]
pub struct LineStream {
    lines: Receiver<std::io::Result<String>>,
}

impl LineStream {
    /// Reads the lines on a thread of its own, since a connection's reads cannot be given up after a silence. The thread
    /// ends with the answer, or when nobody takes its lines any more.
    pub fn of(response: Response<Body>) -> Self {
        let (tell, lines) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            let reader = BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader());
            for line in reader.lines() {
                let broken = line.is_err();
                if tell.send(line).is_err() || broken {
                    break;
                }
            }
        });
        Self { lines }
    }

    /// The next line, as it is and as JSON; `None` at the end of the answer.
    ///
    /// # Errors
    /// The connection broke, nothing came for too long, or the line is no JSON.
    pub fn next(&self) -> Result<Option<(String, Value)>, Failure> {
        let away = |what: String| Failure::new(AWAY, what);
        loop {
            let line = match self.lines.recv_timeout(SILENCE_MAX) {
                Ok(line) => line.map_err(|cause| away(format!("the connection broke: {cause}")))?,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(away(format!("the server has said nothing for {} s", SILENCE_MAX.as_secs())));
                }
            };
            if !line.trim().is_empty() {
                let value = serde_json::from_str(&line);
                let value = value.map_err(|cause| away(format!("the answer is not a node's: {cause}")))?;
                return Ok(Some((line, value)));
            }
        }
    }
}
