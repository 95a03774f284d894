-- When a task was accepted, which is before it is stored. Older programs live with it: they write none, and what they move
-- between the tables loses its own.
UPDATE schema_version SET version = 9;

-- For people only: nothing looks for it, so it is in no index. It comes behind the payload, so lists leave it out: they
-- would read past the payload for it.
ALTER TABLE task ADD COLUMN accepted_at BIGINT;             -- NULL: nobody knows
ALTER TABLE task_history ADD COLUMN accepted_at BIGINT;
