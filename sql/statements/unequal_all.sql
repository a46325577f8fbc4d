-- Finds the records that differ from the base, on either side, and notes them unless they are too many. One row: found.
--   :scope_id   the scope
--   :most       how many are too many; no more are looked for
-- Each side is merged with the base along an index that carries the fingerprints: primary keys of sync.record and
-- sync.base, base_right_key (ORDER BY ... OFFSET 0: for a full join the planner would sort them again).
WITH found AS MATERIALIZED (
    SELECT * FROM (
        (SELECT 'left' AS side, coalesce(l.key, b.left_key) AS key
           FROM (SELECT key, fingerprint FROM sync.record WHERE scope_id = :scope_id AND side = 'left'
                  ORDER BY key OFFSET 0) l
           FULL JOIN (SELECT left_key, left_fingerprint FROM sync.base WHERE scope_id = :scope_id
                       ORDER BY left_key OFFSET 0) b
             ON b.left_key = l.key
          WHERE l.key IS NULL OR b.left_key IS NULL OR l.fingerprint <> b.left_fingerprint)
        UNION ALL
        (SELECT 'right', coalesce(r.key, b.right_key)
           FROM (SELECT key, fingerprint FROM sync.record WHERE scope_id = :scope_id AND side = 'right'
                  ORDER BY key OFFSET 0) r
           FULL JOIN (SELECT right_key, right_fingerprint FROM sync.base WHERE scope_id = :scope_id
                       ORDER BY right_key OFFSET 0) b
             ON b.right_key = r.key
          WHERE r.key IS NULL OR b.right_key IS NULL OR r.fingerprint <> b.right_fingerprint)
    ) both_sides
    LIMIT :most
), noted AS (
    INSERT INTO sync.unequal
    SELECT :scope_id, side, key FROM found WHERE (SELECT count(*) FROM found) < :most
)
SELECT count(*) AS found FROM found
