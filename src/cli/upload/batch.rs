//! Some lines at once, and their answers one by one.

use std::time::Duration;

use serde_json::Value;

use super::line_ids::LineIds;
use super::lines::Lines;
use crate::cli::answer::problem_within;
use crate::cli::client::{Client, Path};
use crate::cli::exit::{AWAY, Failure};
use crate::cli::patience::Patience;
use crate::domain::limits::{BATCH_BYTES_MAX, SUBMISSION_BYTES_MAX};

/// Most documents of a batch: what the server commits at once.
const TASKS_MAX: usize = 1_000;
/// No further line is read into a batch from here on, so that the last one still fits.
const BYTES_FULL: usize = BATCH_BYTES_MAX / 4;
/// How often a batch is sent before the upload gives up.
const TRIES: usize = 6;
/// The wait before the second try; it doubles up to the longest: some 8 s in all.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// What came of a line: the item's answer, or its problem.
pub type Sent = Result<Value, Value>;

/// Lines that are sent together.
#[derive(Debug, Default)]
pub struct Batch {
    /// Each with its line's number.
    documents: Vec<(u64, Vec<u8>)>,
    /// Lines that cannot be sent, and why.
    pub unfit: Vec<(u64, String)>,
    /// The last line that was read; `None` if there was none any more.
    pub last: Option<u64>,
}

impl Batch {
    /// The next lines.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(lines: &mut Lines, ids: &mut LineIds) -> Result<Self, Failure> {
        let (mut batch, mut bytes) = (Self::default(), 0);
        while batch.documents.len() + batch.unfit.len() < TASKS_MAX && bytes < BYTES_FULL {
            let Some(line) = lines.next()? else { break };
            batch.last = Some(line.number);
            let too_long = || format!("longer than a task may be; allowed: at most {SUBMISSION_BYTES_MAX} bytes");
            match line.text.ok_or_else(too_long).and_then(|text| ids.named(text)) {
                Ok(document) => {
                    bytes += document.len();
                    batch.documents.push((line.number, document));
                }
                Err(why) => batch.unfit.push((line.number, why)),
            }
        }
        Ok(batch)
    }

    /// Sends them until each is answered; `tell` gets the answers.
    ///
    /// # Errors
    /// The server refused all of it, or some of it was not answered after all tries.
    pub fn send(self, client: &Client, mut tell: impl FnMut(u64, &Sent)) -> Result<(), Failure> {
        let (mut left, mut patience) = (self.documents, Patience::new(FIRST_WAIT, LONGEST_WAIT));
        for last_try in (0..TRIES).map(|n| n + 1 == TRIES) {
            if left.is_empty() {
                return Ok(());
            }
            let failure = match send_once(client, &left) {
                Ok(answers) => match sort(&mut left, answers, &mut tell) {
                    None => return Ok(()),
                    Some(failure) => failure,
                },
                Err(failure) if failure.code == AWAY => failure,
                Err(failure) => return Err(failure),
            };
            if last_try {
                return Err(failure);
            }
            patience.wait();
        }
        Ok(())
    }
}

fn send_once(client: &Client, documents: &[(u64, Vec<u8>)]) -> Result<Vec<Sent>, Failure> {
    let body = documents.iter().map(|(_, document)| document.as_slice()).collect::<Vec<_>>().join(b"\n".as_slice());
    let answer = client.post_lines(Path::of(&["v1", "tasks", "batch"]), body)?.json()?;
    let results = answer.get("results").and_then(Value::as_array).filter(|results| results.len() == documents.len());
    let results = results.ok_or_else(|| Failure::new(AWAY, "the answer is not a node's: not one result per task"))?;
    Ok(results
        .iter()
        .map(|result| match result.get("problem") {
            Some(problem) => Err(problem.clone()),
            None => Ok(result.clone()),
        })
        .collect())
}

/// Keeps of the documents those that may be sent again, and says why the last of them was not taken.
fn sort(left: &mut Vec<(u64, Vec<u8>)>, answers: Vec<Sent>, tell: &mut impl FnMut(u64, &Sent)) -> Option<Failure> {
    let mut failure = None;
    let sent = std::mem::take(left);
    for ((line, document), answer) in sent.into_iter().zip(answers) {
        let passing = answer.as_ref().err().map(problem_within).filter(|problem| problem.code == AWAY);
        match passing {
            Some(problem) => {
                failure = Some(problem);
                left.push((line, document));
            }
            None => tell(line, &answer),
        }
    }
    failure
}
