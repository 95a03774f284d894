//! A random walk: whatever happens in whatever order, the store agrees with a simple model of it, and every step that a
//! task takes is a legal one.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use task_scheduler::domain::state::TRANSITIONS;
use task_scheduler::domain::{Claim, GenerationId, Misfire, Outcome, State, TaskId};
use task_scheduler::store::{
    Change, Claimed, Done, Fence, Ingested, LetGo, Order, Patch, Patched, Paused, Recovered, Resolution, Ruled,
    Settled, Step,
};

use crate::fixtures::{BASE, Fixture, at_least_once, task};
use crate::model::{Held, Model};

/// What may happen; indexes choose among what there is.
#[derive(Debug, Clone)]
enum Happening {
    Submit,
    Redeliver(Index),
    Claim(Index, Index),
    Start(Index),
    End(Index, Outcome),
    /// By a claim that is not the task's: an older one, or another owner's.
    EndFalsely(Index, bool, Outcome),
    Cancel(Index),
    Resolve(Index, Resolution),
    Run(Index),
    Retry(Index),
    /// To so many seconds after the beginning of the tests' time.
    Patch(Index, u64),
    Expire(Index),
    /// What has the label of one of them, or everything.
    Pause(Option<Index>),
    Resume(Index),
    Park(Index),
    LetGo(Index),
    Drain(Index),
    Recover(Index),
    TakeOver(Index),
}

fn happening() -> impl Strategy<Value = Happening> {
    let index = any::<Index>;
    let error = || "it went wrong".to_owned();
    let outcome = prop_oneof![
        Just(Outcome::Succeeded),
        any::<bool>().prop_map(move |retryable| Outcome::Failed { retryable, retry_after: None, error: error() }),
        Just(Outcome::NotSent { error: error() }),
        Just(Outcome::Ambiguous { error: error() }),
    ];
    let to = prop_oneof![Just(Resolution::Succeeded), Just(Resolution::Failed), Just(Resolution::Scheduled)];
    prop_oneof![
        4 => Just(Happening::Submit),
        1 => index().prop_map(Happening::Redeliver),
        8 => (index(), index()).prop_map(|(task, owner)| Happening::Claim(task, owner)),
        6 => index().prop_map(Happening::Start),
        8 => (index(), outcome.clone()).prop_map(|(task, outcome)| Happening::End(task, outcome)),
        2 => (index(), any::<bool>(), outcome).prop_map(|(task, older, outcome)| Happening::EndFalsely(task, older, outcome)),
        1 => index().prop_map(Happening::Cancel),
        3 => (index(), to).prop_map(|(task, to)| Happening::Resolve(task, to)),
        1 => index().prop_map(Happening::Run),
        2 => index().prop_map(Happening::Retry),
        1 => (index(), 0..9_u64).prop_map(|(task, seconds)| Happening::Patch(task, seconds)),
        1 => index().prop_map(Happening::Expire),
        1 => proptest::option::of(index()).prop_map(Happening::Pause),
        1 => index().prop_map(Happening::Resume),
        3 => index().prop_map(Happening::Park),
        2 => index().prop_map(Happening::LetGo),
        1 => index().prop_map(Happening::Drain),
        2 => index().prop_map(Happening::Recover),
        1 => index().prop_map(Happening::TakeOver),
    ]
}

struct Walk<'a> {
    fixture: &'a Fixture,
    tasks: Vec<Model>,
    /// All that live, the master among them.
    alive: Vec<GenerationId>,
    /// Those that drain: they may still end what they have started.
    draining: Vec<GenerationId>,
    fence: Fence,
    generations: u128,
}

impl<'a> Walk<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        let alive = vec![fixture.generation(1), fixture.generation(2)];
        let fence = fixture.reign(alive[0]);
        Self { fixture, tasks: Vec::new(), alive, draining: Vec::new(), fence, generations: 2 }
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Submit => self.submit(),
            Happening::Drain(index) => self.drain(*index),
            Happening::Recover(index) => self.recover(*index),
            Happening::TakeOver(index) => self.fence = self.fixture.reign(*index.get(&self.alive)),
            _ if self.tasks.is_empty() => {}
            Happening::Redeliver(index) => {
                let asked = index.get(&self.tasks).asked.clone();
                assert_eq!(self.fixture.store().ingest(&[asked]).unwrap(), [Ingested::Same]);
            }
            Happening::Claim(index, owner) => self.claim(index.index(self.tasks.len()), *owner.get(&self.alive)),
            Happening::Start(index) => self.start(index.index(self.tasks.len())),
            Happening::End(index, outcome) => self.end(index.index(self.tasks.len()), outcome),
            Happening::EndFalsely(index, older, outcome) => self.end_falsely(index.get(&self.tasks), *older, outcome),
            Happening::Cancel(index) => self.cancel(index.index(self.tasks.len())),
            Happening::Resolve(index, to) => self.resolve(index.index(self.tasks.len()), *to),
            Happening::Run(index) => self.schedule(index.index(self.tasks.len()), State::Scheduled),
            Happening::Retry(index) => self.schedule(index.index(self.tasks.len()), State::Failed),
            Happening::Patch(index, seconds) => self.patch(index.index(self.tasks.len()), *seconds),
            Happening::Expire(index) => self.expire(index.index(self.tasks.len())),
            Happening::Pause(index) => self.pause(*index),
            Happening::Resume(index) => self.resume(*index),
            Happening::Park(index) => self.park(index.index(self.tasks.len())),
            Happening::LetGo(index) => self.let_go(*index),
        }
    }

    fn submit(&mut self) {
        let number = u64::try_from(self.tasks.len()).unwrap();
        let mut asked = if number.is_multiple_of(2) { at_least_once(number) } else { task(number) };
        if number.is_multiple_of(3) {
            asked.spec.misfire = Misfire::ExpireAfterMs(0);
        }
        let due_at = asked.run_at;
        let model = Model { asked, state: State::Scheduled, due_at, attempt: 0, claims: 0, held: None, parked: None };
        let stored = self.fixture.store().ingest(std::slice::from_ref(&model.asked)).unwrap();
        assert_eq!(stored, [Ingested::Stored(model.due())]);
        self.tasks.push(model);
    }

    fn claim(&mut self, at: usize, owner: GenerationId) {
        let model = &mut self.tasks[at];
        let order = Order { due: model.due(), generation: owner };
        let mut expected = Vec::new();
        if model.state == State::Scheduled && model.parked.is_none() {
            model.claims += 1;
            model.state = State::Dispatched;
            let claim = Claim { id: model.asked.id, claim_no: model.claims };
            let attempt = model.attempt + 1;
            model.held = Some(Held { claim, owner, attempt, due_at: model.due_at, started: false });
            expected.push((owner, vec![claim]));
        }
        let pauses = self.fixture.store().pauses().unwrap().count;
        let claimed = self.fixture.store().claim_under(self.fence, pauses, &[order]).unwrap();
        assert_eq!(claimed, Claimed::Done { claims: expected, refused: vec![] });
    }

    fn start(&mut self, at: usize) {
        let alive = self.alive.clone();
        let model = &mut self.tasks[at];
        let Some(held) = model.held.as_mut().filter(|held| model.state == State::Dispatched && !held.started) else {
            return;
        };
        let record = self.fixture.store().start(held.owner, &[held.claim]).unwrap();
        assert_eq!(record.is_some(), alive.contains(&held.owner));
        held.started = record.is_some();
    }

    fn end(&mut self, at: usize, outcome: &Outcome) {
        let model = &mut self.tasks[at];
        let Some(held) = model.held.filter(|held| held.started) else { return };
        let settlement = model.settlement(held, outcome);
        let expected = model.settle(&settlement, held);
        assert_eq!(self.fixture.settle(held.owner, &settlement), expected);
    }

    fn end_falsely(&self, model: &Model, older: bool, outcome: &Outcome) {
        let Some(held) = model.held else { return };
        let claim_no = if older { held.claim.claim_no - 1 } else { held.claim.claim_no };
        let foreign = self.alive.iter().copied().find(|generation| *generation != held.owner);
        let Some(owner) = (if older { Some(held.owner) } else { foreign }) else { return };
        let mut settlement = model.settlement(held, outcome);
        settlement.claim.claim_no = claim_no;
        let settled = self.fixture.store().settle(owner, &[settlement], &Done::default()).unwrap();
        assert_eq!(settled, [Settled::Stale]);
    }

    fn cancel(&mut self, at: usize) {
        let model = &mut self.tasks[at];
        let expected = match model.state {
            State::Scheduled => Change::Done(None),
            State::Cancelled => Change::Already,
            other => Change::Refused(other),
        };
        assert_eq!(self.fixture.store().cancel(model.asked.id).unwrap(), expected);
        if model.state == State::Scheduled {
            (model.state, model.parked) = (State::Cancelled, None);
        }
    }

    fn resolve(&mut self, at: usize, to: Resolution) {
        let model = &mut self.tasks[at];
        let target = match to {
            Resolution::Succeeded => State::Succeeded,
            Resolution::Failed => State::Failed,
            Resolution::Scheduled => State::Scheduled,
        };
        let before = model.state;
        let change = self.fixture.store().resolve(model.asked.id, to).unwrap();
        if before != State::Unknown {
            assert_eq!(change, if before == target { Change::Already } else { Change::Refused(before) });
            return;
        }
        model.state = target;
        let Change::Done(due) = change else { panic!("{change:?} for an unknown task") };
        assert_eq!(due.is_some(), target == State::Scheduled);
        if let Some(due) = due {
            (model.due_at, model.held) = (due.due_at, None);
            assert_eq!(due, model.due());
        }
    }

    /// Due now, if it stands there: `run` or `retry`.
    fn schedule(&mut self, at: usize, from: State) {
        let model = &mut self.tasks[at];
        let (store, id) = (self.fixture.store(), model.asked.id);
        let change = if from == State::Scheduled { store.run(id) } else { store.retry(id) };
        match change.unwrap() {
            Change::Done(Some(due)) => {
                assert_eq!(model.state, from);
                (model.state, model.due_at, model.held) = (State::Scheduled, due.due_at, None);
                model.parked = None;
                assert_eq!(due, model.due());
            }
            other => assert!(other == Change::Refused(model.state) && model.state != from, "{other:?}"),
        }
    }

    fn patch(&mut self, at: usize, seconds: u64) {
        let model = &mut self.tasks[at];
        let run_at = BASE.plus(std::time::Duration::from_secs(seconds));
        let patch = Patch { run_at: Some(run_at), ..Patch::default() };
        match self.fixture.store().patch(model.asked.id, &patch, &|_| true).unwrap() {
            Patched::Done(task, due) => {
                assert_eq!((model.state, task.run_at), (State::Scheduled, run_at));
                (model.due_at, model.parked) = (run_at, None);
                assert_eq!(due, model.due());
            }
            other => assert!(other == Patched::Refused(model.state) && model.state != State::Scheduled, "{other:?}"),
        }
    }

    fn expire(&mut self, at: usize) {
        let now = self.fixture.store().now().unwrap();
        let model = &mut self.tasks[at];
        if model.due_at >= now {
            return; // Due just now: whether it is over is the store's to say.
        }
        let free = model.state == State::Scheduled && model.parked.is_none();
        let over = free && model.asked.spec.misfire.is_over(model.due_at, now);
        let pauses = self.fixture.store().pauses().unwrap().count;
        let expired = self.fixture.store().expire_under(self.fence, pauses, &[model.due()]).unwrap();
        assert_eq!(expired, Ruled::Done(if over { vec![model.asked.id] } else { vec![] }));
        if over {
            model.state = State::Expired;
        }
    }

    fn pause(&self, of: Option<Index>) {
        let label = of.map(|index| index.get(&self.tasks).asked.spec.labels.iter().next().unwrap());
        let label = label.map(|(name, value)| (name.clone(), value.clone()));
        let known = self.fixture.store().pauses().unwrap().all.into_iter().find(|pause| pause.label == label);
        match (known, self.fixture.store().pause(label.as_ref(), None).unwrap()) {
            (None, Paused::New(pause)) => assert!(pause.is_in_force() && pause.label == label),
            (Some(known), Paused::Known(pause)) => assert!(pause.is_in_force() && pause.id == known.id),
            other => panic!("{other:?}"),
        }
    }

    fn resume(&self, index: Index) {
        let pauses = self.fixture.store().pauses().unwrap().all;
        if !pauses.is_empty() {
            let pause = index.get(&pauses);
            let resumed = self.fixture.store().resume(pause.id, pause.label.as_ref().map(|_| 1)).unwrap();
            assert!(resumed.is_some_and(|pause| !pause.is_in_force()));
        }
    }

    fn park(&mut self, at: usize) {
        let pauses = self.fixture.store().pauses().unwrap();
        let model = &mut self.tasks[at];
        let holds = pauses.holds(&|_| None);
        let (due, labels) = (model.due(), &model.asked.spec.labels);
        let holding = holds.iter().find(|hold| hold.holds(&due) && hold.pause.matches(labels)).map(|hold| hold.pause);
        let matching = self.fixture.store().park(self.fence, pauses.count, &holds, &[due]).unwrap();
        let Ruled::Done(matching) = matching else { panic!("{matching:?}") };
        // The labels of what has ended are not asked for.
        if model.state.is_live() {
            assert_eq!(matching.len(), usize::from(holding.is_some()));
        }
        if let Some(pause) = holding.filter(|_| model.state == State::Scheduled && model.parked.is_none()) {
            model.parked = Some(pause.id);
        }
    }

    /// At most two.
    fn let_go(&mut self, index: Index) {
        let pauses = self.fixture.store().pauses().unwrap();
        let resumed: Vec<_> = pauses.all.iter().filter(|pause| !pause.is_in_force()).collect();
        if resumed.is_empty() {
            return;
        }
        let resumed = *index.get(&resumed);
        let (pause, resumed_at, per_second) = (resumed.id, resumed.resumed_at, resumed.per_second);
        let to_come = |model: &Model| model.state == State::Scheduled && model.parked.is_none();
        let matches = |model: &Model| resumed.matches(&model.asked.spec.labels);
        let to_come = |model: &Model| to_come(model) && Some(model.due().due_at) < resumed_at && matches(model);
        let to_come = per_second.is_some() && self.tasks.iter().any(to_come);
        let mut waiting: Vec<&mut Model> = self.tasks.iter_mut().filter(|model| model.parked == Some(pause)).collect();
        waiting.sort_by_key(|model| model.due().key());
        let is_over = waiting.len() < 2 && !to_come;
        let expected: Vec<_> = waiting
            .into_iter()
            .take(2)
            .map(|model| {
                model.parked = None;
                model.due()
            })
            .collect();
        let let_go = self
            .fixture
            .store()
            .let_go(self.fence, pauses.count, &Step { pause, after: None, reached: None, limit: 2 })
            .unwrap();
        let Ruled::Done(LetGo { mut tasks, is_over: is, .. }) = let_go else { panic!("{let_go:?}") };
        tasks.sort_by_key(task_scheduler::domain::Due::key);
        assert_eq!((tasks, is), (expected, is_over));
        let is_there = self.fixture.store().pauses().unwrap().all.iter().any(|one| one.id == pause);
        assert_eq!(is_there, !is_over);
    }

    fn drain(&mut self, index: Index) {
        let leaving = self.alive.remove(index.index(self.alive.len()));
        self.draining.push(leaving);
        self.replace();
        let back = self.fixture.store().drain(leaving).unwrap();
        self.left_behind(leaving, Recovered { scheduled: back, unknown: vec![] }, false);
    }

    fn recover(&mut self, index: Index) {
        let at = index.index(self.alive.len() + self.draining.len());
        let leaving = if at < self.alive.len() {
            self.replace();
            self.alive.remove(at)
        } else {
            self.draining.remove(at - self.alive.len())
        };
        let recovered = self.fixture.store().recover(self.fence, leaving).unwrap().expect("the reign holds");
        self.left_behind(leaving, recovered, true);
    }

    /// Another one for one that leaves.
    fn replace(&mut self) {
        self.generations += 1;
        self.alive.push(self.fixture.generation(self.generations));
    }

    /// What a generation had comes back, as far as it is recovered or was not started; and nothing else.
    fn left_behind(&mut self, leaving: GenerationId, recovered: Recovered, dead: bool) {
        let Recovered { scheduled: mut back, mut unknown } = recovered;
        for model in &mut self.tasks {
            let Some(held) = model.held.filter(|held| held.owner == leaving && model.state == State::Dispatched) else {
                continue;
            };
            if held.started && !dead {
                continue;
            }
            let outcome = Outcome::Ambiguous { error: String::new() };
            let refires = !held.started || model.settlement(held, &outcome).verdict.due_at.is_some();
            if held.started {
                model.attempt = held.attempt;
            }
            if refires {
                let at = back.iter().position(|due| due.id == model.asked.id).expect("scheduled again");
                model.state = State::Scheduled;
                model.due_at = if held.started { back[at].due_at } else { held.due_at };
                model.held = None;
                assert_eq!(back.remove(at), model.due());
            } else {
                let at = unknown.iter().position(|id| *id == model.asked.id).expect("unknown");
                unknown.remove(at);
                model.state = State::Unknown;
            }
        }
        assert_eq!((back, unknown), (vec![], vec![]), "nothing else came back");
    }

    fn states(&self) -> Vec<(TaskId, State)> {
        self.tasks.iter().map(|model| (model.asked.id, self.fixture.state(model.asked.id))).collect()
    }

    /// The store shows what the model says, and came there legally.
    fn check(&self, before: &[(TaskId, State)]) {
        for (id, from) in before {
            let to = self.fixture.state(*id);
            let legal = TRANSITIONS.iter().any(|(a, _, b)| a == from && *b == to);
            assert!(*from == to || legal, "{id} went from {from:?} to {to:?}");
        }
        for model in &self.tasks {
            let found = self.fixture.find(model.asked.id);
            assert_eq!((found.state, found.attempt), (model.state, model.attempt), "{model:?}");
            assert_eq!((found.due_at, found.paused), (model.due_at, model.parked.is_some()));
        }
        for (state, counted) in self.fixture.store().counts().unwrap() {
            let of_model = self.tasks.iter().filter(|model| model.state == state).count();
            assert_eq!(counted, u64::try_from(of_model).unwrap(), "{state:?}");
        }
        self.fixture.counts();
    }
}

pub fn the_store_agrees_with_the_model(fixture: &Fixture) {
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let walks = proptest::collection::vec(happening(), 1..60);
    let result = TestRunner::new(config).run(&walks, |walk| {
        let fresh = fixture.another();
        let mut state = Walk::new(&fresh);
        for happening in &walk {
            let before = state.states();
            state.happen(happening);
            state.check(&before);
        }
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.unwrap_err());
}
