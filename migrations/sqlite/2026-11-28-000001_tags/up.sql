-- Lists by label and by target. Older programs live with it: what they take in has no tags and is found by other filters.
UPDATE schema_version SET version = 5;

-- One row for each label of a task (`l:name=value`) and one for its target (`t:http:host`, `t:kafka:cluster/topic`, `t:log`), in the
-- order of the lists. A task keeps them when it moves to history: they are written when it comes in and go with it.
CREATE TABLE task_tag (
    tag TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (tag, created_at, id)
) WITHOUT ROWID;

INSERT OR IGNORE INTO task_tag (tag, created_at, id)
SELECT 'l:' || label.key || '=' || label.value, t.created_at, t.id
FROM (SELECT id, created_at, labels FROM task UNION ALL SELECT id, created_at, labels FROM task_history) AS t,
    json_each(t.labels) AS label;

-- A URL is stored in its normal form, so its host ends at the first slash behind `://`.
INSERT OR IGNORE INTO task_tag (tag, created_at, id)
SELECT CASE kind
        WHEN 'http' THEN 't:http:' || substr(rest, 1, instr(rest || '/', '/') - 1)
        WHEN 'kafka' THEN 't:kafka:' || coalesce(cluster || '/', '') || topic
        ELSE 't:' || kind END, created_at, id
FROM (SELECT id, created_at, target ->> 'type' AS kind, target ->> 'cluster' AS cluster, target ->> 'topic' AS topic,
        substr(target ->> 'url', instr(target ->> 'url', '://') + 3) AS rest
    FROM (SELECT id, created_at, target FROM task UNION ALL SELECT id, created_at, target FROM task_history));
