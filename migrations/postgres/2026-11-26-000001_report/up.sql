-- What nodes report of themselves, so that any of them can show all. Older programs live with it: they report nothing.
UPDATE schema_version SET version = 3;

-- The last report of each generation; its row goes when the generation is recovered.
CREATE TABLE report (
    generation UUID NOT NULL PRIMARY KEY,
    reported_at BIGINT NOT NULL,
    snapshot TEXT NOT NULL,         -- JSON
    begun_at BIGINT NOT NULL,       -- the current minute: since when it counts
    figures TEXT NOT NULL           -- JSON: its sums so far
) WITH (fillfactor = 50);

-- Sums of minutes that have ended, kept for a day.
CREATE TABLE minute (
    begun_at BIGINT NOT NULL,
    generation UUID NOT NULL,
    figures TEXT NOT NULL,          -- JSON
    PRIMARY KEY (begun_at, generation)
);
