//! Lists against a naive filter over all tasks, page by page, while tasks move.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use task_scheduler::domain::{
    Due, HttpTarget, KafkaTarget, Misfire, NewTask, State, Target, Task, TaskId, Timestamp, tags,
};
use task_scheduler::store::{
    Change, Done, Filter, Ingested, Matching, Order, Page, Place, Positions, Resolution, UnseenCancel,
};

use crate::fixtures::{BASE, Fixture, failed, id, lost, one, succeeded, task};

/// More tasks than one look checks.
const MANY: u64 = 11_000;

fn labels(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn mixed(number: u64) -> NewTask {
    let mut task = task(number);
    let parts = [
        ("kind", if number.is_multiple_of(3) { "third" } else { "other" }),
        ("few", "yes"),
        ("a", "b=c"),
        ("a=b", "c"),
    ];
    let has = [true, number.is_multiple_of(31), number.is_multiple_of(10), number % 10 == 5];
    let kept = parts.iter().zip(has).filter(|(_, has)| *has).map(|(label, _)| *label);
    task.spec.labels = labels(&kept.collect::<Vec<_>>()).into_iter().collect();
    task.spec.target = match number % 5 {
        0 => Target::Log,
        1 => Target::Kafka(KafkaTarget { cluster: None, topic: "t".to_owned(), key: None, headers: [].into() }),
        n => Target::Http(HttpTarget {
            url: match (n, number % 2) {
                (4, 0) => "http://Host4.example:80/a".to_owned(),
                (4, _) => "https://Host4.example:80/a".to_owned(),
                _ => format!("https://Host{n}.example:9{n}/a"),
            },
            method: "POST".to_owned(),
            headers: [].into(),
        }),
    };
    if number % 8 == 6 {
        task.spec.misfire = Misfire::ExpireAfterMs(0);
    }
    task
}

/// A few hundred of all states, some of them taken in with others and some alone.
fn filled(fixture: &Fixture) -> Vec<Task> {
    let fence = fixture.master();
    let all: Vec<u64> = (1..=300).collect();
    let dues: Vec<Due> =
        all.chunks(50).flat_map(|some| fixture.ingest(&some.iter().copied().map(mixed).collect::<Vec<_>>())).collect();
    let of = |rest: u64| -> Vec<Due> {
        dues.iter().filter(|due| due.id.0.as_u128() % 8 == u128::from(rest)).copied().collect()
    };
    assert_eq!(fixture.expire(fence, &of(6)).len(), of(6).len());
    for due in of(7) {
        assert_eq!(fixture.store().cancel(due.id).unwrap(), Change::Done(None));
    }
    for rest in 1..=4 {
        let claims = fixture.claim(fence, fence.generation, &of(rest));
        if rest > 1 {
            fixture.store().start(fence.generation, &claims).unwrap().unwrap();
            let outcome = [succeeded, failed, lost][usize::try_from(rest).unwrap() - 2];
            let outcomes: Vec<_> = claims.into_iter().map(outcome).collect();
            fixture.store().settle(fence.generation, &outcomes, &Done::default()).unwrap();
        }
    }
    let mut tasks: Vec<Task> = all.iter().map(|number| fixture.find(id(u128::from(*number)))).collect();
    tasks.sort_by_key(|task| std::cmp::Reverse((task.created_at, task.id)));
    assert_eq!(tasks.iter().map(|task| task.state.code()).collect::<BTreeSet<_>>().len(), 7, "all states are there");
    tasks
}

/// As it is told, or as it may be asked for.
fn is_at(task: &Task, target: &str) -> bool {
    let address = tags::address(&task.spec.target);
    address == target || tags::without_own_port(target) == Some(&address)
}

fn shows(filter: &Filter, task: &Task) -> bool {
    filter.state.is_none_or(|state| task.state == state)
        && filter.labels.iter().all(|(name, value)| task.spec.labels.get(name) == Some(value))
        && filter.target.as_ref().is_none_or(|target| is_at(task, target))
        && filter.from.is_none_or(|from| task.created_at >= from)
        && filter.to.is_none_or(|to| task.created_at < to)
}

/// Every page of a list, from cursor to cursor; `between` is called after each.
fn walked(fixture: &Fixture, filter: &Filter, limit: usize, mut between: impl FnMut()) -> Vec<TaskId> {
    let (mut seen, mut filter) = (Vec::new(), Filter { limit, ..filter.clone() });
    for _ in 0..1_000 {
        let Page { tasks, next } = fixture.store().list(&filter).unwrap();
        assert!(tasks.len() <= limit);
        seen.extend(tasks.iter().map(|task| task.id));
        if next.is_none() {
            return seen;
        }
        assert!(filter.after.is_none_or(|after| next < Some(after)), "it goes on");
        filter.after = next;
        between();
    }
    panic!("it does not come to an end: {filter:?}");
}

fn matching(fixture: &Fixture, filter: &Filter) -> Vec<TaskId> {
    let Matching { tasks, next } = fixture.store().matching(&Filter { limit: 1_000, ..filter.clone() }).unwrap();
    assert_eq!(next, None);
    tasks.into_iter().map(|(_, id)| id).collect()
}

/// What can be asked for, one thing each.
fn filters(tasks: &[Task]) -> Vec<Filter> {
    let states = State::ALL.map(|state| Filter { state: Some(state), ..Filter::default() });
    let labels = [("kind", "third"), ("kind", "other"), ("few", "yes"), ("a", "b=c"), ("a=b", "c"), ("none", "x")]
        .map(|label| Filter { labels: labels(&[label]), ..Filter::default() });
    let targets =
        ["log", "kafka:t", "http:host2.example:92", "http:host4.example", "http:host4.example:80", "http:nowhere"]
            .map(|target| Filter { target: Some(target.to_owned()), ..Filter::default() });
    let times = [
        Filter { from: Some(tasks[200].created_at), ..Filter::default() },
        Filter { to: Some(tasks[100].created_at), ..Filter::default() },
        Filter::default(),
    ];
    [&states[..], &labels, &targets, &times].concat()
}

fn both(one: &Filter, other: &Filter) -> Filter {
    Filter {
        state: one.state.or(other.state),
        labels: [&one.labels[..], &other.labels].concat(),
        target: one.target.clone().or_else(|| other.target.clone()),
        from: one.from.or(other.from),
        to: one.to.or(other.to),
        ..Filter::default()
    }
}

pub fn every_filter_and_pair_of_filters_shows_just_what_it_should(fixture: &Fixture) {
    let tasks = filled(fixture);
    let single = filters(&tasks);
    let mut shown = 0;
    for one in &single {
        for other in &single {
            let filter = both(one, other);
            let expected: Vec<TaskId> = tasks.iter().filter(|task| shows(&filter, task)).map(|task| task.id).collect();
            assert_eq!(walked(fixture, &filter, 7, || {}), expected, "{filter:?}");
            assert_eq!(matching(fixture, &filter), expected, "{filter:?}");
            shown += expected.len();
        }
    }
    assert!(shown > 10_000, "most of them show something: {shown}");
}

pub fn every_task_is_shown_once_while_all_move_to_history(fixture: &Fixture) {
    let fence = fixture.master();
    let batch: Vec<NewTask> = (1..=60).map(mixed).collect();
    let dues = fixture.ingest(&batch);
    let mut claims = fixture.claim(fence, fence.generation, &dues);
    let third = Filter { labels: labels(&[("kind", "third")]), ..Filter::default() };
    for filter in [third, Filter { target: Some("log".to_owned()), ..Filter::default() }, Filter::default()] {
        let expected = matching(fixture, &filter);
        let seen = walked(fixture, &filter, 7, || {
            for claim in claims.drain(..claims.len().min(5)) {
                fixture.settle(fence.generation, &succeeded(claim));
            }
        });
        assert_eq!(seen, expected);
    }
    assert!(claims.len() < 30, "some have moved: {}", claims.len());
}

/// Not between two reads, but during each.
pub fn no_page_misses_a_task_that_moves_meanwhile(fixture: &Fixture) {
    let fence = fixture.master();
    let batch: Vec<NewTask> = (1..=400).map(mixed).collect();
    let dues = fixture.ingest(&batch);
    let claims = fixture.claim(fence, fence.generation, &dues);
    let third = Filter { labels: labels(&[("kind", "third")]), ..Filter::default() };
    let expected = [matching(fixture, &third), matching(fixture, &Filter::default())];
    let (moved, store) = (AtomicBool::new(false), fixture.store());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for claim in &claims {
                store.settle(fence.generation, &[lost(*claim)], &Done::default()).unwrap();
            }
            // And back: the others way round.
            for claim in &claims {
                store.resolve(claim.id, Resolution::Scheduled).unwrap();
            }
            moved.store(true, Ordering::SeqCst);
        });
        while !moved.load(Ordering::SeqCst) {
            for (filter, expected) in [third.clone(), Filter::default()].iter().zip(&expected) {
                assert_eq!(&walked(fixture, filter, 150, || {}), expected, "{filter:?}");
            }
        }
    });
}

pub fn a_look_is_bounded_and_goes_on(fixture: &Fixture) {
    let fence = fixture.master();
    let kind = |number: u64| if number.is_multiple_of(2) { ("even", "yes") } else { ("odd", "yes") };
    let batch: Vec<NewTask> = (1..=MANY)
        .map(|number| {
            let mut task = task(number);
            task.spec.labels = labels(&[kind(number), ("all", "yes")]).into_iter().collect();
            task
        })
        .collect();
    let dues: Vec<Due> = batch.chunks(1_000).flat_map(|some| fixture.ingest(some)).collect();
    let oldest = dues[0];
    let never = Filter { labels: labels(&[("even", "yes"), ("odd", "yes")]), limit: 9, ..Filter::default() };
    let first = fixture.store().list(&never).unwrap();
    assert!(first.tasks.is_empty() && first.next.is_some(), "it stops before it has seen all: {first:?}");
    assert_eq!(walked(fixture, &never, 9, || {}), []);

    let succeeding =
        Filter { state: Some(State::Succeeded), labels: labels(&[("all", "yes")]), limit: 9, ..Filter::default() };
    assert!(fixture.store().list(&succeeding).unwrap().next.is_none(), "there is none at all, which is seen at once");
    let claim = one(fixture.claim(fence, fence.generation, &[oldest]));
    let dispatched = Filter { state: Some(State::Dispatched), limit: 9, ..Filter::default() };
    assert_eq!(walked(fixture, &dispatched, 9, || panic!("it is found among the claims")), [oldest.id]);
    fixture.settle(fence.generation, &succeeded(claim));
    assert_eq!(walked(fixture, &succeeding, 9, || {}), [oldest.id]);
    assert_eq!(walked(fixture, &Filter { labels: labels(&kind_of(&oldest)), ..succeeding }, 9, || {}), [oldest.id]);
}

fn kind_of(due: &Due) -> [(&'static str, &'static str); 1] {
    [if due.id.0.as_u128().is_multiple_of(2) { ("even", "yes") } else { ("odd", "yes") }]
}

/// With very many claims held, the dispatched ones are looked for among the live tasks.
pub fn dispatched_ones_are_found_however_many_are_held(fixture: &Fixture) {
    let fence = fixture.master();
    let batch: Vec<NewTask> = (1..=MANY).map(task).collect();
    let dues: Vec<Due> = batch.chunks(1_000).flat_map(|some| fixture.ingest(some)).collect();
    for some in dues.chunks(1_000) {
        let orders: Vec<Order> = some.iter().map(|due| Order { due: *due, generation: fence.generation }).collect();
        fixture.store().claim(fence, &orders).unwrap();
    }
    fixture.ingest(&[task(MANY + 1)]);
    let filter = Filter { state: Some(State::Dispatched), ..Filter::default() };
    assert_eq!(walked(fixture, &filter, 1_000, || {}).len(), dues.len());
}

/// Tags by what a look for one finds: it asks no row.
fn tagged(fixture: &Fixture, number: u64) -> usize {
    matching(fixture, &Filter { labels: labels(&[("number", &number.to_string())]), ..Filter::default() }).len()
}

pub fn tags_are_written_for_what_is_stored_only(fixture: &Fixture) {
    let fence = fixture.master();
    let ends = Positions { topic_id: "topic".to_owned(), ends: vec![(0, 9)] };
    assert_eq!(fixture.store().cancel_unseen(id(3), &ends).unwrap(), UnseenCancel::Tombstone);
    let mut other = task(2);
    other.id = id(1);
    other.fingerprint = [9; 32];
    let outcomes = fixture.store().ingest(&[task(1), task(1), other.clone(), task(3)]).unwrap();
    assert!(matches!(outcomes[..], [Ingested::Stored(_), Ingested::Same, Ingested::Conflict, Ingested::Cancelled]));
    let log = Filter { target: Some("log".to_owned()), limit: 9, ..Filter::default() };
    assert_eq!([1, 2, 3].map(|number| tagged(fixture, number)), [1, 0, 1]);
    let cancelled = fixture.find(id(3));
    assert_eq!((cancelled.state, matching(fixture, &log)), (State::Cancelled, vec![id(3), id(1)]));
    let at: Vec<Place> = fixture.store().matching(&log).unwrap().tasks;
    assert_eq!(at[0], (cancelled.created_at, id(3)), "with the task's own instant");

    let claim = fixture.started(fence, task(4));
    fixture.settle(fence.generation, &lost(claim));
    assert_eq!(tagged(fixture, 4), 1);
    other.id = id(4);
    assert_eq!(fixture.store().ingest(&[task(4), other]).unwrap(), [Ingested::Same, Ingested::Conflict]);
    assert_eq!((tagged(fixture, 4), tagged(fixture, 2)), (1, 0), "what history knows leaves none");
    fixture.store().resolve(id(4), Resolution::Scheduled).unwrap();
    assert_eq!(tagged(fixture, 4), 1);
    assert_eq!(matching(fixture, &Filter { to: Some(BASE), ..log.clone() }), []);
    let later = Timestamp::from_micros(i64::MAX).minus(Duration::from_secs(1));
    assert_eq!(matching(fixture, &Filter { from: Some(later), ..log }), []);
}
