-- Nothing is removed any more.
DROP INDEX task_history_finished;
ALTER TABLE dead_letter DROP COLUMN replayed_at;
UPDATE schema_version SET version = 6;
