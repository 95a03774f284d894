-- Back to an empty file: every task is lost, so nothing but a test should ever do this.
DROP TABLE ingest_offset;
DROP TABLE dead_letter;
DROP TABLE task_count;
DROP TABLE master_term;
DROP TABLE master_fence;
DROP TABLE master_lease;
DROP TABLE generation;
DROP TABLE start_record;
DROP TABLE assignment;
DROP TABLE attempt;
DROP TABLE task_history;
DROP TABLE task;
DROP TABLE schema_version;
