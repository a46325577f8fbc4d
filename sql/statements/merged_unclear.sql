-- The natural keys of which nobody can tell whose they are, once merged_identify.sql has done what it can, with the keys
-- of all records that claim them: a record is left over, or merged records came to have the same one.
--   :scope_id, :left_scope, :right_scope   as in merged_moved.sql
WITH loose_key AS MATERIALIZED (
    SELECT :left_scope AS scope_id, key FROM sync.record r
     WHERE scope_id = :left_scope AND side = 'right'
       AND NOT EXISTS (SELECT FROM sync.merged m WHERE m.scope_id = :scope_id AND m.left_key = r.key)
     UNION ALL
    SELECT :right_scope, key FROM sync.record r
     WHERE scope_id = :right_scope AND side = 'right'
       AND NOT EXISTS (SELECT FROM sync.merged m WHERE m.scope_id = :scope_id AND m.right_key = r.key)
), left_over AS (
    SELECT DISTINCT r.natural_key FROM loose_key k
     CROSS JOIN LATERAL (SELECT natural_key, withheld, invalid FROM sync.record
                          WHERE scope_id = k.scope_id AND side = 'right' AND key = k.key OFFSET 0) r
     WHERE r.natural_key <> '' AND r.withheld IS NULL AND r.invalid IS NULL
), doubled AS (
    SELECT natural_key FROM sync.merged WHERE scope_id = :scope_id AND natural_key <> ''
     GROUP BY natural_key HAVING count(*) > 1
), double AS (
    SELECT * FROM (SELECT m.natural_key, m.left_key, m.right_key, count(*) OVER (PARTITION BY m.natural_key) AS n
                     FROM doubled d JOIN sync.merged m ON m.scope_id = :scope_id AND m.natural_key = d.natural_key
                    WHERE m.gone IS NULL) live
     WHERE n > 1
), claim AS (
    SELECT r.natural_key, r.scope_id, r.key
      FROM left_over o JOIN sync.record r ON r.natural_key = o.natural_key
     WHERE r.scope_id IN (:left_scope, :right_scope) AND r.side = 'right' AND r.withheld IS NULL
     UNION
    SELECT d.natural_key, place.scope_id, place.key
      FROM double d
     CROSS JOIN LATERAL (VALUES (:left_scope, d.left_key), (:right_scope, d.right_key)) AS place(scope_id, key)
     WHERE place.key IS NOT NULL
)
SELECT natural_key, natural_key IN (SELECT natural_key FROM double) AS is_double,
       array_agg(key ORDER BY key) FILTER (WHERE scope_id = :left_scope) AS left_keys,
       array_agg(key ORDER BY key) FILTER (WHERE scope_id = :right_scope) AS right_keys
  FROM claim
 GROUP BY natural_key
 ORDER BY natural_key
