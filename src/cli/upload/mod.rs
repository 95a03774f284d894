//! `submit --lines`: many tasks from a file or stdin, one document per line, over `POST /v1/tasks/batch`.
//!
//! Batch after batch, each answered before the next is sent. What a batch lost (a broken connection, a node that has no room
//! now) is sent again a few times: every document has its id by then, so that nothing is made twice.

mod batch;
mod line_ids;
mod lines;

use serde_json::json;

use super::answer::{field, problem_within};
use super::client::Client;
use super::exit::{AWAY, Failure, REFUSED, one_line};
use super::output::{print, say};
use super::progress::Progress;
use batch::{Batch, Sent};
use line_ids::LineIds;
use lines::Lines;

/// The server answers for a task that is there as for a new one, so this cannot wait until it happens.
const NO_NEW_TASKS: &str = "lines with delay_ms and without an id: the same lines again make no new tasks; to have new ones, \
    name each upload, like --upload tuesday";

/// An upload.
#[derive(Debug)]
pub struct Upload<'a> {
    /// Where to.
    pub client: &'a Client,
    /// From where; `-` for stdin.
    pub file: &'a str,
    /// What tells it from another upload of the same lines.
    pub name: &'a str,
    /// Without progress.
    pub quiet: bool,
}

/// What came of the lines so far.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    /// All lines up to this one are answered.
    line: u64,
}

impl Tally {
    fn words(&self) -> String {
        match self.refused {
            0 => format!("{} tasks accepted", self.accepted),
            refused => format!("{} tasks accepted, {refused} lines refused", self.accepted),
        }
    }
}

impl Upload<'_> {
    /// Sends all lines.
    ///
    /// # Errors
    /// Lines were refused, the server was away for too long, or the file cannot be read.
    pub fn run(&self) -> Result<(), Failure> {
        let mut lines = Lines::open(self.file)?;
        let mut progress = Progress::begin(lines.bytes, self.quiet);
        // A refusal that is tried again is not told.
        let in_words = self.client.in_words();
        let (mut ids, mut tally) = (LineIds::new(self.name), Tally::default());
        loop {
            let batch = Batch::read(&mut lines, &mut ids)?;
            let Some(last) = batch.last else { break };
            for (line, why) in &batch.unfit {
                tally.refused += 1;
                let problem = json!({ "title": "The line is no task", "status": 400, "detail": why });
                self.tell(&progress, *line, &Err(problem))?;
            }
            let mut told = Ok(());
            let sent = batch.send(&in_words, |line, sent| {
                match sent {
                    Ok(_) => tally.accepted += 1,
                    Err(_) => tally.refused += 1,
                }
                told = std::mem::replace(&mut told, Ok(())).and_then(|()| self.tell(&progress, line, sent));
            });
            told?;
            sent.map_err(|failure| broken_off(failure, &tally))?;
            tally.line = last;
            progress.at(lines.read, || tally.words());
        }
        drop(progress);
        if ids.any_from_now && self.name.is_empty() && tally.accepted > 0 {
            say(NO_NEW_TASKS);
        }
        self.end(&tally)
    }

    /// What came of a line: with `--json` of every line, else of those that were refused.
    fn tell(&self, progress: &Progress, line: u64, sent: &Sent) -> Result<(), Failure> {
        match sent {
            Ok(id_and_status) if self.client.prints_json() => {
                let (id, status) = (field(id_and_status, "id"), id_and_status.get("status"));
                progress.aside(|| print(&json!({ "line": line, "id": id, "status": status }).to_string()))
            }
            Err(problem) if self.client.prints_json() => {
                progress.aside(|| print(&json!({ "line": line, "problem": problem }).to_string()))
            }
            Ok(_) => Ok(()),
            Err(problem) => {
                progress.aside(|| say(&format!("line {line}: {}", one_line(&problem_within(problem).message))));
                Ok(())
            }
        }
    }

    fn end(&self, tally: &Tally) -> Result<(), Failure> {
        if !self.client.prints_json() {
            print(&tally.words())?;
        }
        match tally.refused {
            0 => Ok(()),
            refused => Err(Failure::new(REFUSED, format!("{refused} lines were refused; the others are accepted"))),
        }
    }
}

/// How far it came, and that the same again goes on from there.
fn broken_off(failure: Failure, tally: &Tally) -> Failure {
    let far = format!("broken off behind line {}: {}", tally.line, tally.words());
    let again = "repeat the same command: what was accepted makes no second task";
    let why = if failure.message.is_empty() { "the server refused a batch".to_owned() } else { failure.message };
    match failure.code {
        AWAY => Failure::new(AWAY, format!("{far}; {why}; {again}")),
        code => Failure::new(code, format!("{far}; {why}")),
    }
}

#[cfg(test)]
mod upload_test;
