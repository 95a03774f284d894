-- A partition whose next record the brokers do not have is not read any more until an operator says from where: the topic
-- that is there now may be another one by the same name. Older programs live with it: they do not know it.
UPDATE schema_version SET version = 4;

ALTER TABLE ingest_offset ADD COLUMN stopped TEXT;      -- why; NULL: it is read
