-- Rewrites the records that moved. Joins on the primary key of sync.record.
UPDATE sync.record r
   SET natural_key = s.natural_key, fingerprint = s.fingerprint, detail = s.detail, content = s.content, meta = s.meta,
       withheld = s.withheld, invalid = s.invalid, snapshot_id = :snapshot_id, changed_at = now()
  FROM snapshot_stage s
 WHERE NOT s.new AND r.scope_id = :scope_id AND r.side = :side AND r.key = s.key
