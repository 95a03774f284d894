-- Nothing is to be done here: this database takes no statistics. Both count their steps alike.
UPDATE schema_version SET version = 8;
