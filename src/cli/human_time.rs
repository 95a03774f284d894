//! Times as people write them: `in 5m`, `2h ago`, RFC 3339, `2026-12-24 18:00 Europe/Berlin`, `tomorrow 18:00 UTC`.
//!
//! A calendar time needs its zone: by the zone of whoever happens to type it, the same line would mean something else in a
//! script on another machine. A time that the clocks skip or show twice is refused and both instants are named. The
//! zones' rules are part of the program, so that it knows the same ones everywhere.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::duration;
use super::exit::quoted;
use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// What a time may look like, for messages and help.
pub const ALLOWED: &str =
    "'in 5m', '2h ago', now, 2026-12-24T18:00:00+01:00, '2026-12-24 18:00 Europe/Berlin' or 'tomorrow 18:00 UTC'";

/// Seconds of an hour.
const HOUR: i32 = 3_600;
/// Seconds of a minute.
const MINUTE: i32 = 60;

/// A time, as far as it can be told without asking when it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HumanTime {
    /// An instant, as RFC 3339.
    At(String),
    /// So long after it is used.
    In(Duration),
    /// So long before it is used.
    Ago(Duration),
}

impl HumanTime {
    /// As RFC 3339 where the others are counted from `now`.
    pub fn rfc3339(&self, now: Timestamp) -> String {
        match self {
            Self::At(text) => text.clone(),
            Self::In(after) => now.plus(*after).to_string(),
            Self::Ago(before) => now.minus(*before).to_string(),
        }
    }

    /// As RFC 3339 where the others are counted from this machine's clock, now.
    pub fn rfc3339_now(&self) -> String {
        self.rfc3339(Clock::new().wall())
    }
}

/// Reads a time at which something is to happen: a duration alone is `in` it.
///
/// # Errors
/// It is none, lacks its zone, or is one that the clocks skip or show twice.
pub fn ahead(text: &str) -> Result<HumanTime, String> {
    read(text, Clock::new().wall()).and_then(|time| match time {
        Some(time) => Ok(time),
        None => duration::parse(text).map(HumanTime::In),
    })
}

/// Reads the bound of a search, where a duration alone could mean either direction.
///
/// # Errors
/// As [`ahead`]; or a duration alone.
pub fn bound(text: &str) -> Result<HumanTime, String> {
    read(text, Clock::new().wall())?.ok_or_else(|| format!("say '{0} ago' or 'in {0}'", text.trim()))
}

/// `None` for a duration alone.
fn read(text: &str, now: Timestamp) -> Result<Option<HumanTime>, String> {
    let text = text.trim();
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["now"] => Ok(Some(HumanTime::In(Duration::ZERO))),
        ["in", after] => duration::parse(after).map(|after| Some(HumanTime::In(after))),
        [before, "ago"] => duration::parse(before).map(|before| Some(HumanTime::Ago(before))),
        [alone] if duration::parse(alone).is_ok() => Ok(None),
        _ if Timestamp::parse(text).is_some() => Ok(Some(HumanTime::At(text.to_owned()))),
        _ => calendar(text, &words, now).map(|instant| Some(HumanTime::At(instant))),
    }
}

/// A date, a time of day and a zone; the date and the time also with a `T` between them, an offset also right behind.
fn calendar(text: &str, words: &[&str], now: Timestamp) -> Result<String, String> {
    let none = || format!("{} is no time; allowed: {ALLOWED}", quoted(text));
    let joined = words.join(" ");
    let (date, rest) = match words.first().and_then(|word| word.split_once('T')) {
        Some((date, _)) if date.starts_with(|sign: char| sign.is_ascii_digit()) => joined.split_once('T'),
        _ => joined.split_once(' '),
    }
    .ok_or_else(none)?;
    let time_ends = rest.find(|sign: char| !sign.is_ascii_digit() && sign != ':' && sign != '.').unwrap_or(rest.len());
    let (time, zone_name) = rest.split_at(time_ends);
    let is_date = ["today", "tomorrow", "yesterday"].contains(&date) || date.parse::<Date>().is_ok();
    if !is_date || !time.contains(':') {
        return Err(none());
    }
    let zone_name = zone_name.trim();
    if zone_name.is_empty() {
        return Err(format!(
            "{} lacks its zone; add one, like '{joined} Europe/Berlin', '{joined} UTC' or '{joined} +01:00'",
            quoted(text)
        ));
    }
    let zone = zone(zone_name).ok_or_else(|| {
        format!("{} is no zone; allowed: a name like Europe/Berlin, UTC, or an offset like +01:00", quoted(zone_name))
    })?;
    let day = day(date, &zone, now).ok_or_else(none)?;
    let local: DateTime = format!("{day}T{time}").parse().map_err(|_| none())?;
    let written = |offset: Offset| format!("{local}{}", sign_and_time(offset));
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => Ok(written(offset)),
        AmbiguousOffset::Gap { before, after } => Err(format!(
            "{local} does not exist in {zone_name}: the clocks are set forward over it; say {} or {}",
            written(before),
            written(after)
        )),
        AmbiguousOffset::Fold { before, after } => Err(format!(
            "{local} comes twice in {zone_name}: the clocks are set back over it; say {} or {}",
            written(before),
            written(after)
        )),
    }
}

fn day(text: &str, zone: &TimeZone, now: Timestamp) -> Option<Date> {
    let today = || Some(zone.to_datetime(jiff::Timestamp::from_microsecond(now.micros()).ok()?).date());
    match text {
        "today" => today(),
        "tomorrow" => today()?.tomorrow().ok(),
        "yesterday" => today()?.yesterday().ok(),
        date => date.parse().ok(),
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "UTC" | "Z" => Some(TimeZone::UTC),
        _ => match name.strip_prefix(['+', '-']) {
            Some(size) => {
                let digits: String = size.chars().filter(|sign| *sign != ':').collect();
                let fits = digits.len() == 4 && digits.chars().all(|sign| sign.is_ascii_digit());
                let (hours, minutes) = fits.then(|| digits.split_at(2))?;
                let minutes: i32 = minutes.parse().ok().filter(|minutes| *minutes < 60)?;
                let seconds = hours.parse::<i32>().ok()? * HOUR + minutes * MINUTE;
                Some(TimeZone::fixed(
                    Offset::from_seconds(if name.starts_with('-') { -seconds } else { seconds }).ok()?,
                ))
            }
            None => TimeZone::get(name).ok(),
        },
    }
}

/// An offset as RFC 3339 writes it. Zones of long ago had seconds, too: they are left out, nothing is due then.
fn sign_and_time(offset: Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", seconds.abs() / HOUR, seconds.abs() % HOUR / MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 23:30 in UTC: in Berlin it is tomorrow already.
    fn now() -> Timestamp {
        Timestamp::parse("2026-11-25T23:30:00Z").unwrap()
    }

    fn at(text: &str) -> String {
        match read(text, now()) {
            Ok(Some(HumanTime::At(instant))) => {
                assert!(Timestamp::parse(&instant).is_some(), "{text} is {instant}");
                instant
            }
            other => panic!("{text} is {other:?}"),
        }
    }

    fn refused(text: &str) -> String {
        read(text, now()).expect_err(text)
    }

    #[test]
    fn what_is_counted_from_now_stays_so_until_it_is_used() {
        let minutes = Duration::from_mins(5);
        assert_eq!(read("in 5m", now()), Ok(Some(HumanTime::In(minutes))));
        assert_eq!(read(" 5m  ago ", now()), Ok(Some(HumanTime::Ago(minutes))));
        assert_eq!(HumanTime::Ago(minutes).rfc3339(now()), "2026-11-25T23:25:00.000000Z");
        assert_eq!(HumanTime::In(minutes).rfc3339(now()), "2026-11-25T23:35:00.000000Z");
        assert_eq!(read("now", now()), Ok(Some(HumanTime::In(Duration::ZERO))));
    }

    #[test]
    fn a_duration_alone_is_ahead_and_no_bound() {
        assert_eq!(ahead("1h30m"), Ok(HumanTime::In(Duration::from_mins(90))));
        let why = bound("5m").unwrap_err();
        assert!(why.contains("'5m ago'") && why.contains("'in 5m'"), "{why}");
        assert_eq!(bound("5m ago"), Ok(HumanTime::Ago(Duration::from_mins(5))));
    }

    #[test]
    fn rfc3339_stays_as_it_is_written() {
        for text in ["2026-12-24T18:00:00+01:00", "2026-12-24T17:00:00.5Z"] {
            assert_eq!(at(text), text);
        }
    }

    #[test]
    fn a_calendar_time_takes_its_zone_by_name_or_offset() {
        for (text, instant) in [
            ("2026-12-24 18:00 Europe/Berlin", "2026-12-24T18:00:00+01:00"),
            ("2026-06-24T18:00 Europe/Berlin", "2026-06-24T18:00:00+02:00"),
            ("2026-12-24 18:00:30 UTC", "2026-12-24T18:00:30+00:00"),
            ("2026-12-24 18:00 -03:30", "2026-12-24T18:00:00-03:30"),
            ("2026-12-24 18:00+0100", "2026-12-24T18:00:00+01:00"),
            ("2026-12-24 18:00Z", "2026-12-24T18:00:00+00:00"),
            ("2026-12-24 18:00 America/New_York", "2026-12-24T18:00:00-05:00"),
        ] {
            assert_eq!(at(text), instant, "{text}");
        }
    }

    #[test]
    fn today_is_what_the_calendar_of_the_zone_says() {
        assert_eq!(at("today 18:00 UTC"), "2026-11-25T18:00:00+00:00");
        assert_eq!(at("tomorrow 18:00 UTC"), "2026-11-26T18:00:00+00:00");
        assert_eq!(at("tomorrow 18:00 Europe/Berlin"), "2026-11-27T18:00:00+01:00");
        assert_eq!(at("yesterday 18:00 America/New_York"), "2026-11-24T18:00:00-05:00");
    }

    #[test]
    fn a_zone_is_never_guessed() {
        for text in ["2026-12-24 18:00", "2026-12-24T18:00:00", "tomorrow 18:00"] {
            assert!(refused(text).contains("lacks its zone") && refused(text).contains("Europe/Berlin"), "{text}");
        }
        assert!(refused("2026-12-24 18:00 Berlin").contains("is no zone"));
        assert!(refused("2026-12-24 18:00 +25:99").contains("is no zone"));
    }

    #[test]
    fn a_time_that_does_not_exist_or_comes_twice_names_the_two_instants() {
        let skipped = refused("2026-03-29 02:30 Europe/Berlin");
        assert!(skipped.contains("does not exist"), "{skipped}");
        let doubled = refused("2026-10-25 02:30 Europe/Berlin");
        assert!(doubled.contains("comes twice"), "{doubled}");
        for (message, day) in [(skipped, "2026-03-29"), (doubled, "2026-10-25")] {
            for offset in ["+01:00", "+02:00"] {
                let instant = format!("{day}T02:30:00{offset}");
                assert!(message.contains(&instant), "{message}");
                assert_eq!(at(&instant), instant);
            }
        }
        assert!(refused("2026-11-01 01:30 America/New_York").contains("comes twice"));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        for text in [
            "",
            "soon",
            "in",
            "in five minutes",
            "ago",
            "18:00 UTC",
            "2026-12-24 UTC",
            "2026-13-24 18:00 UTC",
            "2026-12-24 25:00 UTC",
            "2026-12-24 18:61 UTC",
            "2026-12-24 18 UTC",
            "Tuesday 18:00 UTC",
            "-5m",
        ] {
            refused(text);
        }
    }
}
