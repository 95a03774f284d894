//! Bars and lines over a row of slots, mostly minutes: the scale, the grid, and what is written at its sides.

use std::ops::Range;

use plotters::coord::CoordTranslate as _;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::sheet::{FAINT, INK, LEAST, Place, Sheet};
use crate::domain::Timestamp;
use crate::domain::figures::minute_of;

/// How high a picture with a chart is.
pub const HEIGHT: u32 = 250;
/// Minutes of an hour: 9 pixels each.
pub const MINUTES: u32 = 60;
const LEFT: i32 = 64;
const RIGHT: i32 = 604;
/// Above it is the key.
const TOP: i32 = 48;
/// Below it is what the slots are.
const FOOT: i32 = 34;

/// Where values lie on a sheet.
pub struct Chart<'s, 'a> {
    sheet: &'s Sheet<'a>,
    scale: Cartesian2d<RangedCoordf64, RangedCoordf64>,
    floor: i32,
}

impl<'s, 'a> Chart<'s, 'a> {
    /// So many slots side by side, for values of this range.
    pub fn new(sheet: &'s Sheet<'a>, slots: u32, values: Range<f64>) -> Self {
        let floor = sheet.end().1 - FOOT;
        let pixels = (LEFT..RIGHT, floor..TOP);
        Self { sheet, scale: Cartesian2d::new(0.0..f64::from(slots.max(1)), values, pixels), floor }
    }

    /// The same for counts, with a grid up to a round number that is not less than `most`.
    pub fn of_counts(sheet: &'s Sheet<'a>, slots: u32, most: u64) -> Self {
        let top = round_up(most);
        let chart = Self::new(sheet, slots, 0.0..real(top));
        // There are no half things.
        let half = top.is_multiple_of(2).then_some(top / 2);
        for count in [0, top].into_iter().chain(half) {
            chart.level(real(count), &short(count));
        }
        chart
    }

    /// Where this value lies above that part of the row.
    pub fn at(&self, slot: f64, value: f64) -> Place {
        self.scale.translate(&(slot, value))
    }

    /// A line of the grid, and what it stands for.
    pub fn level(&self, value: f64, label: &str) {
        let (_, y) = self.at(0.0, value);
        self.sheet.line(vec![(LEFT, y), (RIGHT, y)], FAINT, 1);
        self.sheet.text((LEFT - 8, y), HPos::Right, INK, label);
    }

    /// What stands below a place of the row.
    pub fn below(&self, slot: f64, label: &str) {
        let (x, _) = self.at(slot, 0.0);
        self.sheet.line(vec![(x, self.floor), (x, self.floor + 5)], FAINT, 1);
        self.sheet.text((x, self.floor + 19), HPos::Center, INK, label);
    }

    /// What a colour stands for, above the chart.
    pub fn key(&self, x: i32, ink: RGBColor, text: &str) {
        self.sheet.block((x, 9), (x + 13, 22), ink);
        self.sheet.text((x + 20, 16), HPos::Left, INK, text);
    }

    /// Counts above each other, each in its colour. Where the middle of the upper end is.
    pub fn bar(&self, slot: u32, parts: &[(u64, RGBColor)]) -> Place {
        let (left, _) = self.at(f64::from(slot), 0.0);
        let (right, _) = self.at(f64::from(slot) + 1.0, 0.0);
        let rest = ((right - left) / 8).max(1);
        let mut y = self.floor;
        for (count, ink) in parts.iter().filter(|(count, _)| *count > 0) {
            let tall = (self.floor - self.at(0.0, real(*count)).1).max(LEAST);
            self.sheet.block((left + rest, y - tall), (right - rest, y), *ink);
            // A line of the page between the parts, so that they are seen without their colours.
            y -= tall + 1;
        }
        (i32::midpoint(left, right), y)
    }
}

/// The sixty calendar minutes up to one.
#[derive(Debug, Clone, Copy)]
pub struct Hour {
    last: i64,
}

impl Hour {
    /// Up to the minute of this instant.
    pub fn until(at: Timestamp) -> Self {
        Self { last: minute_of(at) }
    }

    /// Which of them it is, if it is one.
    pub fn slot(self, minute: Timestamp) -> Option<u32> {
        let back = u32::try_from(self.last.checked_sub(minute_of(minute))?).ok()?;
        (MINUTES - 1).checked_sub(back)
    }

    /// Writes the quarters of an hour below.
    pub fn write(self, chart: &Chart<'_, '_>) {
        for slot in 0..MINUTES {
            let minute = self.last - i64::from(MINUTES - 1 - slot);
            if minute.rem_euclid(15) == 0 {
                let (hour, minute) = (minute.div_euclid(60).rem_euclid(24), minute.rem_euclid(60));
                chart.below(f64::from(slot), &format!("{hour:02}:{minute:02}"));
            }
        }
        chart.sheet.text((4, chart.floor + 19), HPos::Left, INK, "UTC");
    }
}

/// The least round number that is not less. Its half is whole too, unless it is 1.
fn round_up(most: u64) -> u64 {
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
    let mut round = powers.flat_map(|power| [1, 2, 4, 6, 8].map(|times| power.saturating_mul(times)));
    round.find(|round| *round >= most).unwrap_or(u64::MAX)
}

/// A round number in a few letters.
fn short(count: u64) -> String {
    let unit = [(1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")].into_iter();
    let mut fitting = unit.filter(|(unit, _)| count >= *unit && count.is_multiple_of(*unit));
    fitting.next().map_or_else(|| count.to_string(), |(unit, name)| format!("{}{name}", count / unit))
}

/// Exact below 2^53.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a count for people's eyes")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pictures::sheet::{BAD, GOOD, picture};
    use crate::dashboard::pictures::tests::{checked, says, shapes};

    #[test]
    fn a_scale_ends_at_a_round_number() {
        assert_eq!([0, 1, 2, 3, 5, 9, 10, 11, 61, 999].map(round_up), [1, 1, 2, 4, 6, 10, 10, 20, 80, 1_000]);
        assert_eq!(round_up(u64::MAX), u64::MAX);
        assert_eq!([0, 30, 1_000, 20_000, 4_000_000, 1_001].map(short), ["0", "30", "1 k", "20 k", "4 M", "1001"]);
    }

    #[test]
    fn parts_of_a_bar_stand_on_each_other_and_the_least_is_seen() {
        let svg = checked(picture("Some bars here", HEIGHT, |sheet| {
            let chart = Chart::of_counts(sheet, MINUTES, 10_000);
            assert_eq!(chart.at(0.0, 0.0), (LEFT, 216));
            assert_eq!(chart.at(60.0, 10_000.0), (RIGHT, TOP));
            let (x, y) = chart.bar(59, &[(5_000, GOOD), (0, INK), (1, BAD)]);
            assert_eq!((x, y), (599, 216 - 84 - 1 - LEAST - 1));
        }));
        assert_eq!((shapes(&svg, "rect", "#0A0A01"), shapes(&svg, "rect", "#0A0A03")), (1, 1), "{svg}");
        assert_eq!(shapes(&svg, "rect", "#010101"), 0, "{svg}");
        assert!(["0", "5 k", "10 k"].into_iter().all(|label| says(&svg, label)), "{svg}");
    }

    #[test]
    fn an_hour_ends_with_its_minute() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let hour = Hour::until(at(7_230));
        assert_eq!(
            [7_259, 7_200, 7_199, 3_660, 3_659, 7_260].map(|s| hour.slot(at(s))),
            [Some(59), Some(59), Some(58), Some(0), None, None]
        );
        let svg = checked(picture("An hour's axis", HEIGHT, |sheet| hour.write(&Chart::new(sheet, MINUTES, 0.0..1.0))));
        assert!(["01:15", "01:30", "01:45", "02:00"].into_iter().all(|label| says(&svg, label)), "{svg}");
        assert!(!says(&svg, "01:00"), "{svg}");
        assert_eq!(Hour::until(Timestamp::MIN).slot(at(0)), None);
    }
}
