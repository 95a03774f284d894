-- Nothing is removed any more.
DROP TRIGGER dead_letter_removed;
DROP TRIGGER dead_letter_taken_up;
DROP TRIGGER dead_letter_buried;
DROP TABLE dead_letter_count;
DROP INDEX dead_letter_replayed;
DROP INDEX task_history_finished;
ALTER TABLE dead_letter DROP COLUMN replayed_at;
UPDATE schema_version SET version = 6;
