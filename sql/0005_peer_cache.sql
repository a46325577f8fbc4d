-- What was read of a peer, to be used again for a while; how the last reconciles of a scope went; and the former keys of
-- renamed records.

CREATE TABLE sync.peer_cache (
    scope_id   integer NOT NULL REFERENCES sync.scope,
    key        text NOT NULL,
    stamp      text NOT NULL,
    document   text NOT NULL,
    stored_at  timestamptz NOT NULL,
    PRIMARY KEY (scope_id, key)
);
COMMENT ON TABLE sync.peer_cache IS 'Details of a peer that cost a request each. Losing them costs time and nothing else.';
COMMENT ON COLUMN sync.peer_cache.stamp IS 'Digest of what the peer lists about it; another one means that the details are out of date.';
COMMENT ON COLUMN sync.peer_cache.document IS 'JSON in ASCII: facts and digests, never secrets. Text, because jsonb refuses some of the characters that JSON allows.';

CREATE TABLE sync.run_summary (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope_id    integer NOT NULL REFERENCES sync.scope,
    ended_at    timestamptz NOT NULL DEFAULT now(),
    seconds     double precision NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('successful', 'failed', 'stopped')),
    reason      text,
    numbers     jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE sync.run_summary IS 'The last 100 reconciles of a scope, for averages and for people.';
CREATE INDEX run_summary_scope ON sync.run_summary (scope_id, id);

ALTER TABLE sync.effect ADD COLUMN planned_key text COLLATE "C";
COMMENT ON COLUMN sync.effect.planned_key IS 'Key in the plan, when the source renamed the record before the write was settled.';

CREATE OR REPLACE VIEW sync.gauge AS
SELECT s.pair, s.name AS scope, g.name, g.value::double precision AS value
FROM sync.scope s
CROSS JOIN LATERAL (VALUES
    ('queue_depth', (SELECT count(*) FROM sync.record_state r
                     WHERE r.scope_id = s.id AND r.state IN ('pending', 'out_of_sync', 'failed', 'retrying'))),
    ('active_syncs', (SELECT count(*) FROM sync.effect e WHERE e.scope_id = s.id AND e.state = 'intended')),
    ('dead_letter_size', (SELECT count(*) FROM sync.dead_letter d WHERE d.scope_id = s.id AND d.state = 'open'))
) AS g (name, value)
UNION ALL
SELECT s.pair, s.name, g.name, g.value
FROM sync.scope s
CROSS JOIN LATERAL (
    SELECT (array_agg(seconds ORDER BY id DESC))[1] AS last, avg(seconds) AS average
    FROM sync.run_summary WHERE scope_id = s.id
) AS r
CROSS JOIN LATERAL (VALUES
    ('last_run_duration_seconds', r.last),
    ('average_run_duration_seconds', r.average)
) AS g (name, value)
WHERE r.last IS NOT NULL;
COMMENT ON VIEW sync.gauge IS 'Per scope: records not in agreement, writes under way, open dead letters; durations where runs are summed up.';
