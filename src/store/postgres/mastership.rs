//! Lease, fence and terms.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Uuid};

use super::generations::hold_alive;
use super::value::Value;
use crate::domain::time::micros_of;
use crate::domain::{Epoch, GenerationId, Timestamp};
use crate::store::key::Key;
use crate::store::statement::{Words, statement};
use crate::store::{Fence, Result, Ruled, StoreError, TakeOver, Term};

/// The session's advisory lock of a generation: held by its lease's connection, so that it is free as soon as the process
/// is killed. A hint to take over early, never the lease: it says nothing of a process that was stopped or cut off.
///
/// Taken if it is not held yet and nobody else has it: the session that this one replaces may not have ended.
pub fn hold_life_lock(c: &mut PgConnection, (generation, held): &mut (GenerationId, bool)) -> Result<()> {
    if !*held {
        *held = statement::<LifeLock, _>(&[Value::Integer(life_key(*generation))]).get_result(c)?;
    }
    Ok(())
}

struct LifeLock;

impl Words for LifeLock {
    const SQL: &'static str = "SELECT pg_try_advisory_lock(hashtext(current_schema()), ?)";
    type Row = Bool;
}

/// A generation's UUID is of version 7: its last bytes are random.
fn life_key(generation: GenerationId) -> i32 {
    let [.., a, b, c, d] = *generation.0.as_bytes();
    i32::from_be_bytes([a, b, c, d])
}

struct Holder;

impl Words for Holder {
    const SQL: &'static str = "SELECT generation, expires_at BETWEEN now_us() AND now_us() + ? FROM master_lease";
    type Row = (Nullable<Uuid>, Bool);
}

struct LifeLockIsFree;

impl Words for LifeLockIsFree {
    const SQL: &'static str = "SELECT pg_try_advisory_xact_lock(hashtext(current_schema()), ?)";
    type Row = Bool;
}

/// A lease that ends further ahead than any lease lasts was written before the clock jumped back: it must not block.
struct TakeLease;

impl Words for TakeLease {
    const SQL: &'static str = "UPDATE master_lease SET epoch = epoch + 1, generation = ?, expires_at = now_us() + ? \
        WHERE expires_at < now_us() OR expires_at > now_us() + ? OR (? AND generation = ?) RETURNING epoch";
    type Row = BigInt;
}

/// Waits for the claims that run under the old fence.
struct CloseFence;

impl Words for CloseFence {
    const SQL: &'static str = "UPDATE master_fence SET epoch = ?, generation = ? WHERE epoch < ?";
    type Row = ();
}

struct LeaseFromNow;

impl Words for LeaseFromNow {
    const SQL: &'static str = "UPDATE master_lease SET expires_at = now_us() + ? WHERE generation = ?";
    type Row = ();
}

struct EndTerms;

impl Words for EndTerms {
    const SQL: &'static str = "UPDATE master_term SET ended_at = now_us(), end_reason = ? \
        WHERE ended_at IS NULL AND epoch <= ?";
    type Row = ();
}

struct BeginTerm;

impl Words for BeginTerm {
    const SQL: &'static str = "INSERT INTO master_term (epoch, generation, node, elected_at) \
        VALUES (?, ?, coalesce((SELECT node FROM generation WHERE id = ?), ''), now_us())";
    type Row = ();
}

/// Takes the next epoch if no lease is valid, or if its holder's process is gone. Rolls back if it must not have it.
pub fn take_over(c: &mut PgConnection, me: GenerationId, lease: Duration) -> Result<TakeOver> {
    let (mine, lease) = (Key::from(me), micros_of(lease));
    let (holder, valid): (Option<Key>, bool) = statement::<Holder, _>(&[Value::Int(lease)]).get_result(c)?;
    // Its own lease may be taken anew: whoever asks has lost sight of it.
    let (own, killed) = match holder {
        Some(holder) if holder == mine => (true, false),
        Some(holder) => {
            let lock = [Value::Integer(life_key(holder.generation()))];
            (false, statement::<LifeLockIsFree, _>(&lock).get_result::<bool>(c)?)
        }
        None => (false, false),
    };
    // Most looks end here.
    if valid && !own && !killed {
        return Ok(TakeOver::Lost);
    }
    let taken: Option<i64> = statement::<TakeLease, _>(&[
        Value::Key(mine),
        Value::Int(lease),
        Value::Int(lease),
        Value::Bool(own || killed),
        Value::Key(holder.unwrap_or(mine)),
    ])
    .get_result(c)
    .optional()?;
    let Some(epoch) = taken else { return Ok(TakeOver::Lost) };
    statement::<CloseFence, _>(&[Value::Int(epoch), Value::Key(mine), Value::Int(epoch)]).execute(c)?;
    // A set that was given up must not depose the one that followed it. Its fence comes after the master's, as in a recovery.
    if hold_alive(c, &[me])?.is_empty() {
        return Err(StoreError::Statement(diesel::result::Error::RollbackTransaction));
    }
    statement::<LeaseFromNow, _>(&[Value::Int(lease), Value::Key(mine)]).execute(c)?;
    let reason = if killed { "its process was gone" } else { "taken over" };
    statement::<EndTerms, _>(&[Value::Text(reason), Value::Int(epoch)]).execute(c)?;
    statement::<BeginTerm, _>(&[Value::Int(epoch), Value::Key(mine), Value::Key(mine)]).execute(c)?;
    Ok(TakeOver::Won(Epoch(epoch)))
}

struct Renew;

impl Words for Renew {
    const SQL: &'static str = "UPDATE master_lease SET expires_at = now_us() + ? \
        WHERE generation = ? AND epoch = ? AND expires_at > now_us()";
    type Row = ();
}

/// Prolongs the lease; false: deposed.
pub fn renew(c: &mut PgConnection, fence: Fence, lease: Duration) -> Result<bool> {
    let values = [Value::Int(micros_of(lease)), Value::Key(fence.generation.into()), Value::Int(fence.epoch.0)];
    Ok(statement::<Renew, _>(&values).execute(c)? == 1)
}

struct HoldFence;

impl Words for HoldFence {
    const SQL: &'static str = "SELECT pauses FROM master_fence WHERE epoch = ? AND generation = ? FOR SHARE";
    type Row = BigInt;
}

/// Holds the fence until the transaction ends, if it still names this reign. A statement of its own, before any that it
/// protects: seen in the same one, a fence says nothing about what that statement sees.
pub fn hold_fence(c: &mut PgConnection, fence: Fence) -> Result<bool> {
    Ok(held(c, fence)?.is_some())
}

/// The same for what goes by the pauses too: as often as the master knows they were changed.
pub fn hold_known(c: &mut PgConnection, fence: Fence, pauses: i64) -> Result<Ruled<()>> {
    Ok(match held(c, fence)? {
        None => Ruled::Fenced,
        Some(now) if now != pauses => Ruled::Outdated,
        Some(_) => Ruled::Done(()),
    })
}

fn held(c: &mut PgConnection, fence: Fence) -> Result<Option<i64>> {
    let values = [Value::Int(fence.epoch.0), Value::Key(fence.generation.into())];
    Ok(statement::<HoldFence, _>(&values).get_result(c).optional()?)
}

struct OpenFence;

impl Words for OpenFence {
    const SQL: &'static str = "UPDATE master_fence SET generation = NULL WHERE epoch = ? AND generation = ?";
    type Row = ();
}

struct GiveLeaseUp;

impl Words for GiveLeaseUp {
    const SQL: &'static str =
        "UPDATE master_lease SET generation = NULL, expires_at = 0 WHERE epoch = ? AND generation = ?";
    type Row = ();
}

/// Ends a reign, if it is still this one's: the next may follow at once.
pub fn resign(c: &mut PgConnection, fence: Fence, reason: &str) -> Result<()> {
    let reign = [Value::Int(fence.epoch.0), Value::Key(fence.generation.into())];
    // The lease first, as in a take-over.
    if statement::<GiveLeaseUp, _>(&reign).execute(c)? == 1 {
        statement::<OpenFence, _>(&reign).execute(c)?;
        statement::<EndTerms, _>(&[Value::Text(reason), Value::Int(fence.epoch.0)]).execute(c)?;
    }
    Ok(())
}

struct Terms;

impl Words for Terms {
    const SQL: &'static str = "SELECT epoch, generation, node, elected_at, ended_at, end_reason FROM master_term \
        ORDER BY epoch DESC LIMIT ?";
    type Row = (BigInt, Uuid, Text, BigInt, Nullable<BigInt>, Nullable<Text>);
}

/// The reigns, the newest first.
pub fn terms(c: &mut PgConnection, limit: usize) -> Result<Vec<Term>> {
    type Row = (i64, Key, String, i64, Option<i64>, Option<String>);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<Row> = statement::<Terms, _>(&[Value::Int(limit)]).load(c)?;
    let term = |(epoch, generation, node, elected_at, ended_at, end_reason): Row| Term {
        epoch: Epoch(epoch),
        generation: generation.generation(),
        node,
        elected_at: Timestamp::from_micros(elected_at),
        ended_at: ended_at.map(Timestamp::from_micros),
        end_reason,
    };
    Ok(rows.into_iter().map(term).collect())
}

struct NewestEpoch;

impl Words for NewestEpoch {
    const SQL: &'static str = "SELECT epoch FROM master_lease";
    type Row = BigInt;
}

/// The newest epoch.
pub fn epoch(c: &mut PgConnection) -> Result<Option<Epoch>> {
    let epoch: i64 = statement::<NewestEpoch, Value<'_>>(&[]).get_result(c)?;
    Ok((epoch > 0).then_some(Epoch(epoch)))
}
