-- Give the records that no merged record stands for yet one, or the place of their side in one, by natural key. Only where
-- there is no doubt: one record on a side, and at most one merged record, which has none on that side.
--   :scope_id, :left_scope, :right_scope   as in merged_moved.sql
-- Which are loose is told by indexes alone (merged_left, merged_right, primary key of sync.record).
WITH loose_key AS MATERIALIZED (
    SELECT true AS on_left, key FROM sync.record r
     WHERE scope_id = :left_scope AND side = 'right'
       AND NOT EXISTS (SELECT FROM sync.merged m WHERE m.scope_id = :scope_id AND m.left_key = r.key)
     UNION ALL
    SELECT false, key FROM sync.record r
     WHERE scope_id = :right_scope AND side = 'right'
       AND NOT EXISTS (SELECT FROM sync.merged m WHERE m.scope_id = :scope_id AND m.right_key = r.key)
), grouped AS (
    SELECT r.natural_key, min(key) FILTER (WHERE on_left) AS left_key, min(key) FILTER (WHERE NOT on_left) AS right_key
      FROM loose_key k
     CROSS JOIN LATERAL (SELECT natural_key, withheld, invalid FROM sync.record
                          WHERE scope_id = CASE WHEN k.on_left THEN :left_scope ELSE :right_scope END
                            AND side = 'right' AND key = k.key OFFSET 0) r
     WHERE r.natural_key <> '' AND r.withheld IS NULL AND r.invalid IS NULL
     GROUP BY r.natural_key
    HAVING count(*) FILTER (WHERE on_left) <= 1 AND count(*) FILTER (WHERE NOT on_left) <= 1
), known AS (
    SELECT g.natural_key, g.left_key, g.right_key, min(m.key) AS key, count(m.key) AS claims,
           count(m.left_key) AS lefts, count(m.right_key) AS rights
      FROM grouped g
      LEFT JOIN sync.merged m ON m.scope_id = :scope_id AND m.natural_key = g.natural_key
     GROUP BY g.natural_key, g.left_key, g.right_key
), attached AS (
    UPDATE sync.merged m
       SET left_key = coalesce(m.left_key, k.left_key), right_key = coalesce(m.right_key, k.right_key)
      FROM known k
     WHERE m.scope_id = :scope_id AND m.key = k.key AND k.claims = 1
       AND (k.left_key IS NULL OR k.lefts = 0) AND (k.right_key IS NULL OR k.rights = 0)
 RETURNING 1
), made AS (
    INSERT INTO sync.merged (scope_id, natural_key, left_key, right_key, content)
    SELECT :scope_id, natural_key, left_key, right_key, '{}' FROM known WHERE claims = 0
 RETURNING 1
)
SELECT (SELECT count(*) FROM attached) AS attached, (SELECT count(*) FROM made) AS made
