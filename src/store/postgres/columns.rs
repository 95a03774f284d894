//! The columns of a task in the order of [`TaskRow`](crate::store::row::TaskRow), for statements written by hand.

use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text, Uuid};

/// Their types.
pub type TaskColumns = (
    Uuid,
    SmallInt,
    BigInt,
    BigInt,
    SmallInt,
    Nullable<BigInt>,
    BigInt,
    Integer,
    Nullable<Uuid>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    BigInt,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Text>,
    SmallInt,
    Text,
    BigInt,
    Text,
    Text,
    SmallInt,
    Binary,
);

/// The look-ahead's.
pub type DueColumns = (Uuid, BigInt, SmallInt, Nullable<BigInt>);

/// Their names in table `t`; `$payload` stands for the payload's.
macro_rules! columns {
    ($payload:literal) => {
        concat!(
            "t.id, t.state, t.due_at, t.run_at, t.priority, t.misfire_ms, t.claim_no, t.attempt, t.owner, t.epoch, \
             t.accepted_at, t.created_at, t.dispatched_at, t.started_at, t.last_error, t.delivery, t.retry, t.timeout_ms, \
             t.target, t.labels, t.payload_kind, ",
            $payload
        )
    };
}
pub(super) use columns;

/// In the words of the indexes in the order of a time, which every row is in: they are taken for nothing that does not say so
/// (see the migration `by_key`).
macro_rules! in_time {
    ($time:literal) => {
        concat!($time, " > -1000000000000000000")
    };
}
pub(super) use in_time;

/// Looks for the row of `$key` once for each given row. As `=` it could be planned the other way round: statistics that were
/// taken while the table was empty let a walk through all of its index look cheap, and the plan stays when it is full. This
/// can only be a condition of an index scan; nothing that is compared beside it may be an `=` of another index's first column
/// (so `(a = b) IS TRUE`).
macro_rules! by_key {
    ($key:literal, $given:literal) => {
        concat!($key, " = ANY(ARRAY[", $given, "])")
    };
}
pub(super) use by_key;
