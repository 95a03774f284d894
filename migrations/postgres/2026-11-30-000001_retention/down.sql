-- Nothing is removed any more.
DROP INDEX task_history_finished;
ALTER TABLE task_history RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay);
ALTER TABLE attempt RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay);
ALTER TABLE dead_letter DROP COLUMN replayed_at;
UPDATE schema_version SET version = 6;
