//! How one node stands, in words.

use std::time::Duration;

use crate::dashboard::look::Look;
use crate::dashboard::words::duration;
use crate::store::{Generation, Standing};

/// From this age of its heartbeat on a node gets no work.
const SILENT: Duration = Duration::from_millis(1_500);
/// A clock may be off by so much without a word, in microseconds.
const OFFSET_US: u64 = 1_000_000;

/// How it stands: a class, and words.
pub fn standing(look: &Look, one: &Generation) -> (&'static str, &'static str) {
    match one.standing {
        Standing::Alive if one.heartbeat_age >= SILENT => ("silent", "silent"),
        Standing::Alive => ("alive", "alive"),
        Standing::Draining => ("draining", "draining"),
        Standing::Dead if is_replaced(look, one) => ("soft", "an earlier life"),
        Standing::Dead => ("dead", "dead"),
    }
}

/// Its node has begun anew since.
fn is_replaced(look: &Look, one: &Generation) -> bool {
    look.generations.iter().any(|other| other.node == one.node && other.id > one.id)
}

/// Its clock is off by more than people overlook.
pub fn is_off(one: &Generation) -> bool {
    one.clock_offset_us.unsigned_abs() > OFFSET_US
}

/// The database's clock minus the node's.
pub fn offset(micros: i64) -> String {
    let sign = if micros < 0 { "−" } else { "+" };
    format!("{sign}{}", duration(Duration::from_micros(micros.unsigned_abs()).as_secs_f64()))
}
