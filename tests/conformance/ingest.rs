//! How tasks come in: each id once, whatever is delivered how often.

use task_scheduler::domain::{Misfire, State};
use task_scheduler::store::{Change, DeadLetter, Ingested, OffsetMove};

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
    assert_eq!(fixture.store().expire(fence, &dues[1..]).unwrap(), [id(3)]);
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

pub fn an_offset_moves_only_from_where_it_was_expected(fixture: &Fixture) {
    let store = fixture.store();
    assert_eq!(store.offsets("topic-a").unwrap(), []);
    assert_eq!(store.ingest_from(&offset(0, Some(5), 6), &[task(1)]).unwrap(), None, "nothing is stored yet");
    assert!(store.ingest_from(&offset(0, None, 3), &[task(1)]).unwrap().is_some());
    assert!(store.ingest_from(&offset(2, None, 8), &[task(2)]).unwrap().is_some());
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 3), (2, 8)]);

    assert_eq!(store.ingest_from(&offset(0, None, 4), &[task(3)]).unwrap(), None, "another node was first");
    assert_eq!(store.ingest_from(&offset(0, Some(2), 4), &[task(3)]).unwrap(), None, "another node was faster");
    assert!(store.find(id(3)).unwrap().is_none(), "a batch that lost leaves nothing");
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 3), (2, 8)]);

    let outcomes = store.ingest_from(&offset(0, Some(3), 5), &[task(1), task(3)]).unwrap().unwrap();
    assert!(matches!(outcomes[..], [Ingested::Same, Ingested::Stored(_)]), "{outcomes:?}");
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 5), (2, 8)]);
    assert_eq!(fixture.counts(), [(State::Scheduled, 3)]);
}

pub fn a_topic_made_anew_begins_anew(fixture: &Fixture) {
    let store = fixture.store();
    assert!(store.ingest_from(&offset(0, None, 3), &[]).unwrap().is_some());
    let other = OffsetMove { topic_id: "topic-b".to_owned(), ..offset(0, None, 1) };
    assert!(store.ingest_from(&other, &[]).unwrap().is_some());
    assert_eq!(store.offsets("topic-a").unwrap(), [(0, 3)]);
    assert_eq!(store.offsets("topic-b").unwrap(), [(0, 1)]);
}

pub fn dead_letters_are_kept_and_counted(fixture: &Fixture) {
    let letter =
        |n: u8| DeadLetter { origin: format!("t/0/{n}"), reason: "no JSON".to_owned(), record: vec![n, 0, 255] };
    assert_eq!(fixture.store().dead_letters().unwrap(), 0);
    fixture.store().bury(&[]).unwrap();
    assert_eq!(fixture.store().dead_letters().unwrap(), 0);
    fixture.store().bury(&[letter(1), letter(2)]).unwrap();
    fixture.store().bury(&[letter(3)]).unwrap();
    assert_eq!(fixture.store().dead_letters().unwrap(), 3);
    assert_eq!(fixture.counts(), [], "no dead letter is a task");
}
