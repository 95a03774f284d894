//! An operation on one task, whoever asks for it: a call, or a page of the dashboard.

use super::ApiState;
use super::problem::Problem;
use crate::domain::{State, Task, TaskId, Timestamp};
use crate::queue::kafka::Unstored;
use crate::store::{Change, Operation, Patch, Patched, Result as StoreResult, Store};

/// What a task must be to be called off.
pub const CANCELLED: &str = "only a scheduled one can be cancelled";
/// What a task must be to be changed.
pub const CHANGED: &str = "only a scheduled one can be changed";

/// Does it, and says how the task stands then. Who is scheduled now is told to the Dispatcher.
///
/// # Errors
/// The task is not there, or perhaps not yet, or its state does not allow it.
pub async fn act(api: &ApiState, id: TaskId, operation: Operation) -> Result<State, Problem> {
    // Asked first: what is forgotten between the two questions is stored.
    let accepted = api.remembered(id);
    let change = api.ask(move |store| match operation {
        Operation::Cancel => store.cancel(id),
        Operation::Run => store.run(id),
        Operation::Retry => store.retry(id),
        Operation::Resolve(to) => store.resolve(id, to),
        Operation::Reschedule(run_at) => reschedule(store, id, run_at),
    });
    match change.await? {
        Change::Done(due) => {
            api.status.hint(due.into_iter().collect());
            Ok(operation.leads_to())
        }
        Change::Already => Ok(operation.leads_to()),
        Change::Refused(state) => Err(Problem::wrong_state(id, state, needed(operation))),
        Change::NotFound => Err(not_there(id, accepted, needed(operation))),
    }
}

fn reschedule(store: &dyn Store, id: TaskId, run_at: Timestamp) -> StoreResult<Change> {
    let patch = Patch { run_at: Some(run_at), ..Patch::default() };
    Ok(match store.patch(id, &patch, &|_: &Task| true)? {
        Patched::Done(_, due) => Change::Done(Some(due)),
        Patched::Refused(state) => Change::Refused(state),
        // As it stands, every task fits.
        Patched::NotFound | Patched::Unfit => Change::NotFound,
    })
}

/// What the task must be for it.
fn needed(operation: Operation) -> &'static str {
    match operation {
        Operation::Cancel => CANCELLED,
        Operation::Run => "only a scheduled one can be run now",
        Operation::Retry => "only a failed one can be retried",
        Operation::Resolve(_) => "only an unknown one can be resolved",
        Operation::Reschedule(_) => CHANGED,
    }
}

/// It is not stored: perhaps not yet.
pub fn not_there(id: TaskId, accepted: Option<Unstored>, needed: &str) -> Problem {
    accepted.map_or_else(|| Problem::no_such_task(id), |state| Problem::not_stored(id, state.word(), needed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::Kind;
    use crate::api::{fake, submission};
    use crate::queue::Published;
    use crate::store::Resolution;

    const ID: &str = "0199c0de-0000-7000-8000-000000000001";

    #[tokio::test]
    async fn each_operation_does_what_its_state_allows_and_says_why_not() {
        let (api, _folder) = fake::api(Ok(Published::Queued));
        let json = format!(r#"{{"id": "{ID}", "delay_ms": 3600000, "target": {{"type": "log"}}}}"#);
        let task = submission::checked(json.into(), None, api.store.now().unwrap(), None).unwrap().task;
        let (id, run_at) = (task.id, task.run_at);
        let missing = act(&api, id, Operation::Run).await.unwrap_err();
        assert_eq!(missing.kind(), Kind::NoSuchTask);
        api.store.ingest(&[task]).unwrap();

        let later = run_at.plus(std::time::Duration::from_secs(1));
        assert_eq!(act(&api, id, Operation::Reschedule(later)).await.unwrap(), State::Scheduled);
        assert_eq!(api.store.find(id).unwrap().unwrap().run_at, later);
        assert_eq!(act(&api, id, Operation::Run).await.unwrap(), State::Scheduled);
        assert!(api.store.find(id).unwrap().unwrap().due_at < run_at);
        for operation in [Operation::Retry, Operation::Resolve(Resolution::Failed)] {
            assert_eq!(act(&api, id, operation).await.unwrap_err().kind(), Kind::WrongState, "{operation:?}");
        }
        assert_eq!(act(&api, id, Operation::Cancel).await.unwrap(), State::Cancelled);
        let refused = act(&api, id, Operation::Reschedule(later)).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("the task is cancelled; {CHANGED}"));
    }
}
