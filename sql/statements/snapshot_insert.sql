-- Adds the staged records that are new. A plain INSERT: ON CONFLICT doubles its cost, and the lease sees to it that
-- nobody else adds records of this side meanwhile.
INSERT INTO sync.record
    (scope_id, side, key, natural_key, fingerprint, detail, content, meta, withheld, invalid, snapshot_id)
SELECT :scope_id, :side, key, natural_key, fingerprint, detail, content, meta, withheld, invalid, :snapshot_id
  FROM snapshot_stage
 WHERE new
