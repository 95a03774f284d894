-- Indexes for whoever asks for them or not.
CREATE INDEX task_due_7 ON task (due_at, id);
CREATE INDEX task_created_7 ON task (created_at, id);
CREATE INDEX task_history_created_7 ON task_history (created_at, id);
CREATE INDEX parked_pause_7 ON parked (pause, due_at, id);
CREATE INDEX tombstone_age_7 ON tombstone (cancelled_at, id);
DROP INDEX task_due, task_created, task_history_created, parked_pause, tombstone_age;
ALTER INDEX task_due_7 RENAME TO task_due;
ALTER INDEX task_created_7 RENAME TO task_created;
ALTER INDEX task_history_created_7 RENAME TO task_history_created;
ALTER INDEX parked_pause_7 RENAME TO parked_pause;
ALTER INDEX tombstone_age_7 RENAME TO tombstone_age;
UPDATE schema_version SET version = 7, min_program = 1;
