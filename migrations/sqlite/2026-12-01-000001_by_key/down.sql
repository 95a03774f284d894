-- The step before.
UPDATE schema_version SET version = 7;
