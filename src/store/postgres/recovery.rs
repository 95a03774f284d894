//! What a generation leaves behind: given back when it drains, settled when it is dead.

use diesel::prelude::*;

use super::counts::{self, Writer};
use super::execution::{assigned_claims, claimed_bare, remove_all, started};
use super::generations::{add_settled, advance, now};
use super::mastership::hold_fence;
use super::reports;
use super::settling::settle;
use crate::domain::{ClaimedTask, Due, GenerationId};
use crate::store::counts::Deltas;
use crate::store::leftover::{lost, returned};
use crate::store::{Fence, Recovered, Result, Settled, Settlement, Standing};

/// `alive → draining`, and its claims without a start record go back: from now on it can start none.
pub fn drain(c: &mut PgConnection, writer: Writer, generation: GenerationId) -> Result<Vec<Due>> {
    advance(c, generation, Standing::Draining)?;
    let started = started(c, generation)?;
    let mut unstarted = assigned_claims(c, generation)?;
    unstarted.retain(|claim| !started.contains_key(claim));
    let batch: Vec<Settlement> = claimed_bare(c, generation, &unstarted)?.iter().map(returned).collect();
    let mut deltas = Deltas::default();
    let settled = settle(c, generation, &batch, &mut deltas)?;
    let back: Vec<Due> = settled.iter().filter_map(due_again).collect();
    add_settled(c, generation, back.len())?;
    counts::write(c, writer, &deltas)?;
    Ok(back)
}

fn due_again(settled: &Settled) -> Option<Due> {
    match settled {
        Settled::Applied(due) => *due,
        Settled::Stale => None,
    }
}

/// Marks it dead first (so that it can start nothing more), then reads what it had started.
pub fn recover(c: &mut PgConnection, writer: Writer, fence: Fence, dead: GenerationId) -> Result<Option<Recovered>> {
    if !hold_fence(c, fence)? {
        return Ok(None);
    }
    advance(c, dead, Standing::Dead)?;
    let (started, at) = (started(c, dead)?, now(c)?);
    let left = assigned_claims(c, dead)?;
    let tasks: Vec<ClaimedTask> = claimed_bare(c, dead, &left)?;
    let batch: Vec<Settlement> = tasks
        .iter()
        .map(|task| match started.get(&task.claim) {
            None => returned(task),
            Some(started_at) => lost(task, *started_at, at),
        })
        .collect();
    let (mut deltas, mut recovered) = (Deltas::default(), Recovered::default());
    for (one, settled) in batch.iter().zip(settle(c, dead, &batch, &mut deltas)?) {
        match settled {
            Settled::Applied(Some(due)) => recovered.scheduled.push(due),
            Settled::Applied(None) => recovered.unknown.push(one.claim.id),
            Settled::Stale => {}
        }
    }
    remove_all(c, dead)?;
    reports::end(c, dead)?;
    add_settled(c, dead, recovered.scheduled.len() + recovered.unknown.len())?;
    counts::write(c, writer, &deltas)?;
    Ok(Some(recovered))
}
