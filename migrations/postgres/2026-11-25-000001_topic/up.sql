-- What reading submissions from a topic needs. Older programs live with it: what is new has defaults.
UPDATE schema_version SET version = 2;

-- A record read twice is one dead letter.
CREATE UNIQUE INDEX dead_letter_origin ON dead_letter (origin);
-- From its row a dead letter is published to its own topic.
ALTER TABLE dead_letter ADD COLUMN published BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX dead_letter_unpublished ON dead_letter (seq) WHERE NOT published;

-- Tasks that were cancelled before they came in. One goes when its submission comes in, or when everything that was in
-- the topic at the cancel has been ingested.
CREATE TABLE tombstone (
    id UUID NOT NULL PRIMARY KEY,
    cancelled_at BIGINT NOT NULL,
    topic_id TEXT NOT NULL,
    positions TEXT NOT NULL         -- JSON: the end of each partition at the cancel
);
CREATE INDEX tombstone_age ON tombstone (cancelled_at, id);

-- Partitions are shared out among those whom the brokers answer.
ALTER TABLE heartbeat ADD COLUMN reads_topic BOOLEAN NOT NULL DEFAULT FALSE;
