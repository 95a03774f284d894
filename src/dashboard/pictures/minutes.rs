//! What was due in the last hour against what ran.

use maud::Markup;

use super::chart::{Chart, HEIGHT, Hour, MINUTES};
use super::sheet::{BAD, GOOD, Place, Sheet, WARN, nothing, picture};
use crate::dashboard::words;
use crate::domain::Timestamp;

/// What became of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinuteRow {
    /// The beginning of the calendar minute.
    pub minute: Timestamp,
    /// Calls that were started within a second of their time.
    pub on_time: u64,
    /// Calls that were started later than that.
    pub late: u64,
    /// Tasks that were due then and wait still.
    pub waiting: u64,
}

impl MinuteRow {
    fn total(&self) -> u64 {
        self.on_time.saturating_add(self.late).saturating_add(self.waiting)
    }
}

/// The sixty minutes up to the newest of these, as bars: what ran on time, what ran late, and on top what waits still. A minute
/// of which something waits has a mark above it.
pub fn last_hour(rows: &[MinuteRow]) -> Markup {
    let what = "What was due in the last hour, by the minute";
    let Some(newest) = rows.iter().map(|row| row.minute).max() else {
        return nothing(&format!("{what}: nothing is known."), HEIGHT, "nothing yet");
    };
    let hour = Hour::until(newest);
    let slotted = rows.iter().filter_map(|row| Some((hour.slot(row.minute)?, row)));
    let shown: Vec<(u32, &MinuteRow)> = slotted.filter(|(_, row)| row.total() > 0).collect();
    if shown.is_empty() {
        return nothing(&format!("{what}: nothing."), HEIGHT, "nothing was due in the last hour");
    }
    let sum =
        |of: fn(&MinuteRow) -> u64| words::count(shown.iter().map(|(_, row)| of(row)).fold(0, u64::saturating_add));
    let (on_time, late, waiting) = (sum(|row| row.on_time), sum(|row| row.late), sum(|row| row.waiting));
    let label =
        format!("{what}: {on_time} ran on time, {late} ran more than a second late, {waiting} are waiting still.");
    let most = shown.iter().map(|(_, row)| row.total()).max().unwrap_or(0);
    picture(&label, HEIGHT, |sheet| {
        let chart = Chart::of_counts(sheet, MINUTES, most);
        hour.write(&chart);
        for (slot, row) in &shown {
            let top = chart.bar(*slot, &[(row.on_time, GOOD), (row.late, WARN), (row.waiting, BAD)]);
            if row.waiting > 0 {
                mark(sheet, top);
            }
        }
        chart.key(64, GOOD, "on time");
        chart.key(190, WARN, "more than 1 s late");
        chart.key(394, BAD, "still waiting");
        mark(sheet, (526, 21));
    })
}

/// ▲, standing there: what waits stands out without its colour too.
fn mark(sheet: &Sheet<'_>, (x, y): Place) {
    sheet.shape(vec![(x - 4, y - 2), (x + 4, y - 2), (x, y - 11)], BAD);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pictures::tests::{checked, says, shapes};

    fn row(minute: i64, on_time: u64, late: u64, waiting: u64) -> MinuteRow {
        MinuteRow {
            minute: Timestamp::from_micros(1_790_000_040_000_000 + minute * 60_000_000),
            on_time,
            late,
            waiting,
        }
    }

    #[test]
    fn what_waits_is_marked_and_each_part_has_a_bar() {
        let rows = [row(-60, 9, 9, 9), row(-59, 1, 0, 0), row(-30, 100_000, 1, 0), row(-1, 5, 6, 7), row(0, 0, 0, 3)];
        let svg = checked(last_hour(&rows));
        // Three bars and the block of the key; what is older than an hour is not shown.
        assert_eq!(shapes(&svg, "rect", "#0A0A01"), 3 + 1, "{svg}");
        assert_eq!(shapes(&svg, "rect", "#0A0A02"), 2 + 1, "{svg}");
        assert_eq!(shapes(&svg, "rect", "#0A0A03"), 2 + 1, "{svg}");
        assert_eq!(shapes(&svg, "polygon", "#0A0A03"), 2 + 1, "{svg}");
        assert!(
            svg.contains("100\u{202f}006 ran on time, 7 ran more than a second late, 10 are waiting still."),
            "{svg}"
        );
    }

    #[test]
    fn large_counts_stay_on_the_sheet() {
        let large = u64::from(u32::MAX);
        let svg = checked(last_hour(&[row(0, large, large, large), row(-7, 0, 0, large)]));
        assert!(says(&svg, "20 G") && says(&svg, "10 G"), "{svg}");
    }

    #[test]
    fn without_data_it_says_so() {
        assert!(says(&checked(last_hour(&[])), "nothing yet"));
        assert!(says(&checked(last_hour(&[row(0, 0, 0, 0)])), "nothing was due in the last hour"));
    }
}
