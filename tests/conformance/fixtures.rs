//! What every test starts from: a store of its own, a clock that can be made to jump, and short words for the common
//! steps.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::query_dsl::LoadQuery;
use diesel::{Connection as _, RunQueryDsl as _};
use task_scheduler::clock::Clock;
use task_scheduler::domain::payload::Payload;
use task_scheduler::domain::retry::RetryPolicy;
use task_scheduler::domain::state::Step;
use task_scheduler::domain::{
    AttemptOutcome, Claim, Delivery, Due, GenerationId, Misfire, NewTask, Spec, State, Target, Task, TaskId, Timestamp,
    Verdict,
};
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::sqlite::SqliteStore;
use task_scheduler::store::{
    Claimed, Done, EndedAttempt, Fence, Filter, Ingested, NewGeneration, Order, Ruled, Settled, Settlement, Store,
    StoreError, TakeOver,
};
use tempfile::TempDir;
use uuid::Uuid;

/// Long past, so that everything is due. Instants are told from each other, never from the wall clock.
pub const BASE: Timestamp = Timestamp::from_micros(1_000_000_000_000_000);

/// Long: a test decides itself who is deposed when. (All generations of one store are one process's, so that the next
/// may always take over from the one before.)
const LEASE: Duration = Duration::from_mins(1);

type Opened = Result<Box<dyn Store>, StoreError>;
type Open = Arc<dyn Fn(&Path, Clock) -> Opened>;
/// The URL of what was opened last; empty where it is a file.
type Place = Arc<Mutex<String>>;

/// A store and all that belongs to it.
pub struct Fixture {
    open: Open,
    place: Place,
    url: String,
    store: Option<Box<dyn Store>>,
    /// The database's clock where the store is embedded.
    pub clock: Clock,
    /// Where the store keeps its data.
    pub folder: TempDir,
}

/// On a file.
pub fn sqlite() -> Fixture {
    Fixture::new(Arc::new(|folder: &Path, clock| Ok(Box::new(SqliteStore::open(folder, clock)?))), Place::default())
}

/// In a schema of its own; `None` where there is no server.
pub fn postgres() -> Option<Fixture> {
    let server = crate::services::postgres::server()?;
    let place = Place::default();
    let opened = Arc::clone(&place);
    let open = move |_: &Path, _| -> Opened {
        let url = server.schema();
        let store = PostgresStore::new(&url, 3);
        store.prepare()?;
        *opened.lock().unwrap() = url;
        Ok(Box::new(store))
    };
    Some(Fixture::new(Arc::new(open), place))
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

impl Fixture {
    fn new(open: Open, place: Place) -> Self {
        let (clock, folder) = (Clock::new(), tempfile::tempdir().unwrap());
        let store = open(folder.path(), clock.clone()).unwrap();
        let url = place.lock().unwrap().clone();
        Self { open, place, url, store: Some(store), clock, folder }
    }

    pub fn store(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }

    /// An empty one of the same kind.
    pub fn another(&self) -> Self {
        Self::new(Arc::clone(&self.open), Arc::clone(&self.place))
    }

    /// Runs these statements past the store; what the last one gives, if it is a number.
    pub fn sql(&self, statements: &[String]) -> Option<i64> {
        fn run<C: diesel::Connection>(mut connection: C, statements: &[String]) -> Option<i64>
        where
            diesel::query_builder::SqlQuery: diesel::RunQueryDsl<C> + for<'q> LoadQuery<'q, C, Number>,
        {
            let (last, first) = statements.split_last()?;
            for statement in first {
                connection.batch_execute(statement).unwrap();
            }
            let found: Option<Number> = diesel::sql_query(last).load(&mut connection).unwrap().pop();
            found.map(|found| found.number)
        }
        if self.url.is_empty() {
            let file = self.folder.path().join("task-scheduler.db");
            let mut connection = diesel::sqlite::SqliteConnection::establish(&file.to_string_lossy()).unwrap();
            connection.batch_execute("PRAGMA busy_timeout = 2000").unwrap();
            run(connection, statements)
        } else {
            run(diesel::pg::PgConnection::establish(&self.url).unwrap(), statements)
        }
    }

    /// As a master leaves a task that comes due while it is paused: due at the end of time, its own instant beside.
    pub fn park(&self, number: u128) {
        let id = Uuid::from_u128(number);
        let id = if self.url.is_empty() { format!("x'{}'", id.simple()) } else { format!("'{id}'") };
        self.sql(&[
            format!("INSERT INTO parked (id, pause, due_at) SELECT id, 1, due_at FROM task WHERE id = {id}"),
            format!("UPDATE task SET due_at = 253402300799000000 WHERE id = {id}"),
            "SELECT count(*) AS number FROM parked".to_owned(),
        ]);
    }

    /// How many wait for the end of a pause.
    pub fn parked(&self) -> i64 {
        self.sql(&["SELECT count(*) AS number FROM parked".to_owned()]).unwrap()
    }

    /// A second one on the same data, while the first is open.
    pub fn open_second(&self) -> Result<Box<dyn Store>, StoreError> {
        (self.open)(self.folder.path(), self.clock.clone())
    }

    /// As after the end of the process.
    pub fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.open_second().unwrap());
    }

    /// A living generation of node `node-<number>`.
    pub fn generation(&self, number: u128) -> GenerationId {
        let id = GenerationId(Uuid::from_u128(0xa000 + number));
        let generation = NewGeneration {
            id,
            node: format!("node-{number}"),
            address: format!("127.0.0.{number}:8080"),
            version: "1.2.3".to_owned(),
            slots: 4,
        };
        self.store().register(&generation).unwrap();
        id
    }

    /// Makes it master.
    pub fn reign(&self, generation: GenerationId) -> Fence {
        match self.store().take_over(generation, LEASE).unwrap() {
            TakeOver::Won(epoch) => Fence { epoch, generation },
            TakeOver::Lost => panic!("no other lease is valid, so this one must win"),
        }
    }

    /// A living generation that is master.
    pub fn master(&self) -> Fence {
        self.reign(self.generation(1))
    }

    /// Stores them all.
    pub fn ingest(&self, batch: &[NewTask]) -> Vec<Due> {
        let outcomes = self.store().ingest(batch).unwrap();
        let stored = outcomes.into_iter().map(|outcome| match outcome {
            Ingested::Stored(due) => due,
            other => panic!("{other:?} instead of stored"),
        });
        stored.collect()
    }

    /// Claims for `generation`; what was claimed, in the order of `dues`.
    pub fn claim(&self, fence: Fence, generation: GenerationId, dues: &[Due]) -> Vec<Claim> {
        let orders: Vec<Order> = dues.iter().map(|due| Order { due: *due, generation }).collect();
        match self.store().claim(fence, &orders).unwrap() {
            Claimed::Fenced => panic!("fenced by another reign"),
            Claimed::Outdated => panic!("there are pauses, which this claim does not know"),
            Claimed::Done { claims, refused } => {
                assert_eq!(refused, []);
                assert!(claims.iter().all(|(owner, _)| *owner == generation));
                claims.into_iter().flat_map(|(_, claims)| claims).collect()
            }
        }
    }

    /// Stores one task and claims it for the master itself.
    pub fn claimed(&self, fence: Fence, task: NewTask) -> Claim {
        let dues = self.ingest(&[task]);
        one(self.claim(fence, fence.generation, &dues))
    }

    /// Stores one task, claims it for the master itself and writes its start record.
    pub fn started(&self, fence: Fence, task: NewTask) -> Claim {
        let claim = self.claimed(fence, task);
        assert!(self.store().start(fence.generation, &[claim]).unwrap().is_some());
        claim
    }

    /// Stores one task and ends it as `unknown`, without a word of its executor.
    pub fn unknown(&self, fence: Fence, task: NewTask) -> Claim {
        let claim = self.started(fence, task);
        assert_eq!(self.settle(fence.generation, &lost(claim)), Settled::Applied(None));
        claim
    }

    pub fn settle(&self, generation: GenerationId, settlement: &Settlement) -> Settled {
        one(self.store().settle(generation, std::slice::from_ref(settlement), &Done::default()).unwrap())
    }

    pub fn find(&self, id: TaskId) -> Task {
        self.store().find(id).unwrap().expect("a stored task")
    }

    pub fn state(&self, id: TaskId) -> State {
        self.find(id).state
    }

    /// Calls off what is overdue, where nothing was ever paused; the ids.
    pub fn expire(&self, fence: Fence, overdue: &[Due]) -> Vec<TaskId> {
        match self.store().expire(fence, overdue).unwrap() {
            Ruled::Done(expired) => expired,
            refused => panic!("{refused:?}"),
        }
    }

    /// What is scheduled, as far as time goes.
    pub fn scheduled(&self) -> Vec<Due> {
        self.store().scheduled(None, Timestamp::from_micros(i64::MAX), 1_000).unwrap()
    }

    /// The counters by state, which must be what a list shows.
    pub fn counts(&self) -> Vec<(State, u64)> {
        let mut counts = self.store().counts().unwrap();
        counts.retain(|(_, tasks)| *tasks > 0);
        for state in State::ALL {
            let filter = Filter { state: Some(state), limit: 10_000, ..Filter::default() };
            let listed = self.store().list(&filter).unwrap().tasks;
            assert!(listed.iter().all(|task| task.state == state));
            let counted = counts.iter().find(|(of, _)| *of == state).map_or(0, |(_, tasks)| *tasks);
            assert_eq!(counted, u64::try_from(listed.len()).unwrap(), "{state:?}: the counter against the list");
        }
        counts
    }
}

/// The only one.
pub fn one<T: std::fmt::Debug>(mut several: Vec<T>) -> T {
    assert_eq!(several.len(), 1, "{several:?}");
    several.remove(0)
}

pub fn id(number: u128) -> TaskId {
    TaskId(Uuid::from_u128(number))
}

/// Task `number`, due `number` seconds after [`BASE`], at most once, twice at most.
pub fn task(number: u64) -> NewTask {
    NewTask {
        id: id(u128::from(number)),
        run_at: BASE.plus(Duration::from_secs(number)),
        spec: Spec {
            target: Target::Log,
            payload: Payload::Json(format!(r#"{{"number":{number}}}"#)),
            delivery: Delivery::AtMostOnce,
            retry: RetryPolicy { max_attempts: 2, initial_ms: 0, jitter: 0.0, ..RetryPolicy::default() },
            timeout: Duration::from_secs(10),
            misfire: Misfire::Fire,
            priority: 0,
            labels: [("number".to_owned(), number.to_string())].into(),
        },
        fingerprint: [u8::try_from(number % 251).unwrap(); 32],
        accepted_at: None,
    }
}

pub fn at_least_once(number: u64) -> NewTask {
    let mut task = task(number);
    task.spec.delivery = Delivery::AtLeastOnce;
    task
}

/// A settlement of an attempt that started and ended at [`BASE`] and a little later.
fn settlement(claim: Claim, verdict: Verdict, outcome: AttemptOutcome) -> Settlement {
    let error = (outcome != AttemptOutcome::Succeeded).then(|| format!("it ended as {outcome:?}"));
    let attempt = EndedAttempt { started_at: BASE, finished_at: BASE.plus(Duration::from_millis(5)), outcome, error };
    Settlement { claim, verdict, attempt: Some(attempt) }
}

pub fn succeeded(claim: Claim) -> Settlement {
    settlement(claim, Verdict { step: Step::Succeed, due_at: None, counts: true }, AttemptOutcome::Succeeded)
}

pub fn failed(claim: Claim) -> Settlement {
    settlement(claim, Verdict { step: Step::Fail, due_at: None, counts: true }, AttemptOutcome::Failed)
}

pub fn lost(claim: Claim) -> Settlement {
    settlement(claim, Verdict { step: Step::Lose, due_at: None, counts: true }, AttemptOutcome::Ambiguous)
}

pub fn retried(claim: Claim, due_at: Timestamp) -> Settlement {
    settlement(claim, Verdict { step: Step::Retry, due_at: Some(due_at), counts: true }, AttemptOutcome::Failed)
}

/// Started and not sent: no attempt is counted.
pub fn not_sent(claim: Claim, due_at: Timestamp) -> Settlement {
    settlement(claim, Verdict { step: Step::Return, due_at: Some(due_at), counts: false }, AttemptOutcome::NotSent)
}

/// Given back before its start.
pub fn returned(claim: Claim, due_at: Timestamp) -> Settlement {
    let verdict = Verdict { step: Step::Return, due_at: Some(due_at), counts: false };
    Settlement { claim, verdict, attempt: None }
}

/// Task `n + 1` in the state `n` of all, in their order.
pub fn in_every_state(fixture: &Fixture, fence: Fence) {
    fixture.ingest(&[task(1)]);
    fixture.claimed(fence, task(2));
    let third = fixture.claimed(fence, task(3));
    fixture.settle(fence.generation, &succeeded(third));
    let fourth = fixture.claimed(fence, task(4));
    fixture.settle(fence.generation, &failed(fourth));
    fixture.unknown(fence, task(5));
    fixture.ingest(&[task(6)]);
    fixture.store().cancel(id(6)).unwrap();
    let mut overdue = task(7);
    overdue.spec.misfire = Misfire::ExpireAfterMs(0);
    let overdue = fixture.ingest(&[overdue]);
    assert_eq!(fixture.expire(fence, &overdue), [id(7)]);
    for (n, state) in State::ALL.into_iter().enumerate() {
        assert_eq!(fixture.state(id(n as u128 + 1)), state);
    }
}
