-- Lists by label and by target. Older programs live with it: what they take in has no tags and is found by other filters.
UPDATE schema_version SET version = 5;

-- One row for each label of a task (`l:name=value`) and one for its target (`t:http:host`, `t:kafka:cluster/topic`, `t:log`), in the
-- order of the lists. A task keeps them when it moves to history: they are written when it comes in and go with it.
CREATE TABLE task_tag (
    tag TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    id UUID NOT NULL,
    PRIMARY KEY (tag, created_at, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

INSERT INTO task_tag (tag, created_at, id)
SELECT 'l:' || label.key || '=' || label.value, t.created_at, t.id
FROM (SELECT id, created_at, labels FROM task UNION ALL SELECT id, created_at, labels FROM task_history) AS t,
    jsonb_each_text(t.labels::JSONB) AS label
ON CONFLICT DO NOTHING;

INSERT INTO task_tag (tag, created_at, id)
SELECT CASE target ->> 'type'
        WHEN 'http' THEN 't:http:' || substring(target ->> 'url' FROM '^[^:]+://([^/?#]+)')
        WHEN 'kafka' THEN 't:kafka:' || coalesce((target ->> 'cluster') || '/', '') || (target ->> 'topic')
        ELSE 't:' || (target ->> 'type') END, created_at, id
FROM (SELECT id, created_at, target::JSONB AS target FROM task
    UNION ALL SELECT id, created_at, target::JSONB FROM task_history) AS t
ON CONFLICT DO NOTHING;
