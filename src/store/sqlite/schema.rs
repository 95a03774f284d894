//! The tables of `migrations/sqlite`, as diesel knows them.

macro_rules! task_table {
    ($name:ident { $($own:tt)* }) => {
        diesel::table! {
            $name (id) {
                id -> Binary,
                state -> SmallInt,
                due_at -> BigInt,
                run_at -> BigInt,
                priority -> SmallInt,
                misfire_ms -> Nullable<BigInt>,
                claim_no -> BigInt,
                attempt -> Integer,
                owner -> Nullable<Binary>,
                epoch -> Nullable<BigInt>,
                accepted_at -> Nullable<BigInt>,
                created_at -> BigInt,
                dispatched_at -> Nullable<BigInt>,
                started_at -> Nullable<BigInt>,
                last_error -> Nullable<Text>,
                delivery -> SmallInt,
                retry -> Text,
                timeout_ms -> BigInt,
                target -> Text,
                labels -> Text,
                payload_kind -> SmallInt,
                payload -> Binary,
                fingerprint -> Binary,
                $($own)*
            }
        }
    };
}

task_table!(task {});
task_table!(task_history { finished_at -> BigInt, });

diesel::table! {
    attempt (task_id, claim_no) {
        task_id -> Binary,
        claim_no -> BigInt,
        #[sql_name = "attempt"]
        attempt_no -> Integer,
        generation -> Nullable<Binary>,
        epoch -> Nullable<BigInt>,
        due_at -> BigInt,
        started_at -> Nullable<BigInt>,
        finished_at -> BigInt,
        outcome -> SmallInt,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    assignment (seq) {
        seq -> BigInt,
        generation -> Binary,
        epoch -> BigInt,
        ids -> Binary,
        claim_nos -> Binary,
    }
}

diesel::table! {
    start_record (seq) {
        seq -> BigInt,
        generation -> Binary,
        started_at -> BigInt,
        ids -> Binary,
        claim_nos -> Binary,
    }
}

diesel::table! {
    generation (id) {
        id -> Binary,
        node -> Text,
        address -> Text,
        version -> Text,
        slots -> Integer,
        state -> SmallInt,
        registered_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    master_lease (one) {
        one -> SmallInt,
        epoch -> BigInt,
        generation -> Nullable<Binary>,
        expires_at -> BigInt,
    }
}

diesel::table! {
    master_fence (one) {
        one -> SmallInt,
        epoch -> BigInt,
        generation -> Nullable<Binary>,
        pauses -> BigInt,
    }
}

diesel::table! {
    pause (seq) {
        seq -> BigInt,
        label -> Nullable<Text>,
        value -> Nullable<Text>,
        reason -> Nullable<Text>,
        paused_at -> BigInt,
        resumed_at -> Nullable<BigInt>,
        per_second -> Nullable<BigInt>,
    }
}

diesel::table! {
    master_term (epoch) {
        epoch -> BigInt,
        generation -> Binary,
        node -> Text,
        elected_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        end_reason -> Nullable<Text>,
    }
}

diesel::table! {
    task_count (state) {
        state -> SmallInt,
        tasks -> BigInt,
    }
}

diesel::table! {
    dead_letter (seq) {
        seq -> BigInt,
        buried_at -> BigInt,
        origin -> Text,
        reason -> Text,
        record -> Binary,
        published -> Bool,
        replayed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    dead_letter_count (one) {
        one -> SmallInt,
        letters -> BigInt,
    }
}

diesel::table! {
    ingest_offset (topic_id, topic_partition) {
        topic_id -> Text,
        topic_partition -> Integer,
        next_offset -> BigInt,
        stopped -> Nullable<Text>,
    }
}

diesel::table! {
    schema_version (version) {
        version -> Integer,
        min_program -> Integer,
    }
}

diesel::allow_tables_to_appear_in_same_query!(task, task_history, attempt, generation);

diesel::table! {
    minute (begun_at, generation) {
        begun_at -> BigInt,
        generation -> Binary,
        figures -> Text,
    }
}

diesel::table! {
    tombstone (id) {
        id -> Binary,
        cancelled_at -> BigInt,
        topic_id -> Text,
        positions -> Text,
    }
}
