-- Pausing the dispatch, of everything or by label. Older programs live with it, but a master of theirs knows no pause: pause when
-- every node is up to date.
UPDATE schema_version SET version = 6;

-- What is paused, until its catch-up has come to its end: then the row goes.
CREATE TABLE pause (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    label TEXT,                     -- with `value`: only tasks with this label; NULL: all
    value TEXT,
    reason TEXT,
    paused_at BIGINT NOT NULL,
    resumed_at BIGINT,              -- since when what waits is let go
    per_second BIGINT               -- so many a second; NULL: all at once
);
-- Counts the changes of `pause`. It stands in the fence's row, which a claim holds and reads anyway: whoever pauses waits for the
-- claim under way, and the next one sees it. (`pauses` of a master that knows none stays what it was.)
ALTER TABLE master_fence ADD COLUMN pauses BIGINT NOT NULL DEFAULT 0;

-- Tasks that came due while they were paused. In `task` they are due at the end of time, so that the look-ahead never meets
-- them again and again; here stands when they really were.
CREATE TABLE parked (
    id BLOB NOT NULL PRIMARY KEY,
    pause BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);
CREATE INDEX parked_pause ON parked (pause, due_at, id);
