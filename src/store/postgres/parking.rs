//! Tasks that come due while they are paused: in `task` they are due at the end of time, in `parked` stands when they really
//! are. Both change in one transaction. Whoever wants to know what stands in `parked` asks by a statement that begins after the
//! task's row was changed: seen in the same one, it may be what stood there before.

use std::collections::HashMap;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Uuid};

use super::columns::{DueColumns, by_key, in_time};
use super::mastership::hold_known;
use super::value::Value;
use crate::domain::pause::{FIRST, Hold};
use crate::domain::{Due, Task, TaskId, Timestamp};
use crate::store::key::Key;
use crate::store::row::{DueRow, due};
use crate::store::statement::{Words, statement};
use crate::store::{Fence, LetGo, Result, Ruled, Step, limit_of};

/// Most tasks that one transaction lets go: each writes all indexes of its row, and a claim may wait for it.
const LET_GO_MAX: usize = 500;

/// Most tasks of one transaction: it holds the fence.
pub const PARK_MAX: usize = 500;

/// Of several pauses that hold a task it waits for the first. A row that an older program has left is taken over. Its labels
/// are read once for all pauses (OFFSET 0: or they would be once for each).
struct Park;

impl Words for Park {
    const SQL: &'static str = concat!(
        "WITH hit AS MATERIALIZED (SELECT o.id, o.due_at, (SELECT min(p.seq) \
         FROM unnest(?, ?, ?, ?, ?, ?) AS p(seq, label, value, before, after_at, after_id) \
         WHERE (p.label IS NULL OR t.labels ->> p.label = p.value) \
         AND o.due_at < p.before AND (o.due_at, o.id) > (p.after_at, p.after_id)) AS pause \
         FROM unnest(?, ?) AS o(id, due_at) CROSS JOIN LATERAL \
         (SELECT labels::JSONB AS labels FROM task WHERE id = o.id OFFSET 0) AS t), \
         moved AS (UPDATE task t SET due_at = 253402300799000000 FROM hit WHERE ",
        by_key!("t.id", "hit.id"),
        " AND hit.pause IS NOT NULL AND t.state = 0 AND (t.due_at = hit.due_at) IS TRUE \
         RETURNING t.id, hit.pause, hit.due_at), \
         kept AS (INSERT INTO parked (id, pause, due_at) SELECT id, pause, due_at FROM moved \
         ON CONFLICT (id) DO UPDATE SET pause = excluded.pause, due_at = excluded.due_at) \
         SELECT id FROM hit WHERE pause IS NOT NULL"
    );
    type Row = Uuid;
}

/// Parks what is held back; the ids of all that are.
pub fn park(
    c: &mut PgConnection,
    fence: Fence,
    pauses: i64,
    holds: &[Hold<'_>],
    batch: &[Due],
) -> Result<Ruled<Vec<TaskId>>> {
    hold_known(c, fence, pauses)?.and_then(|()| {
        if holds.is_empty() || batch.is_empty() {
            return Ok(Vec::new());
        }
        let (names, values) = holds.iter().map(|hold| hold.pause.label.as_ref()).map(parts).unzip();
        let mut sorted = batch.to_vec();
        sorted.sort_by_key(|due| due.id);
        sorted.dedup_by_key(|due| due.id);
        let held: Vec<Key> = statement::<Park, _>(&[
            Value::Ints(holds.iter().map(|hold| hold.pause.id).collect()),
            Value::MaybeTexts(names),
            Value::MaybeTexts(values),
            Value::Ints(holds.iter().map(|hold| hold.before.micros()).collect()),
            Value::Ints(holds.iter().map(|hold| hold.after.0.micros()).collect()),
            Value::Keys(holds.iter().map(|hold| hold.after.1.into()).collect()),
            Value::Keys(sorted.iter().map(|due| due.id.into()).collect()),
            Value::Ints(sorted.iter().map(|due| due.due_at.micros()).collect()),
        ])
        .load(c)?;
        Ok(held.into_iter().map(Key::task).collect())
    })
}

fn parts(label: Option<&(String, String)>) -> (Option<&str>, Option<&str>) {
    label.map(|(name, value)| (name.as_str(), value.as_str())).unzip()
}

/// From where the last step has ended: what was let go before is still in the index, as long as anybody may see it.
struct Oldest;

impl Words for Oldest {
    const SQL: &'static str = concat!(
        "SELECT id, due_at FROM parked WHERE pause = ? AND ",
        in_time!("due_at"),
        " AND (due_at, id) > (?, ?) ORDER BY due_at, id LIMIT ?"
    );
    type Row = (Uuid, BigInt);
}

struct SetFree;

impl Words for SetFree {
    const SQL: &'static str = concat!(
        "UPDATE task t SET due_at = p.due_at FROM unnest(?, ?) AS p(id, due_at) WHERE ",
        by_key!("t.id", "p.id"),
        " AND t.state = 0 AND (t.due_at = 253402300799000000) IS TRUE RETURNING t.id, t.due_at, t.priority, t.misfire_ms"
    );
    type Row = DueColumns;
}

struct Unpark;

impl Words for Unpark {
    const SQL: &'static str = "DELETE FROM parked WHERE id = ANY(?)";
    type Row = ();
}

/// They have an instant of their own again, whatever pause they waited for.
pub fn unpark(c: &mut PgConnection, mut keys: Vec<Key>) -> Result<()> {
    keys.sort_unstable();
    statement::<Unpark, _>(&[Value::Keys(keys)]).execute(c)?;
    Ok(())
}

/// Where nothing is parked for it by now (in the same snapshot: somebody may have parked since the look). One that is resumed at
/// a pace is over when nothing can be parked for it any more either: among the next 1,000 that came due before, none matches,
/// and there are no more.
struct End;

impl Words for End {
    const SQL: &'static str = concat!(
        "DELETE FROM pause p WHERE seq = ? AND resumed_at IS NOT NULL AND (SELECT k.id FROM parked k WHERE k.pause = p.seq AND ",
        in_time!("k.due_at"),
        " LIMIT 1) IS NULL AND (per_second IS NULL OR (SELECT t.id FROM (SELECT id, labels, row_number() OVER () AS place \
         FROM task WHERE ",
        in_time!("due_at"),
        " AND (due_at, id) > (?, ?) AND due_at < p.resumed_at AND state = 0 ORDER BY due_at, id LIMIT 1000) AS t \
         WHERE t.place = 1000 OR p.label IS NULL OR t.labels::JSONB ->> p.label = p.value LIMIT 1) IS NULL)"
    );
    type Row = ();
}

/// Lets the oldest go that wait for the end of a pause that is being resumed. With the last of them the pause goes.
/// The commit waits for no disk: if the server forgets it, the same is let go again, and no claim can be kept without it.
pub fn let_go(c: &mut PgConnection, fence: Fence, pauses: i64, step: &Step) -> Result<Ruled<LetGo>> {
    c.batch_execute("SET LOCAL synchronous_commit = off")?;
    hold_known(c, fence, pauses)?.and_then(|()| {
        let (limit, after) = (step.limit.min(LET_GO_MAX), step.after.unwrap_or(FIRST));
        let (at, id) = (Value::Int(after.0.micros()), Value::Key(after.1.into()));
        let values = [Value::Int(step.pause), at, id, Value::Int(limit_of(limit))];
        let mut oldest: Vec<(Key, i64)> = statement::<Oldest, _>(&values).load(c)?;
        let next =
            oldest.last().filter(|_| oldest.len() >= limit).map(|(id, at)| (Timestamp::from_micros(*at), id.task()));
        oldest.sort_unstable();
        let (ids, instants): (Vec<Key>, Vec<i64>) = oldest.iter().copied().unzip();
        let mut rows: Vec<DueRow> = Vec::new();
        if !ids.is_empty() {
            rows = statement::<SetFree, _>(&[Value::Keys(ids.clone()), Value::Ints(instants)]).load(c)?;
            unpark(c, ids)?;
        }
        let tasks: Vec<Due> = rows.iter().map(due).collect::<Result<_>>()?;
        let mut is_over = oldest.len() < limit && step.after.is_none();
        if is_over {
            let (at, id) = step.reached.max(tasks.iter().map(Due::key).max()).unwrap_or(FIRST);
            let values = [Value::Int(step.pause), Value::Int(at.micros()), Value::Key(id.into())];
            is_over = statement::<End, _>(&values).execute(c)? > 0;
        }
        Ok(LetGo { tasks, next, is_over })
    })
}

/// History tells when they were really due.
struct TellEnded;

impl Words for TellEnded {
    const SQL: &'static str = concat!(
        "WITH gone AS (DELETE FROM parked WHERE id = ANY(?) RETURNING id, due_at) \
         UPDATE task_history h SET due_at = gone.due_at FROM gone WHERE ",
        by_key!("h.id", "gone.id")
    );
    type Row = ();
}

/// These have moved to history while they were parked: they are so no more, and are told as they were really due. By a
/// statement of its own, after the one that moved them.
pub fn unpark_ended(c: &mut PgConnection, mut ids: Vec<Key>) -> Result<()> {
    ids.sort_unstable();
    statement::<TellEnded, _>(&[Value::Keys(ids)]).execute(c)?;
    Ok(())
}

/// Of one moment: parked still, or let go meanwhile. By a question for each: a join that was planned while nothing was parked
/// would read all that is.
struct ReallyDue;

impl Words for ReallyDue {
    const SQL: &'static str = "SELECT t.id, t.due_at, (SELECT p.due_at FROM parked p WHERE p.id = t.id) \
        FROM task t WHERE t.id = ANY(?)";
    type Row = (Uuid, BigInt, Nullable<BigInt>);
}

/// Shows those of these tasks that are parked as what they are, and when they are really due.
pub fn show_parked(c: &mut PgConnection, tasks: &mut [Task]) -> Result<()> {
    let is_parked = |task: &&mut Task| task.due_at == Timestamp::NEVER;
    let parked: Vec<Key> = tasks.iter_mut().filter(is_parked).map(|task| task.id.into()).collect();
    if parked.is_empty() {
        return Ok(());
    }
    let really: Vec<(Key, i64, Option<i64>)> = statement::<ReallyDue, _>(&[Value::Keys(parked)]).load(c)?;
    let really: HashMap<TaskId, (i64, Option<i64>)> =
        really.into_iter().map(|(id, now, parked)| (id.task(), (now, parked))).collect();
    for task in tasks.iter_mut().filter(|task| task.due_at == Timestamp::NEVER) {
        // One that has ended since is shown as it was asked for.
        let (now, parked) = really.get(&task.id).copied().unwrap_or((task.run_at.micros(), None));
        (task.due_at, task.paused) = (Timestamp::from_micros(parked.unwrap_or(now)), parked.is_some());
    }
    Ok(())
}
