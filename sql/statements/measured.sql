-- What can be counted right now for /metrics: rows (name, pair, scope, value). Names without "sync_" in front
-- are those of sync.gauge. A value of NULL is one that is not known yet. The sums over plans use plan_scope; those over
-- record_state read a scope's part of the primary key.
WITH gauge AS MATERIALIZED (
    SELECT pair, scope, name, value FROM sync.gauge WHERE pair <> 'ledger'
), pulled AS (
    SELECT c.id, c.name FROM sync.marketplace_connection c WHERE c.active
)
SELECT name, pair, scope, value FROM gauge
UNION ALL
SELECT CASE name WHEN 'queue_depth' THEN 'sync_queue_depth' ELSE 'sync_dead_letters_open' END, pair, scope, value
FROM gauge WHERE name IN ('queue_depth', 'dead_letter_size')
UNION ALL
SELECT m.name, s.pair, s.name, m.value
FROM sync.scope s
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.state = 'retrying') AS retrying,
           min(coalesce(r.first_failed_at, r.updated_at))
               FILTER (WHERE r.state IN ('pending', 'out_of_sync', 'failed', 'retrying')) AS since
    FROM sync.record_state r WHERE r.scope_id = s.id
) AS r
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE f.kind = 'orphan') AS orphans, count(*) FILTER (WHERE f.kind <> 'orphan') AS conflicts
    FROM sync.finding f WHERE f.scope_id = s.id
) AS f
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE p.state = 'held') AS held,
           max(p.applied_at) FILTER (WHERE p.keys IS NULL AND p.outcome ->> 'stopped' IS NULL) AS applied_at,
           (array_agg((p.outcome ->> 'seconds')::double precision ORDER BY p.id DESC)
               FILTER (WHERE p.outcome ? 'seconds'))[1] AS seconds
    FROM sync.plan p WHERE p.scope_id = s.id
) AS p
CROSS JOIN LATERAL (VALUES
    ('sync_retries_waiting', r.retrying::double precision),
    ('sync_orphans', f.orphans::double precision),
    ('sync_conflicts_open', f.conflicts + (SELECT count(*) FROM sync.sync_conflict c
                                           WHERE c.scope_id = s.id AND NOT c.is_resolved)::double precision),
    ('sync_plans_waiting', p.held::double precision),
    ('sync_lag_seconds', greatest(0, extract(epoch FROM now() - least(
        r.since, (SELECT o.since FROM sync.owed_reconcile o WHERE o.scope_id = s.id))))::double precision),
    ('sync_last_success_timestamp_seconds', extract(epoch FROM p.applied_at)::double precision),
    ('sync_last_apply_duration_seconds', p.seconds)
) AS m (name, value)
-- The scope of a ledger is a canister: what it has instead of records is below.
WHERE NOT EXISTS (SELECT FROM sync.ledger_position l WHERE l.canister = s.id)
UNION ALL
SELECT m.name, s.pair, s.name, m.value
FROM sync.ledger_position l JOIN sync.scope s ON s.id = l.canister
CROSS JOIN LATERAL (VALUES
    ('sync_lag_seconds', greatest(0, coalesce(extract(epoch FROM now() - l.behind_since), 0))::double precision),
    ('sync_ledger_bytes_behind', greatest(0, l.tip_position - l.next_position)::double precision),
    ('sync_last_success_timestamp_seconds', extract(epoch FROM l.moved_at)::double precision)
) AS m (name, value)
UNION ALL
SELECT m.name, 'marketplaces', c.name, m.value
FROM pulled c JOIN sync.marketplace_connection o ON o.id = c.id
CROSS JOIN LATERAL (VALUES
    ('sync_lag_seconds', (SELECT greatest(0, extract(epoch FROM now() - min(coalesce(t.through, t.read_at))))
                          FROM sync.marketplace_stream t WHERE t.connection_id = c.id)::double precision),
    ('sync_item_errors_open', (SELECT count(*) FROM sync.marketplace_item_error e
                               WHERE e.connection_id = c.id AND e.resolved_at IS NULL)::double precision),
    ('sync_last_success_timestamp_seconds', extract(epoch FROM o.last_synced_at)::double precision)
) AS m (name, value)
UNION ALL
SELECT 'sync_webhooks_waiting', 'commerce', w.connection, count(*) FILTER (WHERE w.handled_at IS NULL)
FROM sync.sync_webhook_inbox w GROUP BY w.connection
UNION ALL
SELECT m.name, '', p.name, m.value
FROM sync.peer p
CROSS JOIN LATERAL (VALUES
    ('sync_peer_failures', p.failures::double precision),
    ('sync_peer_breaker_open', CASE WHEN p.opened_at IS NULL THEN 0 ELSE 1 END)
) AS m (name, value)
