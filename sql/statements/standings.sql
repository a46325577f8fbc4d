-- What has to be known before an attempt at records begins. Returns one row for each key that is asked for: life cycle
-- state (NULL when never seen), failures in a row, whether a create may still be running at the peer, and the newest
-- fingerprint at the source: NULL when it is not there, empty when the record is withheld or invalid.
-- Uses the primary keys of record_state and record, and effect_unsettled.
SELECT g.key, s.state, coalesce(s.failures, 0) AS failures,
       EXISTS (SELECT FROM sync.effect e
                WHERE e.scope_id = :scope_id AND e.key = g.key
                  AND e.state = 'in_doubt' AND e.action = 'create' AND e.right_key IS NULL
                  AND e.quiet_until > clock_timestamp()) AS in_doubt,
       CASE WHEN l.withheld IS NULL AND l.invalid IS NULL THEN l.fingerprint ELSE CAST('' AS bytea) END AS left_digest
  FROM unnest(CAST(:keys AS text[])) AS g (key)
  LEFT JOIN sync.record_state s ON s.scope_id = :scope_id AND s.key = g.key
  LEFT JOIN sync.record l ON l.scope_id = :scope_id AND l.side = 'left' AND l.key = g.key
