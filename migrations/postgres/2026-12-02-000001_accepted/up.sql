-- When a task was accepted, which is before it is stored. Older programs live with it: they write none, and what they move
-- between the tables loses its own.
-- For people only: nothing looks for it, so it is in no index. One table in each step: nodes at work lock both, in either
-- order, and would lock each other out with a step that wants both for itself.
ALTER TABLE task ADD COLUMN accepted_at BIGINT;             -- NULL: nobody knows
