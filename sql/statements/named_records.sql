-- What is known of records that were named by their keys in the left system of a pair: their natural keys as either
-- system showed them last, and the keys that both systems have for them.
--   :scope_id, :left_scope, :right_scope  scopes of the pair and of either system
--   :keys                                 keys in the left system; a number also stands for the variation "<any>/<number>"
-- One row for each system: its keys and their natural keys. Indexes: primary key of sync.record, merged_left; only a
-- variation that is gone is looked for among all keys.
WITH named AS (
    SELECT key, natural_key FROM sync.record
     WHERE scope_id = :left_scope AND side = 'right' AND key = ANY (CAST(:keys AS text[]))
     UNION
    SELECT key, natural_key FROM sync.record
     WHERE scope_id = :left_scope AND side = 'right' AND key LIKE '%/%'
       AND split_part(key, '/', 2) = ANY (CAST(:keys AS text[]))
), across AS (
    SELECT coalesce(m.right_key, b.right_key) AS key FROM named n
      JOIN sync.merged m ON m.scope_id = :scope_id AND m.left_key = n.key
      LEFT JOIN sync.base b ON b.scope_id = :right_scope AND b.left_key = m.key
     UNION
    SELECT b.right_key FROM named n
      JOIN sync.base l ON l.scope_id = :left_scope AND l.right_key = n.key
      JOIN sync.base b ON b.scope_id = :right_scope AND b.left_key = l.left_key
)
SELECT 'left' AS side, key, natural_key FROM named
 UNION ALL
SELECT 'right', a.key, coalesce(r.natural_key, '') FROM across a
  LEFT JOIN sync.record r ON r.scope_id = :right_scope AND r.side = 'right' AND r.key = a.key
 WHERE a.key IS NOT NULL
