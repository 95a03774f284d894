//! The columns of a task in the order of [`TaskRow`](crate::store::row::TaskRow).

/// Those of a table that has them. `$payload` stands for the payload's, and `$accepted` for the one behind it: whoever does not ask
/// for them reads no more of a row than what stands before them.
macro_rules! columns {
    ($table:ident, $accepted:expr, $payload:expr) => {
        (
            $table::id,
            $table::state,
            $table::due_at,
            $table::run_at,
            $table::priority,
            $table::misfire_ms,
            $table::claim_no,
            $table::attempt,
            $table::owner,
            $table::epoch,
            $accepted,
            $table::created_at,
            $table::dispatched_at,
            $table::started_at,
            $table::last_error,
            $table::delivery,
            $table::retry,
            $table::timeout_ms,
            $table::target,
            $table::labels,
            $table::payload_kind,
            $payload,
        )
    };
}
pub(super) use columns;
