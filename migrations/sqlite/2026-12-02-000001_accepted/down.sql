-- Nobody is told any more when a task was accepted.
ALTER TABLE task DROP COLUMN accepted_at;
ALTER TABLE task_history DROP COLUMN accepted_at;
UPDATE schema_version SET version = 8;
