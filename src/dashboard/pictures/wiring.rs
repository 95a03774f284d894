//! The six actors, what stands between them, and how much goes each way.

use maud::Markup;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::sheet::{BAD, FAINT, INK, PAPER, Place, Sheet, WARN, nothing, picture};
use crate::dashboard::words;
use crate::metrics::ActorName;

/// An actor, on one node or added up over all.
#[derive(Debug, Clone, PartialEq)]
pub struct Wire {
    /// Its name as in [`ActorName::word`]; what is none of these is not drawn.
    pub name: String,
    /// Messages that it handles in a second.
    pub per_second: f64,
    /// Messages that wait for it.
    pub mailbox: i64,
    /// It has shown no sign of life for too long.
    pub is_silent: bool,
    /// Messages and passes that failed.
    pub errors: u64,
    /// Its lives after the first.
    pub restarts: u64,
}

/// From where to where, along one side.
type Side = (i32, i32);

const HEIGHT: u32 = 512;
const LEFT: Side = (6, 168);
const MIDDLE: Side = (244, 424);
const RIGHT: Side = (454, 634);
const UPPER: Side = (80, 172);
const INNER: Side = (226, 318);
const LOWER: Side = (372, 464);

const SUPERVISOR: Spot = Spot::of((6, 634), (4, 62));
const SUBMISSIONS: Spot = Spot::of(LEFT, UPPER);
const DATABASE: Spot = Spot::of((MIDDLE.0, RIGHT.1), INNER);
const TARGETS: Spot = Spot::of(LEFT, LOWER);
const ACTORS: [(ActorName, Spot); 5] = [
    (ActorName::KafkaIngest, Spot::of(LEFT, INNER)),
    (ActorName::Heartbeat, Spot::of(MIDDLE, UPPER)),
    (ActorName::MasterResolver, Spot::of(RIGHT, UPPER)),
    (ActorName::Dispatcher, Spot::of(RIGHT, LOWER)),
    (ActorName::Executor, Spot::of(MIDDLE, LOWER)),
];
const FLOWS: [Flow; 7] = [
    Flow::down(ActorName::KafkaIngest, LEFT, (UPPER, INNER)),
    Flow::across(ActorName::KafkaIngest, INNER, (LEFT.1 + AIR, MIDDLE.0 - AIR)),
    Flow::down(ActorName::Heartbeat, MIDDLE, (UPPER, INNER)),
    Flow::down(ActorName::MasterResolver, RIGHT, (UPPER, INNER)),
    Flow::down(ActorName::Dispatcher, RIGHT, (INNER, LOWER)).and_back(),
    Flow::down(ActorName::Executor, MIDDLE, (INNER, LOWER)).and_back(),
    Flow::across(ActorName::Executor, LOWER, (MIDDLE.0 - AIR, LEFT.1 + AIR)),
];

/// How far a text stands from its box's edge.
const INSET: i32 = 12;
/// From line to line, and from the edge to the first.
const LINE: i32 = 21;
/// How far an arrow stays away from what it leads to.
const AIR: i32 = 4;
/// How long and how wide an arrow's head is, from its middle.
const HEAD: (i32, i32) = (12, 5);

/// Where a box is.
#[derive(Debug, Clone, Copy)]
struct Spot {
    from: Place,
    to: Place,
}

impl Spot {
    const fn of(across: Side, down: Side) -> Self {
        Self { from: (across.0, down.0), to: (across.1, down.1) }
    }
}

/// What an actor moves, as an arrow.
#[derive(Debug, Clone, Copy)]
struct Flow {
    of: ActorName,
    from: Place,
    to: Place,
    goes_back: bool,
}

impl Flow {
    const fn down(of: ActorName, column: Side, (above, below): (Side, Side)) -> Self {
        let x = i32::midpoint(column.0, column.1);
        Self { of, from: (x, above.1 + AIR), to: (x, below.0 - AIR), goes_back: false }
    }

    const fn across(of: ActorName, row: Side, (from, to): Side) -> Self {
        let y = i32::midpoint(row.0, row.1);
        Self { of, from: (from, y), to: (to, y), goes_back: false }
    }

    const fn and_back(self) -> Self {
        Self { goes_back: true, ..self }
    }

    fn draw(self, sheet: &Sheet<'_>, wire: Option<&Wire>) {
        let ink = if wire.is_some_and(|wire| wire.is_silent) { BAD } else { INK };
        let (dx, dy) = ((self.to.0 - self.from.0).signum(), (self.to.1 - self.from.1).signum());
        // A thick line must not show beside the tip of its head.
        let start = if self.goes_back { (self.from.0 + dx * HEAD.1, self.from.1 + dy * HEAD.1) } else { self.from };
        sheet.line(vec![start, (self.to.0 - dx * HEAD.1, self.to.1 - dy * HEAD.1)], ink, 2);
        head(sheet, self.to, (dx, dy), ink);
        if self.goes_back {
            head(sheet, self.from, (-dx, -dy), ink);
        }
        let (x, y) = (i32::midpoint(self.from.0, self.to.0), i32::midpoint(self.from.1, self.to.1));
        if dx == 0 {
            sheet.text((x + INSET, y), HPos::Left, ink, &rate(wire));
        } else {
            sheet.text((x, y - LINE), HPos::Center, ink, &rate(wire));
        }
    }
}

/// The head of an arrow that points there, in this direction.
fn head(sheet: &Sheet<'_>, tip: Place, (dx, dy): (i32, i32), ink: RGBColor) {
    let (long, wide) = HEAD;
    let base = (tip.0 - dx * long, tip.1 - dy * long);
    // Across the direction.
    let (aside, down) = (dy * wide, dx * wide);
    sheet.shape(vec![tip, (base.0 + aside, base.1 + down), (base.0 - aside, base.1 - down)], ink);
}

/// The actors as boxes, with what waits, failed and was restarted; their rates at the arrows. One that is silent is named so.
pub fn wiring(actors: &[Wire]) -> Markup {
    if actors.is_empty() {
        return nothing("The six actors and what goes between them: no report.", HEIGHT, "nothing yet");
    }
    let wire = |name: ActorName| actors.iter().find(|wire| wire.name == name.word());
    let each: Vec<String> = ActorName::ALL.into_iter().map(|name| told(name, wire(name))).collect();
    let label = format!("The six actors and what goes between them, in messages a second: {}.", each.join("; "));
    picture(&label, HEIGHT, |sheet| {
        for (spot, text) in [(SUBMISSIONS, "submissions"), (DATABASE, "task database"), (TARGETS, "targets")] {
            sheet.frame(spot.from, spot.to, FAINT, 1);
            let middle = (i32::midpoint(spot.from.0, spot.to.0), i32::midpoint(spot.from.1, spot.to.1));
            sheet.text(middle, HPos::Center, INK, text);
        }
        supervisor(sheet, wire(ActorName::Supervisor));
        for (name, spot) in ACTORS {
            actor(sheet, spot, name, wire(name));
        }
        for flow in FLOWS {
            flow.draw(sheet, wire(flow.of));
        }
        sheet.text((320, 491), HPos::Center, INK, "at the arrows: messages a second");
    })
}

fn title(name: ActorName) -> &'static str {
    match name {
        ActorName::Supervisor => "Supervisor",
        ActorName::KafkaIngest => "KafkaIngest",
        ActorName::Heartbeat => "Heartbeat",
        ActorName::MasterResolver => "MasterResolver",
        ActorName::Dispatcher => "Dispatcher",
        ActorName::Executor => "Executor",
    }
}

fn rate(wire: Option<&Wire>) -> String {
    let known = wire.map(|wire| wire.per_second).filter(|rate| rate.is_finite());
    known.map_or_else(|| "–".to_owned(), words::rate)
}

/// An actor in words, for who cannot see the picture.
fn told(name: ActorName, wire: Option<&Wire>) -> String {
    let Some(it) = wire else { return format!("{} no report", title(name)) };
    let mut told = format!("{} {}", title(name), rate(wire));
    if it.is_silent {
        told.push_str(", silent");
    }
    for what in [(it.errors, "error"), (it.restarts, "restart")].into_iter().filter(|(count, _)| *count > 0).map(some) {
        told = told + ", " + &what;
    }
    told
}

fn some((count, what): (u64, &str)) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", words::count(count)),
    }
}

/// What is written about an actor, in three lines.
fn lines(wire: Option<&Wire>) -> Vec<(String, RGBColor)> {
    let Some(it) = wire else { return vec![("no report".to_owned(), INK)] };
    let waiting = words::count(u64::try_from(it.mailbox).unwrap_or(0));
    let ink = |count: u64| if count > 0 { WARN } else { INK };
    vec![
        (format!("{waiting} waiting"), INK),
        (some((it.errors, "error")), ink(it.errors)),
        (some((it.restarts, "restart")), ink(it.restarts)),
    ]
}

fn border(sheet: &Sheet<'_>, spot: Spot, wire: Option<&Wire>) {
    let (ink, thick) = match wire {
        Some(wire) if wire.is_silent => (BAD, 4),
        Some(_) => (INK, 2),
        None => (FAINT, 1),
    };
    sheet.frame(spot.from, spot.to, ink, thick);
}

/// A box with what is written about its actor; on the edge of a silent one's stands so.
fn actor(sheet: &Sheet<'_>, spot: Spot, name: ActorName, wire: Option<&Wire>) {
    border(sheet, spot, wire);
    let (x, mut y) = (spot.from.0 + INSET, spot.from.1 + LINE - 3);
    sheet.bold((x, y), HPos::Left, INK, title(name));
    for (line, ink) in lines(wire) {
        y += LINE;
        sheet.text((x, y), HPos::Left, ink, &line);
    }
    if wire.is_some_and(|wire| wire.is_silent) {
        silent(sheet, (spot.to.0 - 4, spot.from.1 - 3));
    }
}

/// Above the others, since it is over them: its box is wide and flat.
fn supervisor(sheet: &Sheet<'_>, wire: Option<&Wire>) {
    border(sheet, SUPERVISOR, wire);
    let (x, y) = (SUPERVISOR.from.0 + INSET, SUPERVISOR.from.1 + LINE - 3);
    sheet.bold((x, y), HPos::Left, INK, title(ActorName::Supervisor));
    sheet.text((x + 112, y), HPos::Left, INK, "starts and watches the other five");
    sheet.text((SUPERVISOR.to.0 - INSET, y), HPos::Right, INK, &rate(wire));
    for (place, (line, ink)) in (0_i32..).zip(lines(wire)) {
        sheet.text((x + place * 160, y + LINE + 2), HPos::Left, ink, &line);
    }
    if wire.is_some_and(|wire| wire.is_silent) {
        silent(sheet, (SUPERVISOR.to.0 - INSET, y + LINE + 2));
    }
}

/// The word in a block of its own, which ends there.
fn silent(sheet: &Sheet<'_>, (right, middle): Place) {
    sheet.block((right - 60, middle - 11), (right, middle + 11), BAD);
    sheet.bold((right - 30, middle), HPos::Center, PAPER, "silent");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pictures::tests::{checked, says, shapes};

    fn wire(name: ActorName) -> Wire {
        let name = name.word().to_owned();
        Wire { name, per_second: 12.0, mailbox: 3, is_silent: false, errors: 0, restarts: 0 }
    }

    #[test]
    fn every_actor_has_a_box_and_its_arrows() {
        let svg = checked(wiring(&ActorName::ALL.map(wire)));
        for name in ActorName::ALL {
            assert!(says(&svg, title(name)), "{svg}");
        }
        assert!(["submissions", "task database", "targets"].into_iter().all(|text| says(&svg, text)), "{svg}");
        assert_eq!((shapes(&svg, "polygon", "#010101"), shapes(&svg, "polygon", "#0A0A03")), (9, 0), "{svg}");
        // One for each arrow, and the Supervisor's.
        assert_eq!(svg.matches(">12/s</text>").count(), FLOWS.len() + 1, "{svg}");
        assert_eq!(svg.matches(">3 waiting</text>").count(), 6, "{svg}");
        assert_eq!(svg.matches(">no errors</text>").count(), 6, "{svg}");
        assert!(!svg.contains("silent"), "{svg}");
    }

    #[test]
    fn what_is_wrong_is_seen_at_once() {
        let mut actors = ActorName::ALL.map(wire);
        for actor in &mut actors {
            actor.is_silent = ["executor", "supervisor"].contains(&actor.name.as_str());
            actor.errors = u64::from(actor.name == "heartbeat") * 1_234;
            actor.restarts = u64::from(actor.name == "heartbeat");
        }
        let svg = checked(wiring(&actors));
        assert_eq!(svg.matches(">silent</text>").count(), 2, "{svg}");
        // Two frames and two arrows, one with two heads.
        assert_eq!((shapes(&svg, "polyline", "#0A0A03"), shapes(&svg, "polygon", "#0A0A03")), (2 + 2, 3), "{svg}");
        assert_eq!(shapes(&svg, "rect", "#0A0A03"), 2, "{svg}");
        assert_eq!(shapes(&svg, "text", "#0A0A02"), 2, "{svg}");
        assert!(says(&svg, "1\u{202f}234 errors") && says(&svg, "1 restart"), "{svg}");
        assert!(svg.contains("Heartbeat 12/s, 1\u{202f}234 errors, 1 restart; "), "{svg}");
        assert!(svg.contains("Executor 12/s, silent."), "{svg}");
    }

    #[test]
    fn what_is_not_known_is_said_and_what_is_foreign_is_not_drawn() {
        let strange = Wire { name: "<b>\u{202e}".to_owned(), ..wire(ActorName::Executor) };
        let odd = Wire { per_second: f64::NAN, mailbox: -1, ..wire(ActorName::Dispatcher) };
        let svg = checked(wiring(&[strange, odd]));
        assert!(!svg.contains("&lt;b&gt;") && !svg.contains("<b>"), "{svg}");
        assert_eq!(svg.matches(">no report</text>").count(), 5, "{svg}");
        assert!(says(&svg, "0 waiting") && svg.contains("Dispatcher –;"), "{svg}");
    }

    #[test]
    fn without_data_it_says_so() {
        assert!(says(&checked(wiring(&[])), "nothing yet"));
    }
}
