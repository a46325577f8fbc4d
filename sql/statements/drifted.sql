-- The records of which a target shows something else than when it last agreed, and the fields concerned, by natural key;
-- with the number of all of them.
--   :scope_id  the scope
--   :most      records that are returned
-- Both sides are merged along the indexes that carry the fingerprints: primary key of sync.record, base_right_key.
WITH moved AS MATERIALIZED (
    SELECT b.right_key
      FROM (SELECT right_key, right_fingerprint FROM sync.base WHERE scope_id = :scope_id ORDER BY right_key OFFSET 0) b
      JOIN (SELECT key, fingerprint FROM sync.record WHERE scope_id = :scope_id AND side = 'right'
             ORDER BY key OFFSET 0) r ON r.key = b.right_key AND r.fingerprint <> b.right_fingerprint
)
SELECT b.natural_key, changed.fields, count(*) OVER () AS total
  FROM moved m
  JOIN sync.base b ON b.scope_id = :scope_id AND b.right_key = m.right_key
  JOIN sync.record r ON r.scope_id = :scope_id AND r.side = 'right' AND r.key = m.right_key
 CROSS JOIN LATERAL (
    SELECT array_agg(e.key ORDER BY e.key) AS fields FROM jsonb_each(r.content) e
     WHERE e.value IS DISTINCT FROM b.right_content->e.key) changed
 WHERE b.agreed_at IS NOT NULL AND b.retired_at IS NULL AND changed.fields IS NOT NULL
   AND r.withheld IS NULL AND r.invalid IS NULL
 ORDER BY b.natural_key LIMIT :most
