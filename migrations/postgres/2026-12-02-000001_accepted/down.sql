-- Nobody is told any more when a task was accepted.
ALTER TABLE task DROP COLUMN accepted_at;
