//! What people ask for: one task, pages of tasks.

use std::time::Duration;

use task_scheduler::domain::payload::Payload;
use task_scheduler::domain::{Delivery, HttpTarget, KafkaTarget, Misfire, NewTask, State, Target, Task, TaskId};
use task_scheduler::store::Filter;

use crate::fixtures::{Fixture, failed, id, succeeded, task};

fn list(fixture: &Fixture, filter: &Filter) -> Vec<TaskId> {
    fixture.store().list(filter).unwrap().tasks.into_iter().map(|task| task.id).collect()
}

fn all() -> Filter {
    Filter { limit: 100, ..Filter::default() }
}

fn labelled(number: u64, labels: &[(&str, &str)]) -> NewTask {
    let mut task = task(number);
    task.spec.labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    task
}

fn labels(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn live_and_ended_tasks_are_found_with_their_payload(fixture: &Fixture) {
    let fence = fixture.master();
    let claim = fixture.started(fence, task(1));
    assert_eq!(fixture.find(id(1)).spec, task(1).spec);
    fixture.settle(fence.generation, &succeeded(claim));
    assert_eq!(fixture.find(id(1)).spec, task(1).spec);
    assert!(fixture.store().find(id(2)).unwrap().is_none());
}

pub fn lists_carry_no_payload(fixture: &Fixture) {
    let fence = fixture.master();
    let mut binary = task(2);
    binary.spec.payload = Payload::Bytes(vec![0, 1, 255]);
    let claim = fixture.claimed(fence, binary);
    fixture.settle(fence.generation, &failed(claim));
    fixture.ingest(&[task(1)]);
    let listed = fixture.store().list(&all()).unwrap().tasks;
    assert_eq!(listed.len(), 2);
    for shown in listed {
        assert_eq!(shown.spec.payload.bytes(), b"");
        let mut found = fixture.find(shown.id);
        found.spec.payload = shown.spec.payload.clone();
        assert_eq!(shown, found, "everything else is shown as it is");
    }
}

pub fn a_list_shows_the_newest_first(fixture: &Fixture) {
    let fence = fixture.master();
    fixture.ingest(&[task(5), task(3), task(4)]);
    let claim = fixture.claimed(fence, task(2));
    fixture.settle(fence.generation, &succeeded(claim));
    fixture.ingest(&[task(1)]);
    assert_eq!(list(fixture, &all()), [1, 2, 5, 4, 3].map(id), "of one instant, by id");
    assert_eq!(list(fixture, &Filter { limit: 2, ..all() }), [1, 2].map(id));
    assert_eq!(list(fixture, &Filter { limit: 0, ..all() }), []);
}

pub fn a_list_is_filtered_by_state(fixture: &Fixture) {
    let fence = fixture.master();
    let mut overdue = task(7);
    overdue.spec.misfire = Misfire::ExpireAfterMs(0);
    let dues = fixture.ingest(&[overdue, task(1), task(6)]);
    fixture.expire(fence, &dues);
    fixture.store().cancel(id(6)).unwrap();
    fixture.claimed(fence, task(2));
    for (number, outcome) in [(3, succeeded as fn(_) -> _), (4, failed)] {
        let claim = fixture.claimed(fence, task(number));
        fixture.settle(fence.generation, &outcome(claim));
    }
    fixture.unknown(fence, task(5));
    for (state, number) in State::ALL.into_iter().zip(1..) {
        assert_eq!(list(fixture, &Filter { state: Some(state), ..all() }), [id(number)], "{state:?}");
    }
    assert_eq!(list(fixture, &all()).len(), 7);
}

pub fn a_list_is_filtered_by_all_labels(fixture: &Fixture) {
    let fence = fixture.master();
    let odd = [("a.b", "x"), ("it's \"odd\"", "100%_\\ü"), ("env", "test")];
    fixture.ingest(&[
        labelled(1, &[("env", "prod"), ("team", "blue")]),
        labelled(2, &[("env", "prod"), ("team", "red")]),
        labelled(3, &odd),
        labelled(4, &[]),
    ]);
    let claim = fixture.claimed(fence, labelled(5, &[("env", "prod"), ("team", "blue"), ("more", "")]));
    fixture.settle(fence.generation, &succeeded(claim));
    let found = |wanted: &[(&str, &str)]| list(fixture, &Filter { labels: labels(wanted), ..all() });
    assert_eq!(found(&[("env", "prod")]), [5, 2, 1].map(id));
    assert_eq!(found(&[("env", "prod"), ("team", "blue")]), [5, 1].map(id));
    assert_eq!(found(&[("env", "prod"), ("team", "green")]), []);
    assert_eq!(found(&[("prod", "env")]), []);
    assert_eq!(found(&[("env", "pro")]), [], "whole values");
    assert_eq!(found(&[("more", "")]), [id(5)]);
    for one in odd {
        assert_eq!(found(&[one]), [id(3)], "{one:?}");
    }
}

pub fn a_list_is_filtered_by_creation(fixture: &Fixture) {
    let mut created = Vec::new();
    for number in 1..=4 {
        fixture.ingest(&[task(number)]);
        created.push(fixture.find(id(u128::from(number))).created_at);
    }
    assert!(created.is_sorted_by(|a, b| a < b), "each has its own instant");
    let between = |from: Option<usize>, to: Option<usize>| {
        list(fixture, &Filter { from: from.map(|at| created[at]), to: to.map(|at| created[at]), ..all() })
    };
    assert_eq!(between(Some(2), None), [4, 3].map(id), "at or after");
    assert_eq!(between(None, Some(2)), [2, 1].map(id), "before");
    assert_eq!(between(Some(1), Some(3)), [3, 2].map(id));
    assert_eq!(between(Some(3), Some(1)), []);
}

pub fn filters_hold_together(fixture: &Fixture) {
    let fence = fixture.master();
    for number in 1..=6 {
        let colour = if number % 2 == 0 { "even" } else { "odd" };
        let claim = fixture.claimed(fence, labelled(number, &[("kind", colour)]));
        if number > 2 {
            fixture.settle(fence.generation, &succeeded(claim));
        }
    }
    let from = fixture.find(id(2)).created_at;
    let after = fixture.find(id(6));
    let filter = Filter {
        state: Some(State::Succeeded),
        labels: labels(&[("kind", "even")]),
        from: Some(from),
        after: Some((after.created_at, after.id)),
        ..all()
    };
    assert_eq!(list(fixture, &filter), [id(4)]);
    assert_eq!(list(fixture, &Filter { state: None, ..filter }), [4, 2].map(id));
}

pub fn paging_sees_each_once_while_others_come_and_go(fixture: &Fixture) {
    let fence = fixture.master();
    let batch: Vec<NewTask> = (100..110).map(task).collect();
    let dues = fixture.ingest(&batch);
    fixture.ingest(&[task(50), task(51)]);
    let claims = fixture.claim(fence, fence.generation, &dues);
    let (mut seen, mut after, mut page_no) = (Vec::new(), None, 0_usize);
    loop {
        let page: Vec<Task> = fixture.store().list(&Filter { after, limit: 3, ..Filter::default() }).unwrap().tasks;
        let Some(last) = page.last() else { break };
        after = Some((last.created_at, last.id));
        seen.extend(page.iter().map(|task| task.id));
        // New ones come before the first page; one shown already and one still to come move to history.
        fixture.ingest(&[task(200 + u64::try_from(page_no).unwrap())]);
        for claim in [claims[page_no], claims[9 - page_no]] {
            fixture.settle(fence.generation, &succeeded(claim));
        }
        page_no += 1;
    }
    let expected: Vec<TaskId> = [51, 50].into_iter().chain((100..110).rev()).map(id).collect();
    assert_eq!(seen, expected);
}

pub fn every_kind_of_task_comes_back_as_it_was(fixture: &Fixture) {
    let fence = fixture.master();
    let mut http = task(1);
    http.spec.target = Target::Http(HttpTarget {
        url: "https://example.org/a?b='c'".to_owned(),
        method: "PUT".to_owned(),
        headers: [("x-one".to_owned(), "\"1\"".to_owned())].into(),
    });
    http.spec.payload = Payload::Bytes(vec![0, 39, 255]);
    http.spec.delivery = Delivery::AtLeastOnce;
    http.spec.misfire = Misfire::ExpireAfterMs(u64::MAX >> 1);
    http.spec.timeout = Duration::from_millis(1);
    http.spec.priority = 9;
    http.spec.retry.factor = 1.1;
    http.spec.retry.max_attempts = 1;
    let mut kafka = task(2);
    kafka.spec.target = Target::Kafka(KafkaTarget {
        cluster: Some("west".to_owned()),
        topic: "t".to_owned(),
        key: Some("ключ".to_owned()),
        headers: [].into(),
    });
    kafka.spec.payload = Payload::Empty;
    kafka.spec.labels = [].into();
    let mut json = task(3);
    json.spec.payload = Payload::Json("{ \"n\": 1.000000000000000000001 }".to_owned());
    for asked in [http, kafka, json] {
        let claim = fixture.claimed(fence, asked.clone());
        assert_eq!(fixture.find(asked.id).spec, asked.spec);
        let assigned = fixture.store().assigned(fence.generation, 0, 10).unwrap();
        assert!(assigned.iter().flat_map(|row| &row.tasks).any(|task| task.spec == asked.spec));
        fixture.settle(fence.generation, &succeeded(claim));
        assert_eq!(fixture.find(asked.id).spec, asked.spec, "in history too");
    }
}
