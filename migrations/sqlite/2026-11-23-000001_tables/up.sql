-- The first schema of the embedded store.
-- Times are microseconds since 1970 (UTC) as integers; ids are 16-byte blobs; packed lists are explained at their table.

-- Which program may open this file: `min_program` is the lowest schema number a program must know. Raised only by a
-- step that an older program cannot live with.
CREATE TABLE schema_version (
    version INTEGER NOT NULL,
    min_program INTEGER NOT NULL
);
INSERT INTO schema_version (version, min_program) VALUES (1, 1);

-- Live tasks only: scheduled (0) and dispatched (1).
CREATE TABLE task (
    id BLOB NOT NULL PRIMARY KEY,
    state SMALLINT NOT NULL,
    due_at BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    priority SMALLINT NOT NULL,
    misfire_ms BIGINT,              -- NULL: fire, however late
    claim_no BIGINT NOT NULL,       -- counts claims, and fences the older ones
    attempt INTEGER NOT NULL,       -- starts whose outcome is known
    owner BLOB,                     -- the generation of the current claim
    epoch BIGINT,                   -- the epoch of the current claim
    created_at BIGINT NOT NULL,
    dispatched_at BIGINT,
    started_at BIGINT,              -- of the last attempt whose outcome is known
    last_error TEXT,
    delivery SMALLINT NOT NULL,     -- 0 at_most_once, 1 at_least_once
    retry TEXT NOT NULL,            -- JSON
    timeout_ms BIGINT NOT NULL,
    target TEXT NOT NULL,           -- JSON
    labels TEXT NOT NULL,           -- JSON
    payload_kind SMALLINT NOT NULL, -- 0 none, 1 JSON, 2 bytes
    fingerprint BLOB NOT NULL,      -- SHA-256 of the document as submitted
    payload BLOB NOT NULL           -- the last: whoever does not ask for it does not read past it
);
-- The look-ahead reads in this order. Not partial: an index on `state` would be rewritten by every claim.
CREATE INDEX task_due ON task (due_at, id);
-- Lists, the newest first. New rows go to the index's end, which is the cheapest place.
CREATE INDEX task_created ON task (created_at, id);

-- Tasks in every other state: the whole row moves, both ways, `claim_no` included.
CREATE TABLE task_history (
    id BLOB NOT NULL PRIMARY KEY,
    state SMALLINT NOT NULL,
    due_at BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    priority SMALLINT NOT NULL,
    misfire_ms BIGINT,
    claim_no BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    owner BLOB,
    epoch BIGINT,
    created_at BIGINT NOT NULL,
    dispatched_at BIGINT,
    started_at BIGINT,
    last_error TEXT,
    delivery SMALLINT NOT NULL,
    retry TEXT NOT NULL,
    timeout_ms BIGINT NOT NULL,
    target TEXT NOT NULL,
    labels TEXT NOT NULL,
    payload_kind SMALLINT NOT NULL,
    fingerprint BLOB NOT NULL,
    finished_at BIGINT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX task_history_created ON task_history (created_at, id);
-- Finds the few that did not simply succeed, and costs a success nothing.
CREATE INDEX task_history_exceptional ON task_history (state, created_at, id) WHERE state <> 2;

-- One row per attempt, written with its outcome; a success needs none beyond its history row.
CREATE TABLE attempt (
    task_id BLOB NOT NULL,
    claim_no BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    generation BLOB,
    epoch BIGINT,
    due_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT NOT NULL,
    outcome SMALLINT NOT NULL,      -- 0 succeeded, 1 failed, 2 not sent, 3 ambiguous
    error TEXT,
    PRIMARY KEY (task_id, claim_no)
) WITHOUT ROWID;

-- One row per claim transaction and generation. `ids` are 16 bytes each, `claim_nos` 8 bytes each, big-endian.
-- AUTOINCREMENT: a number is never used again, so that "after seq" never misses one.
CREATE TABLE assignment (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    generation BLOB NOT NULL,
    epoch BIGINT NOT NULL,
    ids BLOB NOT NULL,
    claim_nos BLOB NOT NULL
);
CREATE INDEX assignment_generation ON assignment (generation, seq);

-- The point of no return of the claims in it; packed like an assignment.
CREATE TABLE start_record (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    generation BLOB NOT NULL,
    started_at BIGINT NOT NULL,
    ids BLOB NOT NULL,
    claim_nos BLOB NOT NULL
);
CREATE INDEX start_record_generation ON start_record (generation, seq);

-- One life of an actor set. 0 alive, 1 draining, 2 dead; only forward.
CREATE TABLE generation (
    id BLOB NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    slots INTEGER NOT NULL,
    state SMALLINT NOT NULL,
    registered_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX generation_state ON generation (state, registered_at);

-- The lease is renewed, the fence changes only at a take-over: two rows, so that neither waits for the other.
CREATE TABLE master_lease (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL,
    generation BLOB,
    expires_at BIGINT NOT NULL
);
INSERT INTO master_lease (one, epoch, generation, expires_at) VALUES (1, 0, NULL, 0);
CREATE TABLE master_fence (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL,
    generation BLOB
);
INSERT INTO master_fence (one, epoch, generation) VALUES (1, 0, NULL);

-- Every reign that ever was.
CREATE TABLE master_term (
    epoch BIGINT NOT NULL PRIMARY KEY,
    generation BLOB NOT NULL,
    node TEXT NOT NULL,
    elected_at BIGINT NOT NULL,
    ended_at BIGINT,
    end_reason TEXT
);

-- Counts by state, kept by every transaction that moves a task: nobody ever counts rows.
CREATE TABLE task_count (
    state SMALLINT NOT NULL PRIMARY KEY,
    tasks BIGINT NOT NULL
);
INSERT INTO task_count (state, tasks) VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0);

-- Records that could not be read.
CREATE TABLE dead_letter (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    buried_at BIGINT NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT NOT NULL,
    record BLOB NOT NULL
);

-- How far each partition of the submission topic has been ingested: the next offset to read.
CREATE TABLE ingest_offset (
    topic_id TEXT NOT NULL,
    topic_partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (topic_id, topic_partition)
);
