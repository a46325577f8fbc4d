-- Holds the keys of a pass of several batches against those that are stored: one row with
--   stored    records of the side
--   met       of these, how many came in this pass
--   distinct_new  different keys among the staged new records
-- One walk over the primary key of sync.record for each of the first two, never its rows.
SELECT (SELECT count(*) FROM sync.record r WHERE r.scope_id = :scope_id AND r.side = :side) AS stored,
       (SELECT count(*) FROM sync.record r WHERE r.scope_id = :scope_id AND r.side = :side
           AND EXISTS (SELECT FROM snapshot_seen s WHERE s.key = r.key)) AS met,
       (SELECT count(*) FROM (SELECT FROM snapshot_stage WHERE new GROUP BY key) one) AS distinct_new
