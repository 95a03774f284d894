//! What is due in the next hour.

use maud::Markup;
use plotters::style::text_anchor::HPos;

use super::chart::{Chart, HEIGHT, MINUTES};
use super::sheet::{ACCENT, INK, nothing, picture};
use crate::dashboard::words;

/// What is due in each minute from now on, as bars. Counting stopped at `capped`: such a minute has a `+` above its bar.
pub fn next_hour(minutes: &[u64], capped: u64) -> Markup {
    let what = "What is due in the next hour, by the minute";
    let shown: Vec<(u32, u64)> = (0..MINUTES).zip(minutes.iter().copied()).collect();
    let Some(most) = shown.iter().map(|(_, due)| *due).max() else {
        return nothing(&format!("{what}: it is not counted yet."), HEIGHT, "nothing yet");
    };
    if most == 0 {
        return nothing(&format!("{what}: nothing."), HEIGHT, "nothing is due in the next hour");
    }
    let is_capped = |due: u64| due > 0 && due >= capped;
    let least = if is_capped(most) { "at least " } else { "" };
    let total = words::count(shown.iter().map(|(_, due)| *due).fold(0, u64::saturating_add));
    let label = format!("{what}: {least}{total} tasks, in the fullest minute {least}{}.", words::count(most));
    picture(&label, HEIGHT, |sheet| {
        let chart = Chart::of_counts(sheet, MINUTES, most);
        for (slot, due) in &shown {
            let (x, y) = chart.bar(*slot, &[(*due, ACCENT)]);
            if is_capped(*due) {
                sheet.bold((x, y - 8), HPos::Center, INK, "+");
            }
        }
        for (slot, label) in [(0, "now"), (15, "+15 min"), (30, "+30 min"), (45, "+45 min"), (60, "+60 min")] {
            chart.below(f64::from(slot), label);
        }
        if is_capped(most) {
            sheet.text((64, 16), HPos::Left, INK, &format!("+ means {} or more", words::count(capped)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pictures::tests::{checked, says, shapes};

    #[test]
    fn every_minute_has_a_bar_and_a_full_one_a_plus() {
        let minutes: Vec<u64> = (0..60).map(|minute| if minute == 7 { 100 } else { minute % 2 }).collect();
        let svg = checked(next_hour(&minutes, 100));
        assert_eq!(shapes(&svg, "rect", "#0A0A04"), 30, "{svg}");
        assert_eq!(svg.matches(">+</text>").count(), 1, "{svg}");
        assert!(says(&svg, "+ means 100 or more") && says(&svg, "now") && says(&svg, "+45 min"), "{svg}");
        assert!(svg.contains("at least 129 tasks, in the fullest minute at least 100."), "{svg}");
        let svg = checked(next_hour(&minutes, 101));
        assert!(!svg.contains(">+</text>") && !svg.contains("+ means") && !svg.contains("at least"), "{svg}");
    }

    #[test]
    fn more_than_an_hour_is_not_shown() {
        let svg = checked(next_hour(&[3; 90], 1_000));
        assert_eq!(shapes(&svg, "rect", "#0A0A04"), 60, "{svg}");
    }

    #[test]
    fn without_data_it_says_so() {
        assert!(says(&checked(next_hour(&[], 10)), "nothing yet"));
        assert!(says(&checked(next_hour(&[0; 60], 10)), "nothing is due in the next hour"));
        assert!(says(&checked(next_hour(&[0; 60], 0)), "nothing is due in the next hour"));
    }
}
