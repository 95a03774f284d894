-- The first schema of the cluster's store.
-- Times are microseconds since 1970 (UTC) as integers, as in the embedded store; `now_us()` is the one clock.

-- Which program may use this database: `min_program` is the lowest schema number a program must know. Raised only by a
-- step that an older program cannot live with.
CREATE TABLE schema_version (
    version INTEGER NOT NULL,
    min_program INTEGER NOT NULL
);
INSERT INTO schema_version (version, min_program) VALUES (1, 1);

-- The database's clock. VOLATILE: two calls of one transaction are two instants; a lease is judged by the later one.
-- Every time of the program comes from here, so that a test can make the clock of one schema step.
CREATE FUNCTION now_us() RETURNS BIGINT LANGUAGE sql VOLATILE
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT $$;

-- Live tasks only: scheduled (0) and dispatched (1). The fillfactor leaves room for the new version of a row beside the
-- old one, so that a claim touches no index (HOT): no index has a column that a claim or a start changes.
CREATE TABLE task (
    id UUID NOT NULL PRIMARY KEY,
    state SMALLINT NOT NULL,
    due_at BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    priority SMALLINT NOT NULL,
    misfire_ms BIGINT,              -- NULL: fire, however late
    claim_no BIGINT NOT NULL,       -- counts claims, and fences the older ones
    attempt INTEGER NOT NULL,       -- starts whose outcome is known
    owner UUID,                     -- the generation of the current claim
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
    fingerprint BYTEA NOT NULL,     -- SHA-256 of the document as submitted
    payload BYTEA NOT NULL           -- the last: whoever does not ask for it does not read past it
) WITH (fillfactor = 55, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
-- The look-ahead reads in this order. Not partial: an index on `state` would make no claim HOT.
CREATE INDEX task_due ON task (due_at, id);
-- Lists, the newest first.
CREATE INDEX task_created ON task (created_at, id);

-- Tasks in every other state: the whole row moves, both ways, `claim_no` included.
CREATE TABLE task_history (
    id UUID NOT NULL PRIMARY KEY,
    state SMALLINT NOT NULL,
    due_at BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    priority SMALLINT NOT NULL,
    misfire_ms BIGINT,
    claim_no BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    owner UUID,
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
    fingerprint BYTEA NOT NULL,
    finished_at BIGINT NOT NULL,
    payload BYTEA NOT NULL
);
CREATE INDEX task_history_created ON task_history (created_at, id);
-- Finds the few that did not simply succeed, and costs a success nothing.
CREATE INDEX task_history_exceptional ON task_history (state, created_at, id) WHERE state <> 2;

-- One row per attempt, written with its outcome; a success needs none beyond its history row.
CREATE TABLE attempt (
    task_id UUID NOT NULL,
    claim_no BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    generation UUID,
    epoch BIGINT,
    due_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT NOT NULL,
    outcome SMALLINT NOT NULL,      -- 0 succeeded, 1 failed, 2 not sent, 3 ambiguous
    error TEXT,
    PRIMARY KEY (task_id, claim_no)
);

-- One row per claim transaction and generation. Claims are serial under the master's fence, so `seq` rises in the
-- order of their commits, and "after seq" never misses one.
CREATE TABLE assignment (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation UUID NOT NULL,
    epoch BIGINT NOT NULL,
    ids UUID[] NOT NULL,
    claim_nos BIGINT[] NOT NULL
);
CREATE INDEX assignment_generation ON assignment (generation, seq);

-- The point of no return of the claims in it.
CREATE TABLE start_record (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation UUID NOT NULL,
    started_at BIGINT NOT NULL,
    ids UUID[] NOT NULL,
    claim_nos BIGINT[] NOT NULL
);
CREATE INDEX start_record_generation ON start_record (generation, seq);

-- One life of an actor set. 0 alive, 1 draining, 2 dead; only forward. This row is the generation's fence: start records
-- and claims for it hold it FOR SHARE, so a heartbeat must not touch it.
CREATE TABLE generation (
    id UUID NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    slots INTEGER NOT NULL,
    state SMALLINT NOT NULL,
    registered_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX generation_state ON generation (state, registered_at);

-- Its signs of life: who judges them looks at the counter and at no clock.
CREATE TABLE heartbeat (
    generation UUID NOT NULL PRIMARY KEY,
    counter BIGINT NOT NULL,
    beaten_at BIGINT NOT NULL,      -- shown, never used
    free_slots INTEGER NOT NULL,
    clock_offset_us BIGINT NOT NULL,
    gone BOOLEAN NOT NULL           -- it has said farewell
) WITH (fillfactor = 50);

-- Claims assigned to a generation (written by the master) and settled (written with the outcomes): two rows, so that
-- neither waits for the other. Their difference is what it holds.
CREATE TABLE load (
    generation UUID NOT NULL,
    kind SMALLINT NOT NULL,         -- 0 assigned, 1 settled
    claims BIGINT NOT NULL,
    PRIMARY KEY (generation, kind)
) WITH (fillfactor = 50);

-- The lease is renewed, the fence changes only at a take-over: two rows, so that a renewal never waits for a claim.
CREATE TABLE master_lease (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL,
    generation UUID,
    expires_at BIGINT NOT NULL
) WITH (fillfactor = 50);
INSERT INTO master_lease (one, epoch, generation, expires_at) VALUES (1, 0, NULL, 0);
CREATE TABLE master_fence (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL,
    generation UUID
);
INSERT INTO master_fence (one, epoch, generation) VALUES (1, 0, NULL);

-- Every reign that ever was.
CREATE TABLE master_term (
    epoch BIGINT NOT NULL PRIMARY KEY,
    generation UUID NOT NULL,
    node TEXT NOT NULL,
    elected_at BIGINT NOT NULL,
    ended_at BIGINT,
    end_reason TEXT
);

-- Counts by state as sums of deltas. Every process keeps rows of its own for each kind of transaction, so that no two
-- that run at once write the same row; nobody ever counts tasks.
CREATE TABLE task_count (
    writer UUID NOT NULL,
    stream SMALLINT NOT NULL,
    state SMALLINT NOT NULL,
    tasks BIGINT NOT NULL,
    PRIMARY KEY (writer, stream, state)
) WITH (fillfactor = 50);

-- Records that could not be read.
CREATE TABLE dead_letter (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    buried_at BIGINT NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT NOT NULL,
    record BYTEA NOT NULL
);

-- How far each partition of the submission topic has been ingested: the next offset to read.
CREATE TABLE ingest_offset (
    topic_id TEXT NOT NULL,
    topic_partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (topic_id, topic_partition)
);
