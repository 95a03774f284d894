-- Whether the brokers have a partition's next record is looked at again whenever it is begun with.
ALTER TABLE ingest_offset DROP COLUMN stopped;
UPDATE schema_version SET version = 3;
