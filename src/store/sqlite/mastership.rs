//! Epochs, the fence and the terms.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::generations::{node_of, standing};
use super::schema::{master_fence, master_lease, master_term};
use crate::domain::{Epoch, GenerationId, Timestamp};
use crate::store::key::Key;
use crate::store::row::later;
use crate::store::{Fence, Result, Ruled, Standing, TakeOver, Term};

/// Takes the next epoch. The lock file is the lease, so whoever gets here may.
pub fn take_over(c: &mut SqliteConnection, me: GenerationId, now: Timestamp, lease: Duration) -> Result<TakeOver> {
    // A set that was given up meanwhile must not depose the one that followed it.
    if standing(c, me)? != Some(Standing::Alive) {
        return Ok(TakeOver::Lost);
    }
    let last: i64 = master_lease::table.select(master_lease::epoch).first(c)?;
    let epoch = last + 1;
    let owner = me.0.as_bytes().to_vec();
    diesel::update(master_lease::table)
        .set((
            master_lease::epoch.eq(epoch),
            master_lease::generation.eq(Some(&owner)),
            master_lease::expires_at.eq(later(now, lease)),
        ))
        .execute(c)?;
    diesel::update(master_fence::table)
        .set((master_fence::epoch.eq(epoch), master_fence::generation.eq(Some(&owner))))
        .execute(c)?;
    end_terms(c, None, "taken over", now)?;
    diesel::insert_into(master_term::table)
        .values((
            master_term::epoch.eq(epoch),
            master_term::generation.eq(&owner),
            master_term::node.eq(node_of(c, me)?.unwrap_or_default()),
            master_term::elected_at.eq(now.micros()),
        ))
        .execute(c)?;
    Ok(TakeOver::Won(Epoch(epoch)))
}

/// The fence still names this reign.
pub fn holds(c: &mut SqliteConnection, fence: Fence) -> Result<bool> {
    Ok(pauses_under(c, fence)?.is_some())
}

/// The same for what goes by the pauses too: as often as the master knows they were changed.
pub fn known(c: &mut SqliteConnection, fence: Fence, pauses: i64) -> Result<Ruled<()>> {
    Ok(match pauses_under(c, fence)? {
        None => Ruled::Fenced,
        Some(now) if now != pauses => Ruled::Outdated,
        Some(_) => Ruled::Done(()),
    })
}

/// How often the pauses were changed, as long as the fence names this reign.
fn pauses_under(c: &mut SqliteConnection, fence: Fence) -> Result<Option<i64>> {
    let (epoch, owner, pauses): (i64, Option<Vec<u8>>, i64) =
        master_fence::table.select((master_fence::epoch, master_fence::generation, master_fence::pauses)).first(c)?;
    let holds = epoch == fence.epoch.0 && owner.as_deref() == Some(fence.generation.0.as_bytes().as_slice());
    Ok(holds.then_some(pauses))
}

/// Ends a reign, if it is still this one's: nobody is master until the next take-over.
pub fn resign(c: &mut SqliteConnection, fence: Fence, reason: &str, now: Timestamp) -> Result<()> {
    if holds(c, fence)? {
        diesel::update(master_fence::table).set(master_fence::generation.eq(None::<Vec<u8>>)).execute(c)?;
        diesel::update(master_lease::table)
            .set((master_lease::generation.eq(None::<Vec<u8>>), master_lease::expires_at.eq(now.micros())))
            .execute(c)?;
        end_terms(c, Some(fence.epoch), reason, now)?;
    }
    Ok(())
}

fn end_terms(c: &mut SqliteConnection, epoch: Option<Epoch>, reason: &str, now: Timestamp) -> Result<()> {
    let mut open = diesel::update(master_term::table.filter(master_term::ended_at.is_null()))
        .set((master_term::ended_at.eq(Some(now.micros())), master_term::end_reason.eq(Some(reason))))
        .into_boxed();
    if let Some(epoch) = epoch {
        open = open.filter(master_term::epoch.eq(epoch.0));
    }
    open.execute(c)?;
    Ok(())
}

/// The reigns, the newest first.
pub fn terms(c: &mut SqliteConnection, limit: usize) -> Result<Vec<Term>> {
    type Row = (i64, Key, String, i64, Option<i64>, Option<String>);
    let rows: Vec<Row> =
        master_term::table.order(master_term::epoch.desc()).limit(i64::try_from(limit).unwrap_or(i64::MAX)).load(c)?;
    rows.into_iter()
        .map(|(epoch, owner, node, elected_at, ended_at, end_reason)| {
            Ok(Term {
                epoch: Epoch(epoch),
                generation: owner.generation(),
                node,
                elected_at: Timestamp::from_micros(elected_at),
                ended_at: ended_at.map(Timestamp::from_micros),
                end_reason,
            })
        })
        .collect()
}

/// The newest epoch.
pub fn epoch(c: &mut SqliteConnection) -> Result<Option<Epoch>> {
    let epoch: i64 = master_lease::table.select(master_lease::epoch).first(c)?;
    Ok((epoch > 0).then_some(Epoch(epoch)))
}
