ALTER TABLE heartbeat DROP COLUMN reads_topic;
DROP TABLE tombstone;
DROP INDEX dead_letter_unpublished;
ALTER TABLE dead_letter DROP COLUMN published;
DROP INDEX dead_letter_origin;
UPDATE schema_version SET version = 1;
