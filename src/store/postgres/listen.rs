//! Word from other processes on the same database: hints, by LISTEN and NOTIFY. Whoever misses one looks by itself.

use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use super::connection::Link;
use super::value::Value;
use crate::domain::{GenerationId, Timestamp};
use crate::store::key::Key;
use crate::store::statement::{Words, statement};
use crate::store::{Hear, Hint, Result, StoreError};

/// Time between looks at the connection: libpq tells of notifications only when it is asked.
const LOOK: Duration = Duration::from_millis(2);
/// Before a lost connection is made anew.
const PAUSE: Duration = Duration::from_millis(500);

/// Most generations in one notification: the server takes 8,000 bytes.
pub const GENERATIONS_MAX: usize = 200;

/// One channel per schema.
const LISTEN: &str = "DO $$ BEGIN EXECUTE format('LISTEN %I', 'task_scheduler_' || current_schema()); END $$";

struct Notify;

impl Words for Notify {
    const SQL: &'static str = "SELECT pg_notify('task_scheduler_' || current_schema(), ?)::TEXT";
    type Row = Text;
}

/// Tells other processes, when this transaction is committed.
pub fn tell(c: &mut PgConnection, process: Key, hint: &Hint) -> Result<()> {
    let _nothing: String = statement::<Notify, _>(&[Value::Text(&written(process, hint))]).get_result(c)?;
    Ok(())
}

/// A payload: the process, a letter, and what belongs to it.
fn written(process: Key, hint: &Hint) -> String {
    let process = process.0;
    match hint {
        Hint::Assigned(generations) => {
            let ids: Vec<String> = generations.iter().map(|id| id.0.to_string()).collect();
            format!("{process} a {}", ids.join(","))
        }
        Hint::Scheduled(first) => format!("{process} s {}", first.micros()),
        Hint::Resigned => format!("{process} r "),
        Hint::Readers => format!("{process} p "),
        // Told by a listener to its own process only.
        Hint::Missed => format!("{process} m "),
    }
}

/// The hint of another process; `None` for one's own, and for what a newer program may say.
fn read(own: Key, payload: &str) -> Option<Hint> {
    let mut parts = payload.splitn(3, ' ');
    if parts.next()? == own.0.to_string() {
        return None;
    }
    match (parts.next()?, parts.next()?) {
        ("a", ids) => {
            let ids = ids.split(',').map(|id| Uuid::parse_str(id).ok().map(GenerationId));
            ids.collect::<Option<_>>().map(Hint::Assigned)
        }
        ("s", micros) => micros.parse().ok().map(|micros| Hint::Scheduled(Timestamp::from_micros(micros))),
        ("r", _) => Some(Hint::Resigned),
        ("p", _) => Some(Hint::Readers),
        ("m", _) => Some(Hint::Missed),
        _ => None,
    }
}

/// A thread that listens on a connection of its own, until its store is gone.
pub struct Listener {
    url: String,
    process: Key,
    store: Weak<()>,
    hear: Hear,
}

impl Listener {
    /// Not listening yet.
    pub fn new(url: &str, process: Key, store: Weak<()>, hear: Hear) -> Self {
        Self { url: url.to_owned(), process, store, hear }
    }

    /// Listens, and makes the connection anew whenever it is lost.
    pub fn run(&self) {
        // Nobody ever sends: a plain wait that needs no clock.
        let (_quiet, wait) = channel::<()>();
        while self.store.upgrade().is_some() {
            if let Err(cause) = self.listen(&wait) {
                log::debug!("nothing is heard of other nodes for now: {cause}");
                let _waited = wait.recv_timeout(PAUSE);
            }
        }
    }

    fn listen(&self, wait: &Receiver<()>) -> Result<()> {
        let mut link = Link::open(&self.url).map_err(|cause| StoreError::Unavailable(cause.to_string()))?;
        link.run(|c| Ok(c.batch_execute(LISTEN)?))?;
        // What was told while nobody listened is found at once.
        (self.hear)(Hint::Missed);
        while self.store.upgrade().is_some() {
            for payload in link.notifications()? {
                if let Some(hint) = read(self.process, &payload) {
                    (self.hear)(hint);
                }
            }
            if wait.recv_timeout(LOOK) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_by_others_only() {
        let (me, other) = (Key(Uuid::from_u128(1)), Key(Uuid::from_u128(2)));
        let ids = vec![GenerationId(Uuid::from_u128(7)), GenerationId(Uuid::from_u128(8))];
        for hint in [
            Hint::Assigned(ids),
            Hint::Scheduled(Timestamp::from_micros(-5)),
            Hint::Resigned,
            Hint::Readers,
            Hint::Missed,
        ] {
            let payload = written(other, &hint);
            assert_eq!(read(me, &payload), Some(hint), "{payload}");
            assert_eq!(read(other, &payload), None);
        }
        assert_eq!(read(me, "anything else"), None);
        assert_eq!(read(me, &format!("{} x 1", other.0)), None, "of a newer program");
    }
}
