//! The target `log`: one line in the log of the node that executes the task.

use std::fmt::{self, Write as _};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Target;
use crate::domain::payload::Payload;
use crate::domain::{ClaimedTask, Outcome};

/// The name under which the lines are logged, so that they can be let through or silenced by themselves.
const LOG_TARGET: &str = "task_scheduler::task";

/// Writes the payload to the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogTarget;

impl Target for LogTarget {
    fn call<'a>(&'a self, task: &'a ClaimedTask) -> BoxFuture<'a, Outcome> {
        async move {
            if log::log_enabled!(target: LOG_TARGET, log::Level::Info) {
                log::info!(target: LOG_TARGET, "{}", Line(task));
            }
            Outcome::Succeeded
        }
        .boxed()
    }
}

/// A task's line. Whatever the payload is, it stays one line.
struct Line<'a>(&'a ClaimedTask);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.0;
        write!(f, "task {} attempt {} epoch {} payload ", task.claim.id, task.attempt_no(), task.epoch)?;
        match &task.spec.payload {
            Payload::Empty => f.write_char('-'),
            Payload::Json(text) => escaped(text, f),
            Payload::Bytes(bytes) => write!(f, "base64:{}", Base64Display::new(bytes, &STANDARD)),
        }
    }
}

/// Control characters (a line break, an escape of the terminal) as `\n`, `\u{1b}`. JSON may contain them between its
/// parts; a log must not, or a payload could write lines of its own.
fn escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() {
            write!(f, "{}", c.escape_default())?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::fake_http::task;

    fn line(payload: Payload) -> String {
        let mut task = task("http://unused/");
        task.spec.payload = payload;
        let line = Line(&task).to_string();
        let (head, payload) = line.split_once(" payload ").unwrap();
        assert_eq!(head, format!("task {} attempt 3 epoch 7", task.claim.id));
        payload.to_owned()
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(line(Payload::Json("{\n\"a\":\t\"ü\"}".to_owned())), "{\\n\"a\":\\t\"ü\"}");
        assert_eq!(line(Payload::Json("\"\u{1b}[2J\u{85}\"".to_owned())), "\"\\u{1b}[2J\\u{85}\"");
        assert_eq!(line(Payload::Bytes(vec![0, 255])), "base64:AP8=");
        assert_eq!(line(Payload::Empty), "-");
    }

    #[tokio::test]
    async fn it_always_succeeds() {
        assert_eq!(LogTarget.call(&task("http://unused/")).await, Outcome::Succeeded);
    }
}
