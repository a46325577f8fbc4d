-- What can be counted right now. Counters and histograms are in sync.metric, whose names also have a prefix of the pair.

CREATE VIEW sync.gauge AS
SELECT s.pair, s.name AS scope, g.name, g.value::double precision AS value
FROM sync.scope s
CROSS JOIN LATERAL (VALUES
    ('queue_depth', (SELECT count(*) FROM sync.record_state r
                     WHERE r.scope_id = s.id AND r.state IN ('pending', 'out_of_sync', 'failed', 'retrying'))),
    ('active_syncs', (SELECT count(*) FROM sync.effect e WHERE e.scope_id = s.id AND e.state = 'intended')),
    ('dead_letter_size', (SELECT count(*) FROM sync.dead_letter d WHERE d.scope_id = s.id AND d.state = 'open'))
) AS g (name, value);
COMMENT ON VIEW sync.gauge IS 'Per scope: records not in agreement, writes under way, open dead letters.';
