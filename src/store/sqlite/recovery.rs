//! What a generation leaves behind: given back when it drains, settled when it is dead.

use std::collections::{HashMap, HashSet};

use diesel::sqlite::SqliteConnection;

use super::counts;
use super::execution::{assigned_claims, claimed, remove_all, started};
use super::generations::advance;
use super::mastership::holds;
use super::settling::settle_one;
use crate::domain::{Claim, Due, GenerationId, Timestamp};
use crate::store::counts::Deltas;
use crate::store::leftover::{lost, returned};
use crate::store::{Fence, Recovered, Result, Settled, Standing};

/// `alive → draining`, and its claims without a start record go back: from now on it can start none.
pub fn drain(c: &mut SqliteConnection, generation: GenerationId) -> Result<Vec<Due>> {
    advance(c, generation, Standing::Draining, None)?;
    let started: HashSet<Claim> = started(c, generation)?.into_iter().flat_map(|(_, claims)| claims).collect();
    let mut back = Vec::new();
    let mut deltas = Deltas::default();
    for claim in assigned_claims(c, generation)?.into_iter().filter(|claim| !started.contains(claim)) {
        if let Some(task) = claimed(c, generation, claim)?
            && let Settled::Applied(Some(due)) = settle_one(c, generation, &returned(&task), &mut deltas)?
        {
            back.push(due);
        }
    }
    counts::write(c, &deltas)?;
    Ok(back)
}

/// Marks it dead first (so that it can start nothing more), then reads what it had started.
pub fn recover(
    c: &mut SqliteConnection,
    fence: Fence,
    dead: GenerationId,
    now: Timestamp,
) -> Result<Option<Recovered>> {
    if !holds(c, fence)? {
        return Ok(None);
    }
    advance(c, dead, Standing::Dead, Some(now))?;
    let started: HashMap<Claim, Timestamp> = started(c, dead)?
        .into_iter()
        .flat_map(|(at, claims)| claims.into_iter().map(move |claim| (claim, at)))
        .collect();
    let mut recovered = Recovered::default();
    let mut deltas = Deltas::default();
    for claim in assigned_claims(c, dead)? {
        let Some(task) = claimed(c, dead, claim)? else { continue };
        let settlement = match started.get(&claim) {
            None => returned(&task),
            Some(started_at) => lost(&task, *started_at, now),
        };
        match settle_one(c, dead, &settlement, &mut deltas)? {
            Settled::Applied(Some(due)) => recovered.scheduled.push(due),
            Settled::Applied(None) => recovered.unknown.push(claim.id),
            Settled::Stale => {}
        }
    }
    remove_all(c, dead)?;
    counts::write(c, &deltas)?;
    Ok(Some(recovered))
}
