-- Retention, and dead letters that are submitted again. Older programs live with it: they remove nothing.
UPDATE schema_version SET version = 7;

-- Finds what has been finished long enough; an unknown task waits for somebody and is never removed.
CREATE INDEX task_history_finished ON task_history (finished_at, id) WHERE state <> 4;

-- When a dead letter was submitted again; it is none any more, and its row goes with retention.
ALTER TABLE dead_letter ADD COLUMN replayed_at BIGINT;

-- What is removed is to be used again soon: tables and indexes stop growing.
ALTER TABLE task_history SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE attempt SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX dead_letter_replayed ON dead_letter (replayed_at, seq) WHERE replayed_at IS NOT NULL;

-- How many dead letters wait, as sums of deltas: nobody ever counts them. Triggers, so that what an older program buries is
-- counted too; sessions share some rows, so that two that bury at once rarely wait for each other.
CREATE TABLE dead_letter_count (
    shard SMALLINT NOT NULL PRIMARY KEY,
    letters BIGINT NOT NULL
) WITH (fillfactor = 50);
INSERT INTO dead_letter_count (shard, letters) SELECT 0, count(*) FROM dead_letter;

CREATE FUNCTION count_buried() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE buried BIGINT := (SELECT count(*) FROM new_letters WHERE replayed_at IS NULL);
BEGIN
    IF buried > 0 THEN
        INSERT INTO dead_letter_count AS c (shard, letters) VALUES (pg_backend_pid() % 16, buried)
            ON CONFLICT (shard) DO UPDATE SET letters = c.letters + excluded.letters;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER dead_letter_buried AFTER INSERT ON dead_letter
    REFERENCING NEW TABLE AS new_letters FOR EACH STATEMENT EXECUTE FUNCTION count_buried();

CREATE FUNCTION count_gone() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO dead_letter_count AS c (shard, letters) VALUES (pg_backend_pid() % 16, -1)
        ON CONFLICT (shard) DO UPDATE SET letters = c.letters + excluded.letters;
    RETURN NULL;
END $$;
CREATE TRIGGER dead_letter_taken_up AFTER UPDATE OF replayed_at ON dead_letter
    FOR EACH ROW WHEN (OLD.replayed_at IS NULL AND NEW.replayed_at IS NOT NULL) EXECUTE FUNCTION count_gone();
CREATE TRIGGER dead_letter_removed AFTER DELETE ON dead_letter
    FOR EACH ROW WHEN (OLD.replayed_at IS NULL) EXECUTE FUNCTION count_gone();
