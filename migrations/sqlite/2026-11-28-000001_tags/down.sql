-- Lists by label read every task again.
DROP TABLE task_tag;
UPDATE schema_version SET version = 4;
