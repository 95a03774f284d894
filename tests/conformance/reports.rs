//! What nodes report of themselves: the last report of each, and sums of minutes for a day.

use task_scheduler::domain::Timestamp;
use task_scheduler::domain::figures::{Figures, Minute, Snapshot};
use task_scheduler::store::{MINUTES_KEPT, Report, Reported};

use crate::fixtures::Fixture;

fn counted(starts: u64) -> Figures {
    Figures { starts, outcomes: [("succeeded".to_owned(), starts)].into(), ..Figures::default() }
}

fn minute(begun: Timestamp, starts: u64) -> Minute {
    Minute { begun_us: begun.micros(), figures: counted(starts) }
}

fn report(begun: Timestamp, starts: u64, ended: Option<Minute>) -> Report {
    let snapshot = Snapshot { over_ms: 60_000, recent: counted(starts), calls: 3, ..Snapshot::default() };
    Report { snapshot, current: minute(begun, starts), ended }
}

fn starts(minutes: &[Minute]) -> Vec<u64> {
    minutes.iter().map(|one| one.figures.starts).collect()
}

pub fn the_last_report_of_each_is_shown(fixture: &Fixture) {
    let store = fixture.store();
    assert_eq!(store.reports().unwrap(), []);
    let (one, other) = (fixture.generation(1), fixture.generation(2));
    let now = store.now().unwrap();
    store.report(one, &report(now, 1, None)).unwrap();
    store.report(other, &report(now, 5, None)).unwrap();
    store.report(one, &report(now, 2, None)).unwrap();
    let reports = store.reports().unwrap();
    let of = |id| -> &Reported { reports.iter().find(|one| one.generation == id).unwrap() };
    assert_eq!(reports.len(), 2);
    assert_eq!((of(one).snapshot.recent.starts, &of(one).current), (2, &minute(now, 2)));
    assert_eq!((of(other).snapshot.clone(), of(other).snapshot.calls), (report(now, 5, None).snapshot, 3));
}

pub fn minutes_are_kept_for_a_day(fixture: &Fixture) {
    let store = fixture.store();
    let generation = fixture.generation(1);
    let now = store.now().unwrap();
    let old = now.minus(MINUTES_KEPT).minus(std::time::Duration::from_secs(1));
    let late = now.minus(MINUTES_KEPT / 2);
    store.report(generation, &report(now, 0, Some(minute(old, 7)))).unwrap();
    store.report(generation, &report(now, 0, Some(minute(late, 8)))).unwrap();
    store.report(generation, &report(now, 3, Some(minute(now, 9)))).unwrap();
    assert_eq!(starts(&store.minutes(Timestamp::MIN).unwrap()), [8, 9], "and one that is older has gone");
    assert_eq!(starts(&store.minutes(late).unwrap()), [9]);
}

pub fn the_last_minute_ends_with_its_generation(fixture: &Fixture) {
    let store = fixture.store();
    let fence = fixture.master();
    let ended = fixture.generation(2);
    let now = store.now().unwrap();
    store.report(ended, &report(now, 4, None)).unwrap();
    store.drain(ended).unwrap();
    store.farewell(ended).unwrap();
    store.recover(fence, ended).unwrap().unwrap();
    assert_eq!(store.reports().unwrap(), []);
    assert_eq!(starts(&store.minutes(Timestamp::MIN).unwrap()), [4]);
    store.report(ended, &report(now, 5, None)).unwrap();
    assert_eq!(store.reports().unwrap(), [], "the dead report nothing");
}
