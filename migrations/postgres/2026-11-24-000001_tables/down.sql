-- Takes the whole schema away, and every task with it.
DROP TABLE ingest_offset, dead_letter, task_count, master_term, master_fence, master_lease, load, heartbeat, generation,
    start_record, assignment, attempt, task_history, task, schema_version;
DROP FUNCTION now_us();
