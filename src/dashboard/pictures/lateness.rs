//! How late calls were started.

use std::collections::BTreeMap;

use maud::Markup;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::chart::{Chart, HEIGHT, Hour, MINUTES};
use super::sheet::{ACCENT, INK, SECOND, Sheet, WARN, nothing, picture};
use crate::dashboard::words;
use crate::domain::Timestamp;
use crate::domain::buckets::{BOUNDS_US, Buckets};
use crate::domain::figures::Minute;

/// The powers of ten of the scale in milliseconds, from a tenth on; the last ones are rounded.
const LEVELS: [&str; 10] = ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s", "17 min", "2.8 h", "28 h"];
/// The exponents of the first and the last of them.
const ENDS: (i32, i32) = (-1, 8);
/// More levels than this stand too close.
const LEVELS_MOST: i32 = 6;
/// More labels than this below the histogram do not fit.
const LABELS_MOST: usize = 8;
/// What starts later than this after its time is late, in microseconds.
const LATE_US: u64 = 1_000_000;

/// A minute of the hour: which, its p50 and its p99 in seconds.
type Point = (u32, f64, f64);

/// p50 and p99 of each of the sixty calendar minutes up to now, whoever counted in them; a gap where nothing was started.
pub fn over_time(minutes: &[Minute], now: Timestamp) -> Markup {
    let hour = Hour::until(now);
    let points = points(minutes, hour);
    let what = "Lateness by the minute over the last hour";
    let Some((_, p50, p99)) = points.last().copied() else {
        return nothing(&format!("{what}: nothing was started."), HEIGHT, "nothing yet");
    };
    let highest = points.iter().map(|(_, _, p99)| *p99).fold(0.0, f64::max);
    let (p50, p99) = (words::duration(p50), words::duration(p99));
    let highest_shown = words::duration(highest);
    let label =
        format!("{what}, on a logarithmic scale. Last: p50 {p50}, p99 {p99}. The highest p99: {highest_shown}.");
    picture(&label, HEIGHT, |sheet| {
        let chart = graded(sheet, exponent(highest));
        hour.write(&chart);
        let line = |of: fn(&Point) -> f64, ink, thick| {
            let line: Vec<(u32, f64)> = points.iter().map(|point| (point.0, exponent(of(point)))).collect();
            draw(sheet, &chart, &line, (ink, thick));
        };
        line(|point| point.1, SECOND, 2);
        line(|point| point.2, ACCENT, 4);
        // The thick line stays the higher one, also for who does not see their colours.
        sheet.line(vec![(64, 16), (88, 16)], ACCENT, 4);
        sheet.text((96, 16), HPos::Left, INK, &format!("p99, last {p99}"));
        sheet.line(vec![(300, 16), (324, 16)], SECOND, 2);
        sheet.text((332, 16), HPos::Left, INK, &format!("p50, last {p50}"));
    })
}

fn points(minutes: &[Minute], hour: Hour) -> Vec<Point> {
    let mut sums: BTreeMap<u32, Buckets> = BTreeMap::new();
    for one in minutes {
        if let Some(slot) = hour.slot(one.minute()) {
            sums.entry(slot).or_default().add(&one.figures.lateness);
        }
    }
    let point = |(slot, sum): (u32, Buckets)| Some((slot, sum.quantile(0.5)?, sum.quantile(0.99)?));
    sums.into_iter().filter_map(point).collect()
}

/// The power of ten of this many seconds in milliseconds.
fn exponent(seconds: f64) -> f64 {
    (seconds * 1e3).max(0.1).log10()
}

/// A chart with a level for each power of ten up to this one; no less than 10 ms, so that small things look small.
fn graded<'s, 'a>(sheet: &'s Sheet<'a>, highest: f64) -> Chart<'s, 'a> {
    let (first, last) = ENDS;
    let top = (1..last).find(|level| f64::from(*level) >= highest).unwrap_or(last);
    let chart = Chart::new(sheet, MINUTES, f64::from(first)..f64::from(top));
    for (level, label) in (first..=top).zip(LEVELS) {
        if top - first < LEVELS_MOST || (top - level) % 2 == 0 {
            chart.level(f64::from(level), label);
        }
    }
    chart
}

/// A line through what belongs together, broken where a minute is missing; a dot for a minute without neighbours.
fn draw(sheet: &Sheet<'_>, chart: &Chart<'_, '_>, line: &[(u32, f64)], (ink, thick): (RGBColor, u32)) {
    for run in line.chunk_by(|one, next| one.0 + 1 == next.0) {
        let places: Vec<_> = run.iter().map(|(slot, value)| chart.at(f64::from(*slot) + 0.5, *value)).collect();
        if let [alone] = places.as_slice() {
            sheet.dot(*alone, i32::try_from(thick).unwrap_or(i32::MAX), ink);
        } else {
            sheet.line(places, ink, thick);
        }
    }
}

/// How many calls started how late: a bar for each bucket between the first and the last in use, by its upper bound.
pub fn histogram(lateness: &Buckets) -> Markup {
    let bars = bars(lateness);
    let Some((most_at, most)) = bars.iter().copied().max_by_key(|(_, count)| *count) else {
        return nothing("How many calls started how late: nothing was started.", HEIGHT, "nothing yet");
    };
    let label = format!(
        "How many calls started how late, of {}. The most, {}, in the bucket up to {}. {} started more than a second late.",
        words::count(lateness.total()),
        words::count(most),
        bound(most_at),
        words::count(bars.iter().filter(|(bound, _)| *bound > LATE_US).map(|(_, count)| count).sum())
    );
    picture(&label, HEIGHT, |sheet| {
        let slots = u32::try_from(bars.len()).unwrap_or(u32::MAX);
        let chart = Chart::of_counts(sheet, slots, most);
        let apart = bars.len().div_ceil(LABELS_MOST);
        for ((slot, (upper, count)), place) in (0..slots).zip(&bars).zip(0_usize..) {
            let is_late = *upper > LATE_US;
            chart.bar(slot, &[(*count, if is_late { WARN } else { ACCENT })]);
            if place.is_multiple_of(apart) {
                chart.below(f64::from(slot) + 0.5, &bound(*upper));
            }
        }
        chart.key(64, ACCENT, "up to 1 s");
        if bars.last().is_some_and(|(upper, _)| *upper > LATE_US) {
            chart.key(220, WARN, "more than 1 s late");
        }
    })
}

/// Bounds and counts, from the first bucket in use to the last.
fn bars(lateness: &Buckets) -> Vec<(u64, u64)> {
    let mut all: BTreeMap<u64, u64> = BOUNDS_US.into_iter().chain([u64::MAX]).map(|bound| (bound, 0)).collect();
    // Another version of the program may have other bounds.
    all.extend(lateness.counts());
    let mut bars: Vec<(u64, u64)> = all.into_iter().skip_while(|(_, count)| *count == 0).collect();
    while bars.pop_if(|(_, count)| *count == 0).is_some() {}
    bars
}

/// A bound in microseconds, short: whole numbers have no point.
fn bound(us: u64) -> String {
    const UNITS: [(u64, &str); 6] =
        [(1, "µs"), (1_000, "ms"), (1_000_000, "s"), (60_000_000, "min"), (3_600_000_000, "h"), (86_400_000_000, "d")];
    if us == u64::MAX {
        return "more".to_owned();
    }
    let (unit, name) = UNITS.into_iter().rev().find(|(unit, _)| us >= *unit).unwrap_or((1, "µs"));
    match us % unit * 10 / unit {
        0 => format!("{} {name}", us / unit),
        tenth => format!("{}.{tenth} {name}", us / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pictures::tests::{checked, says, shapes};
    use crate::domain::figures::Figures;

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_123_456);

    fn ago(minutes: i64, lateness: Buckets) -> Minute {
        let begun_us = NOW.micros() - minutes * 60_000_000;
        Minute { begun_us, figures: Figures { lateness, ..Figures::default() } }
    }

    #[test]
    fn a_line_is_broken_where_nothing_was_started() {
        let some = || Buckets::of([(1_000, 99), (50_000, 1)]);
        let minutes = [0, 1, 2, 5, 6, 9, 90].map(|back| ago(back, some()));
        let svg = checked(over_time(&minutes, NOW));
        for colour in ["#0A0A04", "#0A0A05"] {
            // Two runs and the one of the key, and a dot for the minute that is alone.
            assert_eq!((shapes(&svg, "polyline", colour), shapes(&svg, "circle", colour)), (3, 1), "{svg}");
        }
        assert!(["0.1 ms", "1 ms", "10 ms"].into_iter().all(|label| says(&svg, label)), "{svg}");
        assert!(!says(&svg, "100 ms"), "{svg}");
        assert!(says(&svg, "p99, last 1.0 ms"), "{svg}");
    }

    #[test]
    fn the_nodes_of_a_minute_are_added_up() {
        let hour = Hour::until(NOW);
        let minutes = [ago(3, Buckets::of([(50, 98)])), ago(3, Buckets::of([(60_000_000, 2)]))];
        let points = points(&minutes, hour);
        assert_eq!(points.len(), 1);
        assert!(points[0].0 == 56 && points[0].1 <= 0.000_05 && points[0].2 > 30.0, "{points:?}");
        assert!(super::points(&[ago(3, Buckets::default())], hour).is_empty());
    }

    #[test]
    fn a_scale_that_goes_far_has_fewer_levels() {
        let svg = checked(over_time(&[ago(0, Buckets::of([(50, 1), (u64::MAX, 99)]))], NOW));
        assert!(["28 h", "17 min", "10 s", "100 ms"].into_iter().all(|label| says(&svg, label)), "{svg}");
        assert!(["2.8 h", "1 s"].into_iter().all(|label| !says(&svg, label)), "{svg}");
    }

    #[test]
    fn a_histogram_has_a_bar_for_each_bucket_in_use() {
        let svg = checked(histogram(&Buckets::of([(1_000, 10), (3_000, 1_000), (2_500_000, 1)])));
        // The empty ones between them have a label and no bar; the key has a block for each colour.
        assert_eq!((shapes(&svg, "rect", "#0A0A04"), shapes(&svg, "rect", "#0A0A02")), (2 + 1, 1 + 1), "{svg}");
        assert!(["1 ms", "3 ms", "1 k"].into_iter().all(|label| says(&svg, label)), "{svg}");
        assert!(svg.contains("The most, 1\u{202f}000, in the bucket up to 3 ms. 1 started more than"), "{svg}");
        let all = BOUNDS_US.into_iter().chain([u64::MAX]).map(|bound| (bound, 7));
        let svg = checked(histogram(&Buckets::of(all)));
        assert_eq!(shapes(&svg, "rect", "#0A0A04") + shapes(&svg, "rect", "#0A0A02"), 24 + 2, "{svg}");
        assert!(svg.matches("<text").count() < 20, "{svg}");
    }

    #[test]
    fn bounds_are_short() {
        assert_eq!(
            [50, 5_000, 2_500_000, 600_000_000, 3_600_000_000, 86_400_000_000, u64::MAX].map(bound),
            ["50 µs", "5 ms", "2.5 s", "10 min", "1 h", "1 d", "more"]
        );
    }

    #[test]
    fn without_data_it_says_so() {
        assert!(says(&checked(over_time(&[], NOW)), "nothing yet"));
        assert!(says(&checked(histogram(&Buckets::default())), "nothing yet"));
    }
}
