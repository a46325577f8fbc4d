-- Records of some scopes that are in some states, by their natural keys, with what is known of why.
--   :scopes  ids of the scopes
--   :states  names of the states, none of them "synced"
--   :most    records that are returned
-- Index: record_state_by_state.
SELECT s.pair, s.name AS scope, coalesce(b.natural_key, l.natural_key, r.key) AS natural_key, r.state,
       coalesce(r.last_error, r.reason) AS reason, r.next_retry_at
  FROM sync.record_state r
  JOIN sync.scope s ON s.id = r.scope_id
  LEFT JOIN sync.base b ON b.scope_id = r.scope_id AND b.left_key = r.key
  LEFT JOIN sync.record l ON l.scope_id = r.scope_id AND l.side = 'left' AND l.key = r.key
 WHERE r.scope_id = ANY (CAST(:scopes AS integer[])) AND r.state <> 'synced' AND r.state = ANY (CAST(:states AS text[]))
 ORDER BY s.name, s.pair, natural_key LIMIT :most
