//! Two kinds of time that must never be mixed: the database's clock, and this process's monotonic one.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// An instant of the *database's* clock, in microseconds since 1970-01-01 UTC. What is shared is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant: a lower bound for scans.
    pub const MIN: Self = Self(i64::MIN);
    /// The end of time, 9999-12-31T23:59:59Z: what waits for the end of a pause is due then, as far as the look-ahead goes.
    pub const NEVER: Self = Self(253_402_300_799_000_000);

    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This much later; stops at the end of time instead of overflowing.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(by)))
    }

    /// This much earlier; stops at the beginning of time.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(by)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// From an RFC 3339 text with an offset. `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp_micros()))
    }

    /// From a calendar instant.
    pub fn from_datetime(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds, as every answer writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(f, "{} µs", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An instant of this process's monotonic clock: the time since the process's clock was made.
///
/// It says nothing to another node and survives no restart; only differences mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mono(pub Duration);

impl Mono {
    /// This much later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// This much earlier; stops at zero.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A duration in whole microseconds, as the database keeps it; the longest one is the end of time.
pub fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A duration in whole milliseconds, as the API writes it.
pub fn millis_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_in_utc_with_microseconds() {
        let at = Timestamp::parse("2026-12-24T18:00:00+01:00").unwrap();
        assert_eq!(at.to_string(), "2026-12-24T17:00:00.000000Z");
    }

    #[test]
    fn never_is_the_last_second_that_can_be_written() {
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59Z"), Some(Timestamp::NEVER));
    }

    #[test]
    fn needs_an_offset() {
        assert_eq!(Timestamp::parse("2026-12-24T18:00:00"), None);
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Timestamp::from_micros(i64::MAX).plus(Duration::from_secs(1)).micros(), i64::MAX);
        assert_eq!(Timestamp::MIN.minus(Duration::from_secs(1)), Timestamp::MIN);
        assert_eq!(Timestamp::from_micros(5).since(Timestamp::from_micros(9)), Duration::ZERO);
    }
}
