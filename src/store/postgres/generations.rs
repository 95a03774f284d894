//! Lives of actor sets: known, alive, draining, dead; their signs of life and what they hold.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, SmallInt, Text, Uuid};

use super::value::Value;
use crate::domain::credit::Load;
use crate::domain::{GenerationId, Timestamp};
use crate::store::key::Key;
use crate::store::row::{standing_code, standing_of};
use crate::store::statement::{Words, statement};
use crate::store::{Beat, Generation, GenerationLoad, NewGeneration, Result, Standing};

struct Register;

impl Words for Register {
    const SQL: &'static str = "INSERT INTO generation (id, node, address, version, slots, state, registered_at) \
        VALUES (?, ?, ?, ?, ?, 0, now_us())";
    type Row = ();
}

struct FirstBeat;

impl Words for FirstBeat {
    const SQL: &'static str = "INSERT INTO heartbeat (generation, counter, beaten_at, free_slots, clock_offset_us, gone) \
        VALUES (?, 0, now_us(), 0, 0, false)";
    type Row = ();
}

struct FirstLoads;

impl Words for FirstLoads {
    const SQL: &'static str = "INSERT INTO load (generation, kind, claims) VALUES (?, 0, 0), (?, 1, 0)";
    type Row = ();
}

/// Makes a generation known.
pub fn register(c: &mut PgConnection, new: &NewGeneration) -> Result<()> {
    let id = Value::Key(new.id.into());
    statement::<Register, _>(&[
        id.clone(),
        Value::Text(&new.node),
        Value::Text(&new.address),
        Value::Text(&new.version),
        Value::Integer(i32::try_from(new.slots).unwrap_or(i32::MAX)),
    ])
    .execute(c)?;
    statement::<FirstBeat, _>(std::slice::from_ref(&id)).execute(c)?;
    statement::<FirstLoads, _>(&[id.clone(), id]).execute(c)?;
    Ok(())
}

struct BeatOnce;

impl Words for BeatOnce {
    const SQL: &'static str = "UPDATE heartbeat h SET counter = h.counter + 1, beaten_at = now_us(), free_slots = ?, \
        clock_offset_us = ?, reads_topic = ? FROM generation g WHERE h.generation = ? AND g.id = h.generation AND g.state < 2";
    type Row = ();
}

/// A sign of life; false if it was given up.
pub fn beat(c: &mut PgConnection, generation: GenerationId, beat: Beat) -> Result<bool> {
    let free = i32::try_from(beat.free_slots).unwrap_or(i32::MAX);
    let (offset, reads) = (Value::Int(beat.clock_offset_us), Value::Bool(beat.reads_topic));
    let values = [Value::Integer(free), offset, reads, Value::Key(generation.into())];
    Ok(statement::<BeatOnce, _>(&values).execute(c)? == 1)
}

struct Farewell;

impl Words for Farewell {
    const SQL: &'static str = "UPDATE heartbeat SET gone = true WHERE generation = ?";
    type Row = ();
}

/// It is gone: it may be recovered.
pub fn farewell(c: &mut PgConnection, generation: GenerationId) -> Result<()> {
    statement::<Farewell, _>(&[Value::Key(generation.into())]).execute(c)?;
    Ok(())
}

struct HoldAlive;

impl Words for HoldAlive {
    const SQL: &'static str = "SELECT id FROM generation WHERE id = ANY(?) AND state = 0 ORDER BY id FOR SHARE";
    type Row = Uuid;
}

/// Holds the fences of these generations until the transaction ends; the ones that are alive.
pub fn hold_alive(c: &mut PgConnection, generations: &[GenerationId]) -> Result<Vec<GenerationId>> {
    let keys = generations.iter().map(|id| Key::from(*id)).collect();
    let alive: Vec<Key> = statement::<HoldAlive, _>(&[Value::Keys(keys)]).load(c)?;
    Ok(alive.into_iter().map(Key::generation).collect())
}

struct Advance;

impl Words for Advance {
    const SQL: &'static str = "UPDATE generation SET state = ?, ended_at = CASE WHEN ? = 2 THEN now_us() END \
        WHERE id = ? AND state < ?";
    type Row = ();
}

/// Moves it forward; false if it stood there or further already. Waits for the start records that are being written.
pub fn advance(c: &mut PgConnection, id: GenerationId, to: Standing) -> Result<bool> {
    let to = Value::Small(standing_code(to));
    let moved = statement::<Advance, _>(&[to.clone(), to.clone(), Value::Key(id.into()), to]).execute(c)?;
    Ok(moved == 1)
}

struct All;

impl Words for All {
    /// All that are not dead, and the last that died.
    const SQL: &'static str = "SELECT g.id, g.node, g.address, g.version, g.slots, g.state, \
        coalesce(h.counter, 0), now_us() - coalesce(g.ended_at, h.beaten_at, g.registered_at), coalesce(h.free_slots, 0), \
        coalesce(h.clock_offset_us, 0), coalesce(h.reads_topic, false), coalesce(h.gone, true) \
        FROM (SELECT * FROM generation WHERE state < 2 UNION ALL \
        (SELECT * FROM generation WHERE state = 2 ORDER BY registered_at DESC LIMIT 5)) g \
        LEFT JOIN heartbeat h ON h.generation = g.id ORDER BY g.state = 2, g.registered_at";
    type Row = (Uuid, Text, Text, Text, Integer, SmallInt, BigInt, BigInt, Integer, BigInt, Bool, Bool);
}

/// As they stand.
pub fn all(c: &mut PgConnection) -> Result<Vec<Generation>> {
    type Row = (Key, String, String, String, i32, i16, i64, i64, i32, i64, bool, bool);
    let rows: Vec<Row> = statement::<All, Value<'_>>(&[]).load(c)?;
    rows.into_iter()
        .map(
            |(
                id,
                node,
                address,
                version,
                slots,
                state,
                counter,
                age_us,
                free_slots,
                clock_offset_us,
                reads_topic,
                gone,
            )| {
                let standing = standing_of(state)?;
                let slots = if standing == Standing::Alive { u32::try_from(slots).unwrap_or(0) } else { 0 };
                Ok(Generation {
                    id: id.generation(),
                    node,
                    address,
                    version,
                    standing,
                    slots,
                    free_slots: u32::try_from(free_slots).unwrap_or(0).min(slots),
                    counter,
                    heartbeat_age: Duration::from_micros(u64::try_from(age_us).unwrap_or(0)),
                    clock_offset_us,
                    reads_topic,
                    gone,
                })
            },
        )
        .collect()
}

struct Loads;

impl Words for Loads {
    const SQL: &'static str = "SELECT g.id, g.slots, h.counter, a.claims, s.claims FROM generation g \
        JOIN heartbeat h ON h.generation = g.id AND NOT h.gone \
        JOIN load a ON a.generation = g.id AND a.kind = 0 JOIN load s ON s.generation = g.id AND s.kind = 1 \
        WHERE g.state = 0 ORDER BY g.registered_at";
    type Row = (Uuid, Integer, BigInt, BigInt, BigInt);
}

/// What each living generation can do and holds.
pub fn loads(c: &mut PgConnection) -> Result<Vec<GenerationLoad>> {
    let rows: Vec<(Key, i32, i64, i64, i64)> = statement::<Loads, Value<'_>>(&[]).load(c)?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let load = |(id, slots, counter, assigned, settled): (Key, i32, i64, i64, i64)| GenerationLoad {
        generation: id.generation(),
        counter,
        load: Load { slots: u64::try_from(slots).unwrap_or(0), assigned: count(assigned), settled: count(settled) },
    };
    Ok(rows.into_iter().map(load).collect())
}

struct AddLoad;

impl Words for AddLoad {
    const SQL: &'static str = "UPDATE load l SET claims = l.claims + d.claims \
        FROM (SELECT * FROM unnest(?, ?) AS d(generation, claims) ORDER BY 1) d WHERE l.generation = d.generation AND l.kind = ?";
    type Row = ();
}

/// Counts claims that were assigned to these generations (`kind` 0) or settled by them (1).
fn add(c: &mut PgConnection, kind: i16, claims: &[(GenerationId, usize)]) -> Result<()> {
    let generations = claims.iter().map(|(generation, _)| Key::from(*generation)).collect();
    let counts = claims.iter().map(|(_, claims)| i64::try_from(*claims).unwrap_or(i64::MAX)).collect();
    statement::<AddLoad, _>(&[Value::Keys(generations), Value::Ints(counts), Value::Small(kind)]).execute(c)?;
    Ok(())
}

/// Counts claims that were assigned.
pub fn add_assigned(c: &mut PgConnection, claims: &[(GenerationId, usize)]) -> Result<()> {
    add(c, 0, claims)
}

/// Counts claims that were settled.
pub fn add_settled(c: &mut PgConnection, generation: GenerationId, claims: usize) -> Result<()> {
    if claims == 0 { Ok(()) } else { add(c, 1, &[(generation, claims)]) }
}

struct Now;

impl Words for Now {
    const SQL: &'static str = "SELECT now_us()";
    type Row = BigInt;
}

/// The database's clock.
pub fn now(c: &mut PgConnection) -> Result<Timestamp> {
    Ok(Timestamp::from_micros(statement::<Now, Value<'_>>(&[]).get_result(c)?))
}
