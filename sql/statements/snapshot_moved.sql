-- Which records of snapshot_batch are new or have moved: key, new. Notes the batch in snapshot_seen. Joins on the primary
-- key of sync.record, whose index carries the fingerprint.
WITH noted AS (
    INSERT INTO snapshot_seen (batch, key) SELECT :batch, key FROM snapshot_batch
)
SELECT s.key, c.key IS NULL AS new
  FROM snapshot_batch s
  LEFT JOIN sync.record c ON c.scope_id = :scope_id AND c.side = :side AND c.key = s.key
 WHERE c.key IS NULL OR c.fingerprint <> s.fingerprint OR c.detail <> s.detail
