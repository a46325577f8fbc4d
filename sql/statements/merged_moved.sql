-- The keys of the merged records about which something has to be decided, in their order: those of which a system shows
-- something else than it showed when they were merged last, and those that are not settled. Each system's records are
-- merged with the index that carries the fingerprints, so that what did not move is never read.
--   :scope_id     the pair
--   :left_scope   scope of the left system, whose records are the right side there
--   :right_scope  scope of the right system
WITH moved AS (
    SELECT m.key
      FROM (SELECT left_key, left_fingerprint, key FROM sync.merged
             WHERE scope_id = :scope_id AND left_key IS NOT NULL ORDER BY left_key OFFSET 0) m
      LEFT JOIN (SELECT key, fingerprint FROM sync.record
                  WHERE scope_id = :left_scope AND side = 'right' ORDER BY key OFFSET 0) l ON l.key = m.left_key
     WHERE l.fingerprint IS DISTINCT FROM m.left_fingerprint
     UNION
    SELECT m.key
      FROM (SELECT right_key, right_fingerprint, key FROM sync.merged
             WHERE scope_id = :scope_id AND right_key IS NOT NULL ORDER BY right_key OFFSET 0) m
      LEFT JOIN (SELECT key, fingerprint FROM sync.record
                  WHERE scope_id = :right_scope AND side = 'right' ORDER BY key OFFSET 0) r ON r.key = m.right_key
     WHERE r.fingerprint IS DISTINCT FROM m.right_fingerprint
     UNION
    SELECT key FROM sync.merged
     WHERE scope_id = :scope_id AND (contested <> '{}' OR withheld IS NOT NULL OR gone IS NOT NULL)
     UNION
    SELECT m.key FROM sync.record s JOIN sync.merged m ON m.scope_id = :scope_id AND m.left_key = s.key
     WHERE s.scope_id = :left_scope AND s.side = 'right' AND (s.withheld IS NOT NULL OR s.invalid IS NOT NULL)
     UNION
    SELECT m.key FROM sync.record s JOIN sync.merged m ON m.scope_id = :scope_id AND m.right_key = s.key
     WHERE s.scope_id = :right_scope AND s.side = 'right' AND (s.withheld IS NOT NULL OR s.invalid IS NOT NULL)
)
SELECT key FROM moved ORDER BY key
