-- Sums of minutes that have ended, kept for a day. (The last report of a node stays in memory: there is one process.)
UPDATE schema_version SET version = 3;

CREATE TABLE minute (
    begun_at INTEGER NOT NULL,
    generation BLOB NOT NULL,
    figures TEXT NOT NULL,          -- JSON
    PRIMARY KEY (begun_at, generation)
) WITHOUT ROWID;
