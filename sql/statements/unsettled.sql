-- The newest effect of each record of which nobody knows whether it took place, with the change it was to make and what
-- the target shows of it: the record that the effect names, or else the only one with the natural key that is linked
-- with no other.
--   :scope_id   the scope
--   :snapshot   snapshot of the target; effects that are younger than it are left out
--   :keys       natural keys that were looked at, NULL = all
-- Indexes: effect_unsettled, primary keys of sync.plan_change and sync.record, record_natural_key.
SELECT DISTINCT ON (e.key)
       e.id AS effect_id, e.run_id, e.attempt, e.quiet_until <= clock_timestamp() AS quiet_over,
       c.plan_id, c.key AS planned_key, c.action, e.key, c.natural_key, c.right_key, c.before, c.after, c.fields, c.reason, c.adopts,
       c.destructive, c.blocked, shown.key AS shown_key, shown.content AS shown
  FROM sync.effect e
  JOIN sync.plan_change c ON c.plan_id = e.plan_id AND c.key = coalesce(e.planned_key, e.key)
  LEFT JOIN LATERAL (
    SELECT min(r.key) AS key, (array_agg(r.content))[1] AS content
      FROM sync.record r
     WHERE r.scope_id = e.scope_id AND r.side = 'right' AND r.withheld IS NULL AND r.invalid IS NULL
       AND CASE WHEN e.right_key IS NULL THEN r.natural_key = e.natural_key ELSE r.key = e.right_key END
       AND NOT EXISTS (SELECT FROM sync.base b
                        WHERE b.scope_id = r.scope_id AND b.right_key = r.key AND b.left_key <> e.key)
    HAVING count(*) = 1
  ) AS shown ON true
 WHERE e.scope_id = :scope_id AND e.state = 'in_doubt'
   AND e.intended_at < (SELECT s.started_at FROM sync.snapshot s WHERE s.id = :snapshot)
   AND (CAST(:keys AS text[]) IS NULL OR e.natural_key = ANY (CAST(:keys AS text[])))
 ORDER BY e.key, e.id DESC
