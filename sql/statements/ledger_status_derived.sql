-- Sets the status of a derived table: records, the last block derived, and the errors that stand.
INSERT INTO sync.sync_status (canister, table_name, last_synced_block_offset, last_synced_at, total_records_synced,
                              sync_errors, last_error)
SELECT :canister, :table,
       coalesce((SELECT max(through) FROM sync.ledger_days WHERE canister = :canister AND projection = :projection), 0),
       now(), :records, e.errors, e.last
FROM (SELECT count(*) AS errors,
             (array_agg(format('block %s, %s: %s', block_offset, label, concat_ws(': ', kind, reason))
                        ORDER BY block_offset DESC, entry_index DESC))[1] AS last
      FROM sync.import_errors WHERE canister = :canister AND projection = :projection) AS e
ON CONFLICT (canister, table_name) DO UPDATE
SET last_synced_block_offset = EXCLUDED.last_synced_block_offset, last_synced_at = EXCLUDED.last_synced_at,
    total_records_synced = EXCLUDED.total_records_synced, sync_errors = EXCLUDED.sync_errors,
    last_error = EXCLUDED.last_error
