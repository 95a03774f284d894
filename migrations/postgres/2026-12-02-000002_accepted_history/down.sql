-- Nobody is told any more when a task that has ended was accepted.
ALTER TABLE task_history DROP COLUMN accepted_at;
UPDATE schema_version SET version = 8;
