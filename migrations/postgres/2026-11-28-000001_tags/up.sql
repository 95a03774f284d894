-- Lists by label and by target. Older programs live with it: what they take in has no tags and is found by other filters.
UPDATE schema_version SET version = 5;

-- One row for each label of a task (`l:name=value`) and one for its target (`t:http:host`, `t:kafka:cluster/topic`, `t:log`), in the
-- order of the lists. A task keeps them when it moves to history: they are written when it comes in and go with it.
CREATE TABLE task_tag (
    tag TEXT COLLATE "C" NOT NULL,   -- compared by its bytes: faster, and the same on every system
    created_at BIGINT NOT NULL,
    id UUID NOT NULL,
    PRIMARY KEY (tag, created_at, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- In the order of the index, so that each of its pages is filled once.
INSERT INTO task_tag (tag, created_at, id)
SELECT 'l:' || label.key || '=' || label.value, t.created_at, t.id
FROM (SELECT id, created_at, labels FROM task UNION ALL SELECT id, created_at, labels FROM task_history) AS t,
    jsonb_each_text(t.labels::JSONB) AS label
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING;

-- A URL is kept as it was written, so its host is looked for: behind the scheme and any slashes (backslashes count as such), in
-- lower case, without the scheme's own port. (One that is written in another script or with percent signs keeps its form.)
-- `\u0000`, which may stand in a record's key, would be refused in JSON; a pair of backslashes before `u0000` is none.
INSERT INTO task_tag (tag, created_at, id)
SELECT CASE target ->> 'type'
        WHEN 'http' THEN 't:http:' || left(coalesce(regexp_replace(
            substring(lower(target ->> 'url') FROM '^\s*[^:]+:/*([^/?#]+)'),
            CASE WHEN target ->> 'url' ~* '^\s*https:' THEN ':(443)?\s*$' ELSE ':(80)?\s*$' END, ''), ''), 259)
        WHEN 'kafka' THEN 't:kafka:' || coalesce((target ->> 'cluster') || '/', '') || (target ->> 'topic')
        ELSE 't:' || (target ->> 'type') END, created_at, id
FROM (SELECT id, created_at, replace(replace(target, '\\', '/'), '\u0000', '')::JSON AS target
    FROM (SELECT id, created_at, target FROM task UNION ALL SELECT id, created_at, target FROM task_history) AS raw) AS t
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING;
