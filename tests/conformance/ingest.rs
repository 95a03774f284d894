//! How tasks come in: each id once, whatever is delivered how often.

use std::time::Duration;

use task_scheduler::domain::NewTask;
use task_scheduler::domain::limits::LETTER_BYTES_MAX;
use task_scheduler::domain::{Misfire, State};
use task_scheduler::store::{
    Change, DeadLetter, Ingested, OffsetMove, Positions, StoppedPartition, Stretch, UnseenCancel,
};

use crate::fixtures::{Fixture, id, succeeded, task};

pub fn a_new_task_is_stored_as_it_was_asked_for(fixture: &Fixture) {
    let before = fixture.store().now().unwrap();
    let new = task(7);
    let due = crate::fixtures::one(fixture.ingest(std::slice::from_ref(&new)));
    assert_eq!((due.id, due.due_at, due.priority, due.misfire), (new.id, new.run_at, 0, Misfire::Fire));

    let stored = fixture.find(new.id);
    assert_eq!((stored.state, stored.attempt), (State::Scheduled, 0));
    assert_eq!((stored.run_at, stored.due_at), (new.run_at, new.run_at));
    assert_eq!(stored.spec, new.spec);
    assert!(before <= stored.created_at && stored.created_at <= fixture.store().now().unwrap());
    assert_eq!((stored.dispatched_at, stored.started_at, stored.finished_at), (None, None, None));
    assert_eq!((stored.last_error, stored.node, stored.epoch), (None, None, None));
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn the_same_document_again_is_the_same_task(fixture: &Fixture) {
    fixture.ingest(&[task(1)]);
    assert_eq!(fixture.store().ingest(&[task(1)]).unwrap(), [Ingested::Same]);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn another_document_under_a_known_id_is_a_conflict(fixture: &Fixture) {
    fixture.ingest(&[task(1)]);
    let mut other = task(2);
    other.id = id(1);
    assert_eq!(fixture.store().ingest(&[other]).unwrap(), [Ingested::Conflict]);
    assert_eq!(fixture.find(id(1)).spec, task(1).spec, "the first one stays");
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
}

pub fn fingerprints_are_told_of_what_is_stored(fixture: &Fixture) {
    let fence = fixture.master();
    let finished = fixture.claimed(fence, task(1));
    fixture.settle(fence.generation, &succeeded(finished));
    fixture.ingest(&[task(2)]);
    let mut known = fixture.store().fingerprints(&[id(1), id(2), id(3)]).unwrap();
    known.sort();
    assert_eq!(known, [(id(1), task(1).fingerprint.to_vec()), (id(2), task(2).fingerprint.to_vec())]);
    assert_eq!(fixture.store().fingerprints(&[]).unwrap(), []);
}

pub fn a_batch_may_name_an_id_twice(fixture: &Fixture) {
    let mut other = task(3);
    other.id = id(1);
    let outcomes = fixture.store().ingest(&[task(1), task(2), task(1), other]).unwrap();
    assert!(
        matches!(outcomes[..], [Ingested::Stored(_), Ingested::Stored(_), Ingested::Same, Ingested::Conflict]),
        "{outcomes:?}"
    );
    assert_eq!(fixture.find(id(1)).spec, task(1).spec);
    assert_eq!(fixture.counts(), [(State::Scheduled, 2)]);
}

pub fn an_empty_batch_is_nothing(fixture: &Fixture) {
    assert_eq!(fixture.store().ingest(&[]).unwrap(), []);
    assert_eq!(fixture.counts(), []);
}

pub fn what_has_ended_is_never_scheduled_again_by_a_redelivery(fixture: &Fixture) {
    let fence = fixture.master();
    let mut overdue = task(3);
    overdue.spec.misfire = Misfire::ExpireAfterMs(1);
    let finished = fixture.claimed(fence, task(1));
    fixture.settle(fence.generation, &succeeded(finished));
    let dues = fixture.ingest(&[task(2), overdue.clone()]);
    assert_eq!(fixture.store().cancel(id(2)).unwrap(), Change::Done(None));
    assert_eq!(fixture.expire(fence, &dues[1..]), [id(3)]);
    fixture.unknown(fence, task(4));

    let ended = [(State::Succeeded, 1), (State::Unknown, 1), (State::Cancelled, 1), (State::Expired, 1)];
    assert_eq!(fixture.counts(), ended);
    let again = fixture.store().ingest(&[task(1), task(2), overdue, task(4)]).unwrap();
    assert_eq!(again, [Ingested::Same; 4]);
    assert_eq!(fixture.scheduled(), []);
    assert_eq!(fixture.counts(), ended);

    let mut other = task(5);
    other.id = id(1);
    assert_eq!(fixture.store().ingest(&[other]).unwrap(), [Ingested::Conflict]);
    assert_eq!(fixture.counts(), ended);
}

pub fn what_is_dispatched_is_not_scheduled_by_a_redelivery(fixture: &Fixture) {
    let fence = fixture.master();
    fixture.claimed(fence, task(1));
    assert_eq!(fixture.store().ingest(&[task(1)]).unwrap(), [Ingested::Same]);
    assert_eq!(fixture.counts(), [(State::Dispatched, 1)]);
}

fn offset(partition: i32, from: Option<i64>, to: i64) -> OffsetMove {
    OffsetMove { topic_id: "topic-a".to_owned(), partition, from, to }
}

/// A stretch of these tasks, the last of them just before its end.
fn stretch(offset: OffsetMove, tasks: &[NewTask]) -> Stretch {
    let first = offset.to - i64::try_from(tasks.len()).unwrap();
    let records = (first..).zip(tasks).map(|(at, _)| (at, vec![1, 2])).collect();
    Stretch { offset, tasks: tasks.to_vec(), records, letters: Vec::new() }
}

pub fn a_stopped_partition_is_not_taken_in_until_its_offset_is_set(fixture: &Fixture) {
    let store = fixture.store();
    let (topic_id, reason) = ("topic-a".to_owned(), "the brokers have 0 to 2".to_owned());
    let stop = |next| StoppedPartition { topic_id: topic_id.clone(), partition: 0, next, reason: reason.clone() };
    assert!(!store.stop_reading(&stop(3)).unwrap(), "nothing is stored yet");
    store.ingest_from(&stretch(offset(0, None, 3), &[task(1)])).unwrap().unwrap();
    store.ingest_from(&stretch(offset(1, None, 3), &[task(2)])).unwrap().unwrap();
    assert!(!store.stop_reading(&stop(2)).unwrap(), "another node has moved it");
    assert_eq!(store.stopped("topic-a").unwrap(), []);
    assert!(store.stop_reading(&stop(3)).unwrap());
    assert_eq!((store.stopped("topic-a").unwrap(), store.stopped("topic-b").unwrap()), (vec![stop(3)], vec![]));
    assert_eq!(store.ingest_from(&stretch(offset(0, Some(3), 4), &[task(3)])).unwrap(), None, "it is stopped");
    assert!(store.ingest_from(&stretch(offset(1, Some(3), 4), &[task(3)])).unwrap().is_some());
    store.set_offsets(&Positions { topic_id: topic_id.clone(), ends: vec![(0, 0)] }).unwrap();
    assert_eq!(store.stopped("topic-a").unwrap(), []);
    assert!(store.ingest_from(&stretch(offset(0, Some(0), 1), &[task(4)])).unwrap().is_some());
}

pub fn an_offset_moves_only_from_where_it_was_expected(fixture: &Fixture) {
    let store = fixture.store();
    assert_eq!(store.offsets("topic-a").unwrap(), []);
    assert_eq!(store.ingest_from(&stretch(offset(0, Some(5), 6), &[task(1)])).unwrap(), None, "nothing is stored yet");
    assert!(store.ingest_from(&stretch(offset(0, None, 3), &[task(1)])).unwrap().is_some());
    assert!(store.ingest_from(&stretch(offset(2, None, 8), &[task(2)])).unwrap().is_some());
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 3), (2, 8)]);

    assert_eq!(store.ingest_from(&stretch(offset(0, None, 4), &[task(3)])).unwrap(), None, "another node was first");
    assert_eq!(
        store.ingest_from(&stretch(offset(0, Some(2), 4), &[task(3)])).unwrap(),
        None,
        "another node was faster"
    );
    assert!(store.find(id(3)).unwrap().is_none(), "a batch that lost leaves nothing");
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 3), (2, 8)]);

    let outcomes = store.ingest_from(&stretch(offset(0, Some(3), 5), &[task(1), task(3)])).unwrap().unwrap();
    assert!(matches!(outcomes[..], [Ingested::Same, Ingested::Stored(_)]), "{outcomes:?}");
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 5), (2, 8)]);
    assert_eq!(fixture.counts(), [(State::Scheduled, 3)]);
}

pub fn a_topic_made_anew_begins_anew(fixture: &Fixture) {
    let store = fixture.store();
    assert!(store.ingest_from(&stretch(offset(0, None, 3), &[])).unwrap().is_some());
    let other = OffsetMove { topic_id: "topic-b".to_owned(), ..offset(0, None, 1) };
    assert!(store.ingest_from(&stretch(other, &[])).unwrap().is_some());
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 3)]);
    assert_eq!(store.offsets("topic-b").unwrap(), [(0, 1)]);
}

pub fn what_cannot_be_read_is_kept_once_with_its_reason(fixture: &Fixture) {
    let store = fixture.store();
    let letter =
        |n: u8| DeadLetter { origin: format!("topic-a[0]@{n}"), reason: "no JSON".to_owned(), record: vec![n, 0, 255] };
    assert_eq!(store.dead_letters().unwrap(), 0);
    let mut other = task(9);
    other.id = id(1);
    let mut read = stretch(offset(0, None, 5), &[task(1), other]);
    read.letters = vec![letter(0), letter(1)];
    assert!(matches!(store.ingest_from(&read).unwrap().unwrap()[..], [Ingested::Stored(_), Ingested::Conflict]));
    let letters = store.unpublished(10).unwrap();
    let reasons: Vec<&str> = letters.iter().map(|(_, letter)| letter.reason.as_str()).collect();
    assert_eq!(letters[..2].iter().map(|(_, letter)| letter.clone()).collect::<Vec<_>>(), [letter(0), letter(1)]);
    assert!(reasons[2].starts_with("conflict") && letters[2].1.origin == "topic-a[0]@4", "{reasons:?}");
    assert_eq!(store.unpublished(1).unwrap().len(), 1);

    store.set_offsets(&Positions { topic_id: "topic-a".to_owned(), ends: vec![(0, 0), (7, 3)] }).unwrap();
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 0), (7, 3)]);
    read.offset.from = Some(0);
    assert_eq!(store.ingest_from(&read).unwrap().unwrap(), [Ingested::Same, Ingested::Conflict]);
    assert_eq!(store.dead_letters().unwrap(), 3, "read again, they are the same");
    store.mark_published(&letters.iter().map(|(number, _)| *number).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.unpublished(10).unwrap(), []);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)], "no dead letter is a task");
}

pub fn large_dead_letters_are_read_by_their_beginnings_and_few_at_once(fixture: &Fixture) {
    let store = fixture.store();
    let letter = |n: u8, bytes: usize| DeadLetter {
        origin: format!("topic-a[0]@{n}"),
        reason: "no JSON".to_owned(),
        record: vec![n; bytes],
    };
    let mut read = stretch(offset(0, None, 9), &[]);
    read.letters = (0..7).map(|n| letter(n, 2_000_000)).chain([letter(7, LETTER_BYTES_MAX), letter(8, 3)]).collect();
    assert_eq!(store.ingest_from(&read).unwrap().unwrap(), []);
    let mut sizes = Vec::new();
    while let letters = store.unpublished(100).unwrap()
        && !letters.is_empty()
    {
        sizes.push(letters.iter().map(|(_, letter)| letter.record.len()).collect::<Vec<_>>());
        assert!(letters.iter().all(|(_, letter)| {
            read.letters.iter().any(|whole| whole.origin == letter.origin && whole.record.starts_with(&letter.record))
        }));
        store.mark_published(&letters.iter().map(|(number, _)| *number).collect::<Vec<_>>()).unwrap();
    }
    let cut = LETTER_BYTES_MAX + 1;
    assert_eq!(sizes, [vec![cut; 5], vec![cut, cut, LETTER_BYTES_MAX, 3]]);
}

/// Of any age.
const NOW: Duration = Duration::ZERO;

pub fn a_repeated_cancel_counts_from_where_the_topic_ends_then(fixture: &Fixture) {
    let store = fixture.store();
    assert_eq!(store.cancel_unseen(id(1), &ends(4)).unwrap(), UnseenCancel::Tombstone);
    // Then it was put on the topic.
    assert_eq!(store.cancel_unseen(id(1), &ends(5)).unwrap(), UnseenCancel::Tombstone);
    store.ingest_from(&stretch(offset(0, None, 4), &[task(2)])).unwrap().unwrap();
    assert_eq!(store.forget_tombstones("topic-a", NOW).unwrap(), 0);
    let outcomes = store.ingest_from(&stretch(offset(0, Some(4), 5), &[task(1)])).unwrap().unwrap();
    assert_eq!(outcomes, [Ingested::Cancelled]);
}

fn ends(end: i64) -> Positions {
    Positions { topic_id: "topic-a".to_owned(), ends: vec![(0, end), (1, 0)] }
}

pub fn a_cancel_stops_what_is_still_in_the_topic(fixture: &Fixture) {
    let store = fixture.store();
    assert_eq!(store.cancel_unseen(id(1), &ends(5)).unwrap(), UnseenCancel::Tombstone);
    assert_eq!(store.cancel_unseen(id(1), &ends(5)).unwrap(), UnseenCancel::Tombstone, "asked twice");
    assert!(store.find(id(1)).unwrap().is_none());
    assert_eq!(fixture.counts(), []);

    let read = stretch(offset(0, None, 4), &[task(1), task(2)]);
    let outcomes = store.ingest_from(&read).unwrap().unwrap();
    assert!(matches!(outcomes[..], [Ingested::Cancelled, Ingested::Stored(_)]), "{outcomes:?}");
    assert_eq!(fixture.find(id(1)).state, State::Cancelled);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1), (State::Cancelled, 1)]);
    assert_eq!(fixture.store().ingest(&[task(1)]).unwrap(), [Ingested::Same], "its record comes again");
    assert_eq!(store.cancel_unseen(id(1), &ends(5)).unwrap(), UnseenCancel::Stored(Change::Already));
    assert_eq!(store.cancel_unseen(id(2), &ends(5)).unwrap(), UnseenCancel::Stored(Change::Done(None)));
}

pub fn a_tombstone_goes_when_everything_before_it_is_ingested(fixture: &Fixture) {
    let store = fixture.store();
    assert_eq!(store.cancel_unseen(id(1), &ends(5)).unwrap(), UnseenCancel::Tombstone);
    store.ingest_from(&stretch(offset(0, None, 4), &[task(2)])).unwrap().unwrap();
    assert_eq!(store.forget_tombstones("topic-a", NOW).unwrap(), 0, "it may still come");
    store.ingest_from(&stretch(offset(0, Some(4), 5), &[task(3)])).unwrap().unwrap();
    assert_eq!(store.forget_tombstones("topic-b", NOW).unwrap(), 0);
    assert_eq!(store.forget_tombstones("topic-a", Duration::from_hours(1)).unwrap(), 0, "it may still be on its way");
    assert_eq!(store.forget_tombstones("topic-a", NOW).unwrap(), 1);
    assert!(matches!(store.ingest(&[task(1)]).unwrap()[..], [Ingested::Stored(_)]), "a new task of this id");
}
