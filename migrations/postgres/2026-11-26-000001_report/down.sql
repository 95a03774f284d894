-- A node's reports tell nothing that is needed to go on.
DROP TABLE minute;
DROP TABLE report;
UPDATE schema_version SET version = 2;
