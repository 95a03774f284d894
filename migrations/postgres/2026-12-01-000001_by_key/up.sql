-- Whoever looks for a row by its key finds it by its key alone. The other indexes end with the key too, and statistics that were
-- taken while a table was empty make a walk through all of one of them look as cheap as a step into the key: that plan stays
-- when the table is full. So they are made of rows of any time, which every row is, and only who asks for that is given them.
-- Older programs do not ask so, and would read whole tables: none may start any more.
UPDATE schema_version SET version = 8, min_program = 8;

-- While they are built everything can be read; only the exchange lets nobody in.
CREATE INDEX task_due_8 ON task (due_at, id) WHERE due_at > -1000000000000000000;
CREATE INDEX task_created_8 ON task (created_at, id) WHERE created_at > -1000000000000000000;
CREATE INDEX task_history_created_8 ON task_history (created_at, id) WHERE created_at > -1000000000000000000;
CREATE INDEX parked_pause_8 ON parked (pause, due_at, id) WHERE due_at > -1000000000000000000;
CREATE INDEX tombstone_age_8 ON tombstone (cancelled_at, id) WHERE cancelled_at > -1000000000000000000;
DROP INDEX task_due, task_created, task_history_created, parked_pause, tombstone_age;
ALTER INDEX task_due_8 RENAME TO task_due;
ALTER INDEX task_created_8 RENAME TO task_created;
ALTER INDEX task_history_created_8 RENAME TO task_history_created;
ALTER INDEX parked_pause_8 RENAME TO parked_pause;
ALTER INDEX tombstone_age_8 RENAME TO tombstone_age;
