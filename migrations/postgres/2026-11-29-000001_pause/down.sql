-- What waits for a pause's end is due again when it was.
UPDATE task SET due_at = (SELECT parked.due_at FROM parked WHERE parked.id = task.id)
    WHERE id IN (SELECT id FROM parked) AND state = 0 AND due_at = 253402300799000000;
DROP TABLE parked;
ALTER TABLE master_fence DROP COLUMN pauses;
DROP TABLE pause;
UPDATE schema_version SET version = 5;
