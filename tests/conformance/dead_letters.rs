//! Dead letters as people ask for them, and their way back.

use std::time::Duration;

use task_scheduler::store::{Buried, DeadLetter, LETTER_BYTES_SHOWN, OffsetMove, Removed, Stretch};

use crate::fixtures::Fixture;

fn letter(n: usize, record: Vec<u8>) -> DeadLetter {
    DeadLetter { origin: format!("topic-a[0]@{n}"), reason: format!("reason {n}"), record }
}

/// Buries them, the first first; their numbers.
fn bury(fixture: &Fixture, records: &[&[u8]]) -> Vec<i64> {
    let store = fixture.store();
    let from = store.offsets("topic-a").unwrap().first().map(|(_, next)| *next);
    let to = from.unwrap_or(0) + i64::try_from(records.len()).unwrap();
    let first = usize::try_from(from.unwrap_or(0)).unwrap();
    let letters = records.iter().enumerate().map(|(n, record)| letter(first + n, record.to_vec())).collect();
    let offset = OffsetMove { topic_id: "topic-a".to_owned(), partition: 0, from, to };
    let stretch = Stretch { offset, tasks: vec![], records: vec![], letters };
    assert_eq!(store.ingest_from(&stretch).unwrap().unwrap(), []);
    let mut ids: Vec<i64> = store.buried(None, records.len()).unwrap().iter().map(|one| one.id).collect();
    ids.reverse();
    ids
}

fn ids(letters: &[Buried]) -> Vec<i64> {
    letters.iter().map(|one| one.id).collect()
}

pub fn they_are_shown_by_pages_the_newest_first(fixture: &Fixture) {
    let store = fixture.store();
    assert_eq!(store.buried(None, 9).unwrap(), []);
    let all = bury(fixture, &[b"a", b"bb", b"", b"dddd", b"e"]);
    let first = store.buried(None, 2).unwrap();
    assert_eq!(ids(&first), [all[4], all[3]]);
    assert_eq!(ids(&store.buried(Some(all[3]), 2).unwrap()), [all[2], all[1]]);
    assert_eq!(ids(&store.buried(Some(all[1]), 2).unwrap()), [all[0]]);
    assert_eq!(store.buried(Some(all[0]), 2).unwrap(), []);
    let shown = &first[1];
    assert_eq!((shown.origin.as_str(), shown.reason.as_str()), ("topic-a[0]@3", "reason 3"));
    assert_eq!((shown.bytes, shown.published, shown.replayed_at), (4, false, None));
    assert!(shown.buried_at <= store.now().unwrap());
    store.mark_published(&[shown.id]).unwrap();
    let published = store.buried(None, 9).unwrap();
    assert_eq!(published.iter().filter(|one| one.published).map(|one| one.id).collect::<Vec<_>>(), [shown.id]);
}

pub fn each_is_read_with_its_record_as_it_came(fixture: &Fixture) {
    let shown = usize::try_from(LETTER_BYTES_SHOWN).unwrap();
    let (large, huge) = (vec![b'x'; 1_048_577], vec![0xff; shown + 1]);
    let records: [&[u8]; 4] = [&[0xff, 0x00, 0xfe], b"", &large, &huge];
    for (n, (number, record)) in bury(fixture, &records).into_iter().zip(records).enumerate() {
        let (letter, read) = fixture.store().buried_record(number).unwrap().unwrap();
        assert_eq!((letter.id, letter.origin), (number, format!("topic-a[0]@{n}")));
        assert_eq!(letter.bytes, i64::try_from(record.len()).unwrap());
        assert!(read == record[..record.len().min(shown)], "the record of {n}");
        assert!(fixture.store().buried_record(number + 100).unwrap().is_none());
    }
    let unpublished: Vec<Vec<u8>> =
        fixture.store().unpublished(9).unwrap().into_iter().map(|(_, letter)| letter.record).collect();
    assert!(unpublished.contains(&vec![]), "an empty one too");
}

pub fn each_is_replayed_once_and_counted_no_more(fixture: &Fixture) {
    let store = fixture.store();
    assert_eq!(store.dead_letters().unwrap(), 0);
    let all = bury(fixture, &[b"a", b"b", b"c"]);
    assert_eq!(store.dead_letters().unwrap(), 3);
    assert!(store.mark_replayed(all[1]).unwrap());
    assert!(!store.mark_replayed(all[1]).unwrap(), "a second time");
    assert!(!store.mark_replayed(all[2] + 100).unwrap(), "there is none");
    assert_eq!(store.dead_letters().unwrap(), 2);
    let shown = store.buried(None, 9).unwrap();
    assert_eq!(ids(&shown), [all[2], all[1], all[0]], "it is shown still");
    let replayed: Vec<bool> = shown.iter().map(|one| one.replayed_at.is_some()).collect();
    assert_eq!(replayed, [false, true, false]);
    let unpublished: Vec<i64> = store.unpublished(9).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(unpublished, [all[0], all[2]], "it is none any more");

    // Read again it is the same dead letter, and stays replayed.
    store
        .set_offsets(&task_scheduler::store::Positions { topic_id: "topic-a".to_owned(), ends: vec![(0, 0)] })
        .unwrap();
    bury(fixture, &[b"a", b"b", b"c"]);
    assert_eq!((store.dead_letters().unwrap(), store.buried(None, 9).unwrap().len()), (2, 3));
    bury(fixture, &[b"d"]);
    assert_eq!(store.dead_letters().unwrap(), 3);
}

pub fn replayed_ones_go_in_time_and_others_never(fixture: &Fixture) {
    let store = fixture.store();
    let all = bury(fixture, &[b"a", b"b", b"c", b"d", b"e"]);
    for replayed in [all[4], all[0], all[1]] {
        assert!(store.mark_replayed(replayed).unwrap());
    }
    let removed = |dead_letters, more| Removed { tasks: 0, dead_letters, more };
    assert_eq!(store.remove(Duration::from_hours(1), 9).unwrap(), removed(0, false), "not long ago");
    assert_eq!(store.remove(Duration::ZERO, 2).unwrap(), removed(2, true));
    assert_eq!(ids(&store.buried(None, 9).unwrap()), [all[3], all[2], all[1]], "first the one replayed first");
    assert_eq!(store.remove(Duration::ZERO, 2).unwrap(), removed(1, false));
    assert_eq!(ids(&store.buried(None, 9).unwrap()), [all[3], all[2]]);
    assert_eq!(store.dead_letters().unwrap(), 2);
    assert_eq!(store.remove(Duration::ZERO, 2).unwrap(), removed(0, false));
    // Where there are none any more, a number is never used again.
    for last in [all[2], all[3]] {
        assert!(store.mark_replayed(last).unwrap());
    }
    assert_eq!(store.remove(Duration::ZERO, 9).unwrap(), removed(2, false));
    assert_eq!(store.dead_letters().unwrap(), 0);
    assert!(bury(fixture, &[b"f"])[0] > all[4]);
    assert_eq!(store.dead_letters().unwrap(), 1);
}
