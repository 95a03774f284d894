-- Retention, and dead letters that are submitted again. Older programs live with it: they remove nothing.
UPDATE schema_version SET version = 7;

-- Finds what has been finished long enough; an unknown task waits for somebody and is never removed.
CREATE INDEX task_history_finished ON task_history (finished_at, id) WHERE state <> 4;

-- When a dead letter was submitted again; it is none any more, and its row goes with retention.
ALTER TABLE dead_letter ADD COLUMN replayed_at BIGINT;
CREATE INDEX dead_letter_replayed ON dead_letter (replayed_at, seq) WHERE replayed_at IS NOT NULL;

-- How many dead letters wait: nobody ever counts them. Triggers, so that what an older program buries is counted too.
CREATE TABLE dead_letter_count (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    letters BIGINT NOT NULL
);
INSERT INTO dead_letter_count (one, letters) SELECT 1, count(*) FROM dead_letter;

CREATE TRIGGER dead_letter_buried AFTER INSERT ON dead_letter WHEN NEW.replayed_at IS NULL
BEGIN
    UPDATE dead_letter_count SET letters = letters + 1;
END;
CREATE TRIGGER dead_letter_taken_up AFTER UPDATE OF replayed_at ON dead_letter
WHEN OLD.replayed_at IS NULL AND NEW.replayed_at IS NOT NULL
BEGIN
    UPDATE dead_letter_count SET letters = letters - 1;
END;
CREATE TRIGGER dead_letter_removed AFTER DELETE ON dead_letter WHEN OLD.replayed_at IS NULL
BEGIN
    UPDATE dead_letter_count SET letters = letters - 1;
END;
