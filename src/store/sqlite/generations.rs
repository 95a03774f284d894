//! Lives of actor sets: known, alive, draining, dead.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::presence::{Presence, Seen};
use super::schema::generation;
use crate::clock::Clock;
use crate::domain::credit::Load;
use crate::domain::{GenerationId, Timestamp};
use crate::store::key::Key;
use crate::store::row::{standing_code, standing_of};
use crate::store::{Generation, GenerationLoad, NewGeneration, Result, Standing};

/// Dead ones that a list still shows.
const DEAD_SHOWN: i64 = 5;

/// Makes a generation known.
pub fn register(c: &mut SqliteConnection, new: &NewGeneration, now: Timestamp) -> Result<()> {
    diesel::insert_into(generation::table)
        .values((
            generation::id.eq(new.id.0.as_bytes().to_vec()),
            generation::node.eq(&new.node),
            generation::address.eq(&new.address),
            generation::version.eq(&new.version),
            generation::slots.eq(i32::try_from(new.slots).unwrap_or(i32::MAX)),
            generation::state.eq(standing_code(Standing::Alive)),
            generation::registered_at.eq(now.micros()),
        ))
        .execute(c)?;
    Ok(())
}

/// How it stands; `None` if it is not known.
pub fn standing(c: &mut SqliteConnection, id: GenerationId) -> Result<Option<Standing>> {
    let found: Option<i16> =
        generation::table.find(id.0.as_bytes().to_vec()).select(generation::state).first(c).optional()?;
    found.map(standing_of).transpose()
}

/// Moves it forward; false if it stood there or further already.
pub fn advance(c: &mut SqliteConnection, id: GenerationId, to: Standing, now: Option<Timestamp>) -> Result<bool> {
    let moved = diesel::update(
        generation::table.find(id.0.as_bytes().to_vec()).filter(generation::state.lt(standing_code(to))),
    )
    .set((generation::state.eq(standing_code(to)), generation::ended_at.eq(now.map(Timestamp::micros))))
    .execute(c)?;
    Ok(moved == 1)
}

/// The name of its node.
pub fn node_of(c: &mut SqliteConnection, id: GenerationId) -> Result<Option<String>> {
    Ok(generation::table.find(id.0.as_bytes().to_vec()).select(generation::node).first(c).optional()?)
}

/// All that are not dead, and the last that died.
pub fn all(c: &mut SqliteConnection, presence: &Presence, clock: &Clock) -> Result<Vec<Generation>> {
    type Row = (Key, String, String, String, i32, i16, i64, Option<i64>);
    let mut rows: Vec<Row> = generation::table
        .filter(generation::state.lt(standing_code(Standing::Dead)))
        .order(generation::registered_at)
        .load(c)?;
    rows.extend(
        generation::table
            .filter(generation::state.eq(standing_code(Standing::Dead)))
            .order(generation::registered_at.desc())
            .limit(DEAD_SHOWN)
            .load::<Row>(c)?,
    );
    rows.into_iter()
        .map(|(id, node, address, version, slots, state, registered_at, ended_at)| {
            let id = id.generation();
            let standing = standing_of(state)?;
            let seen = presence.of(id);
            let age = seen.as_ref().map(|seen| seen.age(clock.mono()));
            let Seen { counter, beat, gone, .. } = seen.unwrap_or(Seen { gone: true, ..Seen::default() });
            // Of an earlier process nobody remembers a heartbeat: its end, as far as that is known, stands for the last.
            let last_known = Timestamp::from_micros(ended_at.unwrap_or(registered_at));
            let slots = if standing == Standing::Alive { u32::try_from(slots).unwrap_or(0) } else { 0 };
            Ok(Generation {
                id,
                node,
                address,
                version,
                standing,
                slots,
                free_slots: beat.free_slots.min(slots),
                counter,
                heartbeat_age: age.unwrap_or_else(|| clock.wall().since(last_known)),
                clock_offset_us: beat.clock_offset_us,
                reads_topic: beat.reads_topic,
                gone,
            })
        })
        .collect()
}

/// What each living generation can do and holds.
pub fn loads(c: &mut SqliteConnection, presence: &Presence) -> Result<Vec<GenerationLoad>> {
    let rows: Vec<(Key, i32)> = generation::table
        .filter(generation::state.eq(standing_code(Standing::Alive)))
        .select((generation::id, generation::slots))
        .load(c)?;
    let mut loads = Vec::with_capacity(rows.len());
    for (id, slots) in rows {
        let id = id.generation();
        if let Some(seen) = presence.of(id).filter(|seen| !seen.gone) {
            let slots = u64::try_from(slots).unwrap_or(0);
            let load = Load { slots, assigned: seen.assigned, settled: seen.settled };
            loads.push(GenerationLoad { generation: id, counter: seen.counter, load });
        }
    }
    Ok(loads)
}
