//! Who has been master when.

use std::time::Duration;

use maud::Markup;
use plotters::coord::ranged1d::Ranged as _;
use plotters::coord::types::RangedCoordf64;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::sheet::{ACCENT, BAD, FAINT, GOOD, INK, LEAST, PAPER, Sheet, nothing, picture};
use crate::dashboard::words;
use crate::domain::{Epoch, Timestamp};
use crate::store::Term;

/// More nodes than this share a row.
const NODES_MOST: usize = 8;
/// So much of a name is written.
const NAME: usize = 18;
/// A hand-over takes some milliseconds: a gap shorter than this is none.
const GAP: Duration = Duration::from_millis(100);
/// No less time than this is shown.
const SHORTEST: Duration = Duration::from_mins(1);
/// How far apart what is written below may be, in seconds; in which unit it is written.
const STEPS: [(u64, u64, &str); 20] = [
    (15, 1, "s"),
    (30, 1, "s"),
    (60, 60, "min"),
    (120, 60, "min"),
    (300, 60, "min"),
    (600, 60, "min"),
    (900, 60, "min"),
    (1_800, 60, "min"),
    (3_600, 3_600, "h"),
    (7_200, 3_600, "h"),
    (10_800, 3_600, "h"),
    (21_600, 3_600, "h"),
    (43_200, 3_600, "h"),
    (86_400, 86_400, "d"),
    (172_800, 86_400, "d"),
    (604_800, 86_400, "d"),
    (1_209_600, 86_400, "d"),
    (2_592_000, 86_400, "d"),
    (7_776_000, 86_400, "d"),
    (31_536_000, 86_400, "d"),
];

const LEFT: i32 = 172;
const RIGHT: i32 = 612;
const TOP: i32 = 8;
const ROW: i32 = 32;
/// Below the rows is the time.
const FOOT: i32 = 36;
/// How wide a bold digit is.
const DIGIT: i32 = 10;

/// A reign as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reign<'t> {
    node: &'t str,
    epoch: Epoch,
    from: Timestamp,
    to: Timestamp,
    lasts: bool,
}

/// A stretch of time.
type Stretch = (Timestamp, Timestamp);

/// The reigns as blocks along the time up to now, a row for each node, with the epoch where it fits. The last row shows when
/// nobody reigned.
pub fn history(terms: &[Term], now: Timestamp) -> Markup {
    let reigns = reigns(terms, now);
    let (Some(first), Some(last)) = (reigns.first(), reigns.last()) else {
        return nothing("Who has been master when: nobody yet.", height(2), "nothing yet");
    };
    let now = reigns.iter().map(|reign| reign.to).fold(now, Timestamp::max);
    let (nodes, gaps) = (nodes(&reigns), gaps(&reigns, now));
    let are_more = reigns.iter().any(|reign| !nodes.contains(&reign.node));
    let names = nodes.iter().map(|node| shown(node)).chain(are_more.then(|| "other nodes".to_owned()));
    let rows: Vec<String> = names.chain(["no master".to_owned()]).collect();
    let axis = Axis::new(first.from, now, rows.len());
    let label = format!(
        "Who has been master in the last {}. Reigns: {}. {} Gaps without a master: {}{}.",
        words::duration(axis.seconds()),
        reigns.len(),
        if last.lasts {
            format!("{} reigns, epoch {}.", shown(last.node), last.epoch)
        } else {
            "Nobody reigns.".into()
        },
        gaps.len(),
        gaps.iter().map(|(from, to)| to.since(*from)).max().map_or_else(String::new, longest)
    );
    picture(&label, height(rows.len()), |sheet| {
        for (row, name) in rows.iter().enumerate() {
            name_row(sheet, row, name);
        }
        for reign in &reigns {
            let row = nodes.iter().position(|node| *node == reign.node).unwrap_or(nodes.len());
            let ink = if reign.lasts { GOOD } else { ACCENT };
            let epoch = reign.epoch.to_string();
            axis.block(sheet, row, (reign.from, reign.to), (ink, epoch.as_str()));
        }
        for gap in &gaps {
            axis.block(sheet, rows.len() - 1, *gap, (BAD, ""));
        }
        axis.write(sheet);
    })
}

/// In the order in which they began. One whose end nobody wrote ended when the next began.
fn reigns(terms: &[Term], now: Timestamp) -> Vec<Reign<'_>> {
    let mut sorted: Vec<&Term> = terms.iter().collect();
    sorted.sort_by_key(|term| (term.elected_at, term.epoch));
    let nexts = sorted.iter().skip(1).map(|next| Some(next.elected_at)).chain([None]);
    let reigns = sorted.iter().zip(nexts).map(|(term, next)| Reign {
        node: term.node.as_str(),
        epoch: term.epoch,
        from: term.elected_at,
        to: term.ended_at.or(next).unwrap_or(now).max(term.elected_at),
        lasts: term.ended_at.or(next).is_none(),
    });
    reigns.collect()
}

/// Those of the newest reigns that get a row, by name so that a row stays where it is.
fn nodes<'t>(reigns: &[Reign<'t>]) -> Vec<&'t str> {
    let mut nodes = Vec::new();
    for reign in reigns.iter().rev() {
        if nodes.len() < NODES_MOST && !nodes.contains(&reign.node) {
            nodes.push(reign.node);
        }
    }
    nodes.sort_unstable();
    nodes
}

fn gaps(reigns: &[Reign<'_>], now: Timestamp) -> Vec<Stretch> {
    let mut gaps = Vec::new();
    let mut reigned = reigns.first().map_or(now, |first| first.from);
    for (from, to) in reigns.iter().map(|reign| (reign.from, reign.to)).chain([(now, now)]) {
        if from.since(reigned) >= GAP {
            gaps.push((reigned, from));
        }
        reigned = reigned.max(to);
    }
    gaps
}

/// A name from outside, no longer than its room.
fn shown(node: &str) -> String {
    words::clipped(&words::visible(node), NAME)
}

fn longest(gap: Duration) -> String {
    format!(", the longest {}", words::duration(gap.as_secs_f64()))
}

fn height(rows: usize) -> u32 {
    u32::try_from(top_of(rows) + FOOT).unwrap_or(0)
}

fn top_of(row: usize) -> i32 {
    TOP + ROW * i32::try_from(row).unwrap_or(0)
}

/// The time from left to right, above it the rows.
struct Axis {
    start: Timestamp,
    end: Timestamp,
    scale: RangedCoordf64,
    floor: i32,
}

impl Axis {
    fn new(start: Timestamp, end: Timestamp, rows: usize) -> Self {
        let start = start.min(end.minus(SHORTEST));
        let scale = RangedCoordf64::from(0.0..end.since(start).as_secs_f64());
        Self { start, end, scale, floor: top_of(rows) }
    }

    fn seconds(&self) -> f64 {
        self.end.since(self.start).as_secs_f64()
    }

    fn at(&self, instant: Timestamp) -> i32 {
        self.scale.map(&instant.since(self.start).as_secs_f64(), (LEFT, RIGHT))
    }

    fn block(&self, sheet: &Sheet<'_>, row: usize, (from, to): Stretch, (ink, text): (RGBColor, &str)) {
        let left = self.at(from);
        // A line of the page between two reigns of one node.
        let right = (self.at(to) - 1).max(left + LEAST);
        let top = top_of(row);
        sheet.block((left, top + 4), (right, top + ROW - 4), ink);
        let wide = DIGIT * i32::try_from(text.len()).unwrap_or(i32::MAX / DIGIT);
        if !text.is_empty() && wide + 6 <= right - left {
            sheet.bold((i32::midpoint(left, right), top + ROW / 2), HPos::Center, PAPER, text);
        }
    }

    /// Writes how long ago it was, below.
    fn write(&self, sheet: &Sheet<'_>) {
        sheet.text((RIGHT, self.floor + 20), HPos::Center, INK, "now");
        let span = self.end.since(self.start).as_secs();
        // At most four of them, so that they do not meet.
        let step = STEPS.into_iter().find(|(step, ..)| span.saturating_mul(2) <= step * 9);
        let Some((step, unit, name)) = step else { return };
        for back in (1..=4).map(|times| times * step).filter(|back| *back <= span) {
            let x = self.at(self.end.minus(Duration::from_secs(back)));
            sheet.line(vec![(x, self.floor), (x, self.floor + 6)], FAINT, 1);
            sheet.text((x, self.floor + 20), HPos::Center, INK, &format!("{} {name} ago", back / unit));
        }
    }
}

fn name_row(sheet: &Sheet<'_>, row: usize, name: &str) {
    let bottom = top_of(row) + ROW;
    sheet.line(vec![(8, bottom), (RIGHT, bottom)], FAINT, 1);
    sheet.text((8, bottom - ROW / 2), HPos::Left, INK, name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pictures::tests::{checked, says, shapes};
    use crate::domain::GenerationId;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + seconds * 1_000_000)
    }

    fn term(epoch: i64, node: &str, elected: i64, ended: Option<i64>) -> Term {
        Term {
            epoch: Epoch(epoch),
            generation: GenerationId(uuid::Uuid::nil()),
            node: node.to_owned(),
            elected_at: at(elected),
            ended_at: ended.map(at),
            end_reason: None,
        }
    }

    #[test]
    fn each_reign_is_a_block_in_its_nodes_row_and_a_gap_is_seen() {
        let terms = [
            term(4, "node-2", 3_000, None),
            term(3, "node-1", 1_500, Some(2_400)),
            term(2, "node-2", 1_000, Some(1_500)),
            term(1, "node-1", 0, Some(1_000)),
        ];
        let svg = checked(history(&terms, at(3_600)));
        assert_eq!(shapes(&svg, "rect", "#0A0A04"), 3, "{svg}");
        assert_eq!((shapes(&svg, "rect", "#0A0A01"), shapes(&svg, "rect", "#0A0A03")), (1, 1), "{svg}");
        let written = ["node-1", "node-2", "no master", "1", "2", "3", "4", "now", "15 min ago", "60 min ago"];
        assert!(written.into_iter().all(|text| says(&svg, text)), "{svg}");
        assert!(
            svg.contains(
                "last 60 min. Reigns: 4. node-2 reigns, epoch 4. Gaps without a master: 1, the longest 10 min."
            )
        );
        assert!(!says(&svg, "other nodes"), "{svg}");
    }

    #[test]
    fn when_nobody_reigns_the_gap_lasts_until_now() {
        let svg = checked(history(&[term(7, "a", 0, Some(10))], at(100)));
        assert_eq!((shapes(&svg, "rect", "#0A0A03"), shapes(&svg, "rect", "#0A0A01")), (1, 0), "{svg}");
        assert!(svg.contains("Nobody reigns. Gaps without a master: 1, the longest 90.0 s."), "{svg}");
    }

    #[test]
    fn a_hand_over_is_no_gap_and_a_missing_end_is_the_next_begin() {
        let mut terms = vec![term(1, "a", 0, Some(10)), term(2, "b", 10, None), term(3, "a", 20, None)];
        terms[1].elected_at = at(10).plus(Duration::from_millis(60));
        let reigns = reigns(&terms, at(30));
        assert!(gaps(&reigns, at(30)).is_empty());
        let ends: Vec<_> = reigns.iter().map(|reign| (reign.to, reign.lasts)).collect();
        assert_eq!(ends, [(at(10), false), (at(20), false), (at(30), true)]);
    }

    #[test]
    fn any_time_is_drawn() {
        for (elected, now) in [(0, 0), (0, -500), (0, 7), (0, 86_400), (0, 86_400 * 9), (0, 86_400 * 4_000)] {
            let svg = checked(history(&[term(1, "a", elected, None)], at(now)));
            assert_eq!(shapes(&svg, "rect", "#0A0A01"), 1, "{svg}");
            assert!(svg.matches(" ago</text>").count() <= 4, "{svg}");
        }
    }

    #[test]
    fn names_are_text_and_have_no_more_than_their_room() {
        let hostile = "</text><script>alert(1)</script>\u{202e}\0\u{1b}[2J";
        let svg = checked(history(&[term(1, hostile, 0, None), term(2, "\u{202e}\u{202e}\u{202e}", 5, None)], at(9)));
        assert!(!svg.contains("<script") && !svg.contains(['\u{202e}', '\0', '\u{1b}']), "{svg}");
        assert!(says(&svg, "&lt;/text&gt;&lt;script&gt;ale…"), "{svg}");
        assert!(says(&svg, "‹U+202E›‹U+202E›‹U…"), "{svg}");
    }

    #[test]
    fn many_nodes_share_a_row() {
        let terms: Vec<Term> = (0..50).map(|n| term(n, &format!("node-{n:02}"), n * 10, Some(n * 10 + 10))).collect();
        let svg = checked(history(&terms, at(500)));
        assert!(says(&svg, "other nodes") && says(&svg, "node-49") && !says(&svg, "node-41"), "{svg}");
        assert_eq!(shapes(&svg, "rect", "#0A0A04"), 50, "{svg}");
    }

    #[test]
    fn without_data_it_says_so() {
        assert!(says(&checked(history(&[], at(0))), "nothing yet"));
    }
}
