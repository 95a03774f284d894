-- Nothing is removed any more.
DROP TRIGGER dead_letter_removed ON dead_letter;
DROP TRIGGER dead_letter_taken_up ON dead_letter;
DROP TRIGGER dead_letter_buried ON dead_letter;
DROP FUNCTION count_gone();
DROP FUNCTION count_buried();
DROP TABLE dead_letter_count;
DROP INDEX dead_letter_replayed;
DROP INDEX task_history_finished;
ALTER TABLE task_history RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay);
ALTER TABLE attempt RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay);
ALTER TABLE dead_letter DROP COLUMN replayed_at;
UPDATE schema_version SET version = 6;
