-- Merged records with what either system shows of them now, and what its last reconcile settled, in the order of their
-- keys. What was settled is left out for a system that shows what it showed when the record was merged last.
--   :keys   keys of the merged records
--   :scope_id, :left_scope, :right_scope   as in merged_moved.sql
-- Everything is looked up one by one (LATERAL ... OFFSET 0 keeps it so): the planner cannot know how few they are.
SELECT m.key, m.natural_key, m.left_key, m.right_key, m.content, m.left_agreed, m.right_agreed, m.contested, m.gone,
       m.withheld, m.left_fingerprint AS left_merged, m.right_fingerprint AS right_merged,
       l.fingerprint AS left_fingerprint, l.content AS left_content, l.withheld AS left_withheld, l.invalid AS left_invalid,
       r.fingerprint AS right_fingerprint, r.content AS right_content, r.withheld AS right_withheld,
       r.invalid AS right_invalid,
       lb.told AS left_told, lb.shown AS left_shown, lb.retired AS left_retired, coalesce(lb.begun, true)
       AND EXISTS (SELECT FROM sync.effect e WHERE e.scope_id = :left_scope AND e.key = m.key AND e.action = 'create'
                      AND e.state IN ('intended', 'in_doubt')) OR coalesce(lb.created AND lb.begun, false) AS left_begun,
       rb.told AS right_told, rb.shown AS right_shown, rb.retired AS right_retired, coalesce(rb.begun, true)
       AND EXISTS (SELECT FROM sync.effect e WHERE e.scope_id = :right_scope AND e.key = m.key AND e.action = 'create'
                      AND e.state IN ('intended', 'in_doubt')) OR coalesce(rb.created AND rb.begun, false) AS right_begun
  FROM unnest(CAST(:keys AS text[])) AS wanted(key)
 CROSS JOIN LATERAL (SELECT * FROM sync.merged WHERE scope_id = :scope_id AND key = wanted.key OFFSET 0) m
  LEFT JOIN LATERAL (SELECT fingerprint, content, withheld, invalid FROM sync.record
                      WHERE scope_id = :left_scope AND side = 'right' AND key = m.left_key OFFSET 0) l ON true
  LEFT JOIN LATERAL (SELECT fingerprint, content, withheld, invalid FROM sync.record
                      WHERE scope_id = :right_scope AND side = 'right' AND key = m.right_key OFFSET 0) r ON true
  LEFT JOIN LATERAL (SELECT left_content AS told, right_content AS shown, retired_at IS NOT NULL AS retired,
                            agreed_at IS NULL AS begun, linked_by = 'create' AS created
                       FROM sync.base WHERE scope_id = :left_scope AND left_key = m.key
                        AND (l.fingerprint IS DISTINCT FROM m.left_fingerprint OR m.contested <> '{}'
                             OR m.withheld IS NOT NULL OR m.gone IS NOT NULL) OFFSET 0) lb ON true
  LEFT JOIN LATERAL (SELECT left_content AS told, right_content AS shown, retired_at IS NOT NULL AS retired,
                            agreed_at IS NULL AS begun, linked_by = 'create' AS created
                       FROM sync.base WHERE scope_id = :right_scope AND left_key = m.key
                        AND (r.fingerprint IS DISTINCT FROM m.right_fingerprint OR m.contested <> '{}'
                             OR m.withheld IS NOT NULL OR m.gone IS NOT NULL) OFFSET 0) rb ON true
 ORDER BY m.key
