-- Indexes for whoever asks for them or not.
DROP INDEX tombstone_age;
CREATE INDEX tombstone_age ON tombstone (cancelled_at, id);
DROP INDEX parked_pause;
CREATE INDEX parked_pause ON parked (pause, due_at, id);
DROP INDEX task_history_created;
CREATE INDEX task_history_created ON task_history (created_at, id);
DROP INDEX task_created;
CREATE INDEX task_created ON task (created_at, id);
DROP INDEX task_due;
CREATE INDEX task_due ON task (due_at, id);
UPDATE schema_version SET version = 7;
