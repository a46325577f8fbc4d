-- What has to be known before an attempt at records begins. Returns one row for each key that is asked for: life cycle
-- state (NULL when never seen), failures in a row, whether a create may still be running at the peer, and the newest
-- fingerprint at the source: NULL when it is not there, empty when the record is withheld or invalid; and whether it is
-- linked. A record that was never linked and is to be retired is known by its natural key alone: its fingerprint is empty
-- as well when a record of the source has that natural key.
--   :keys     keys of the records
--   :retired  for each of them the natural key when it is to be retired, else NULL
-- Uses the primary keys of record_state, record and base, effect_unsettled and record_natural_key.
SELECT g.key, s.state, coalesce(s.failures, 0) AS failures,
       EXISTS (SELECT FROM sync.effect e
                WHERE e.scope_id = :scope_id AND e.key = g.key
                  AND e.state = 'in_doubt' AND e.action = 'create' AND e.right_key IS NULL
                  AND e.quiet_until > clock_timestamp()) AS in_doubt,
       CASE WHEN l.withheld IS NOT NULL OR l.invalid IS NOT NULL THEN CAST('' AS bytea)
            WHEN l.key IS NULL AND g.retired <> '' AND b.left_key IS NULL
             AND EXISTS (SELECT FROM sync.record o
                          WHERE o.scope_id = :scope_id AND o.side = 'left' AND o.natural_key = g.retired)
            THEN CAST('' AS bytea)
            ELSE l.fingerprint
       END AS left_digest,
       b.left_key IS NOT NULL AS linked
  FROM unnest(CAST(:keys AS text[]), CAST(:retired AS text[])) AS g (key, retired)
  LEFT JOIN sync.base b ON b.scope_id = :scope_id AND b.left_key = g.key
  LEFT JOIN sync.record_state s ON s.scope_id = :scope_id AND s.key = g.key
  LEFT JOIN sync.record l ON l.scope_id = :scope_id AND l.side = 'left' AND l.key = g.key
