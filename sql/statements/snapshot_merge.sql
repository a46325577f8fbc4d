-- Brings the newest observations of one side up to what was staged; rewrites only rows that moved.
-- Returns one row: added, changed. Joins on the primary key of sync.record, whose index carries the fingerprint.
WITH moved AS (
    INSERT INTO sync.record AS r
        (scope_id, side, key, natural_key, fingerprint, detail, content, meta, withheld, invalid, snapshot_id)
    SELECT :scope_id, :side, s.key, s.natural_key, s.fingerprint, s.detail,
           s.content::jsonb, s.meta::jsonb, s.withheld, s.invalid, :snapshot_id
      FROM snapshot_stage s
      LEFT JOIN sync.record c ON c.scope_id = :scope_id AND c.side = :side AND c.key = s.key
     WHERE c.key IS NULL OR c.fingerprint <> s.fingerprint OR c.detail <> s.detail
    ON CONFLICT (scope_id, side, key) DO UPDATE
       SET natural_key = EXCLUDED.natural_key, fingerprint = EXCLUDED.fingerprint, detail = EXCLUDED.detail,
           content = EXCLUDED.content, meta = EXCLUDED.meta, withheld = EXCLUDED.withheld,
           invalid = EXCLUDED.invalid, snapshot_id = EXCLUDED.snapshot_id, changed_at = now()
    RETURNING (xmax = 0) AS inserted
)
SELECT count(*) FILTER (WHERE inserted) AS added, count(*) FILTER (WHERE NOT inserted) AS changed FROM moved
