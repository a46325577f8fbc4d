-- The items of a sync, counted: rows of system, entity_type, became (processed, failed, skipped, pending), items.
-- An item is a merged record that a system has to be told something about (a planned write), that waits for a person (an open
-- conflict of its own), or that was given up (an open dead letter). The newest plan of the sync that has the record decides; one
-- that a later plan does not have any more was carried out by a run that was killed, or waits for its retry.
-- Parameters: sync_id; over: nothing more will be done; lenient: whoever started it skips conflicts. Reads plan_of_sync.
WITH part AS (
    SELECT system, entity_type, scope_id, pair_scope_id FROM sync.sync_item
     WHERE sync_id = :sync_id AND scope_id IS NOT NULL
), newest AS (
    SELECT p.scope_id, max(p.left_snapshot) AS left_snapshot
      FROM sync.plan p WHERE p.run_id = :sync_id AND p.run_id LIKE 'sync-%' GROUP BY p.scope_id
), written AS (
    SELECT DISTINCT ON (p.scope_id, c.key) p.scope_id, c.key, c.state, p.left_snapshot = n.left_snapshot AS is_newest
      FROM sync.plan p
      JOIN newest n ON n.scope_id = p.scope_id
      JOIN sync.plan_change c ON c.plan_id = p.id
     WHERE p.run_id = :sync_id AND p.run_id LIKE 'sync-%' AND c.action IN ('create', 'update', 'retire')
     ORDER BY p.scope_id, c.key, p.id DESC
), told AS (
    SELECT w.scope_id, w.key,
           CASE WHEN w.state = 'applied' THEN 'processed'
                WHEN w.is_newest AND w.state <> 'failed' THEN 'pending'
                WHEN s.state IN ('failed', 'dead_lettered') THEN 'failed'
                WHEN s.state = 'synced' THEN 'processed'
                WHEN s.state = 'retrying' AND :over THEN 'failed'
                ELSE 'pending' END AS became
      FROM written w LEFT JOIN sync.record_state s ON s.scope_id = w.scope_id AND s.key = w.key
), given_up AS (
    SELECT d.scope_id, d.key
      FROM part JOIN sync.dead_letter d ON d.scope_id = part.scope_id AND d.state = 'open'
), contested AS (
    SELECT part.scope_id, c.record_key AS key,
           CASE WHEN NOT :lenient AND bool_or(c.conflict_type IN ('RetryExhausted', 'ValidationError'))
                THEN 'failed' ELSE 'skipped' END AS became
      FROM part JOIN sync.sync_conflict c ON c.scope_id = part.pair_scope_id
     WHERE c.applied_at IS NULL AND c.conflict_type <> 'AuthError'
       -- Given up in one system ("odoo:<key>"): that is the dead letter once more.
       AND NOT EXISTS (SELECT FROM sync.merged m
                        WHERE m.scope_id = c.scope_id AND m.key = split_part(c.record_key, ':', 2))
     GROUP BY part.scope_id, c.record_key
), item AS (
    SELECT DISTINCT ON (scope_id, key) scope_id, became
      FROM (SELECT scope_id, key, became,
                   CASE became WHEN 'pending' THEN 1 WHEN 'failed' THEN 2 ELSE 5 END AS weight FROM told
            UNION ALL SELECT scope_id, key, 'failed', 3 FROM given_up
            UNION ALL SELECT scope_id, key, became, 4 FROM contested) AS every
     ORDER BY scope_id, key, weight
)
SELECT part.system, part.entity_type,
       CASE WHEN item.became = 'pending' AND :over THEN 'skipped' ELSE item.became END AS became, count(*) AS items
  FROM item JOIN part USING (scope_id)
 GROUP BY 1, 2, 3
