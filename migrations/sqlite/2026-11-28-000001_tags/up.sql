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

-- In the order of the index, so that each of its pages is filled once.
INSERT OR IGNORE INTO task_tag (tag, created_at, id)
SELECT 'l:' || label.key || '=' || label.value, t.created_at, t.id
FROM (SELECT id, created_at, labels FROM task UNION ALL SELECT id, created_at, labels FROM task_history) AS t,
    json_each(t.labels) AS label
ORDER BY 1, 2, 3;

-- A URL is kept as it was written, so its host is looked for: behind the scheme and any slashes (backslashes count as such), in
-- lower case, without the scheme's own port. (One that is written in another script or with percent signs keeps its form.)
INSERT OR IGNORE INTO task_tag (tag, created_at, id)
SELECT CASE kind
        WHEN 'http' THEN 't:http:' || substr(rtrim(CASE
            WHEN scheme = 'https' AND host LIKE '%:443' THEN substr(host, 1, length(host) - 4)
            WHEN scheme = 'http' AND host LIKE '%:80' THEN substr(host, 1, length(host) - 3)
            ELSE host END, ':'), 1, 259)
        WHEN 'kafka' THEN 't:kafka:' || coalesce(cluster || '/', '') || topic
        ELSE 't:' || kind END, created_at, id
FROM (SELECT id, created_at, kind, cluster, topic, scheme, coalesce(substr(rest, 1, instr(rest || '/', '/') - 1), '') AS host
    FROM (SELECT id, created_at, kind, cluster, topic, substr(url, 1, instr(url, ':') - 1) AS scheme,
            ltrim(substr(url, instr(url, ':') + 1), '/') AS rest
        FROM (SELECT id, created_at, target ->> 'type' AS kind, target ->> 'cluster' AS cluster, target ->> 'topic' AS topic,
                replace(replace(replace(lower(trim(target ->> 'url')), '\', '/'), '?', '/'), '#', '/') AS url
            FROM (SELECT id, created_at, target FROM task UNION ALL SELECT id, created_at, target FROM task_history))))
ORDER BY 1, 2, 3;
