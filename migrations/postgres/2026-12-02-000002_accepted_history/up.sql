-- The same for tasks that have ended.
UPDATE schema_version SET version = 9;
ALTER TABLE task_history ADD COLUMN accepted_at BIGINT;     -- NULL: nobody knows
