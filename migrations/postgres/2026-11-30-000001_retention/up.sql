-- Retention, and dead letters that are submitted again. Older programs live with it: they remove nothing.
UPDATE schema_version SET version = 7;

-- Finds what has been finished long enough; an unknown task waits for somebody and is never removed.
CREATE INDEX task_history_finished ON task_history (finished_at, id) WHERE state <> 4;

-- When a dead letter was submitted again; it is none any more, and its row goes with retention.
ALTER TABLE dead_letter ADD COLUMN replayed_at BIGINT;

-- What is removed is to be used again soon: tables and indexes stop growing.
ALTER TABLE task_history SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE attempt SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
