-- Moves the entries from a position on to sync.ledger_superseded_entries. One row inserted for each.
WITH gone AS (
    DELETE FROM sync.ledger_entries WHERE canister = :canister AND block_offset >= :position RETURNING *
)
INSERT INTO sync.ledger_superseded_entries (generation, block_offset, icp_timestamp, migrated_at, canister, entry_index,
                                            entry_key, operation, label, label_bytes, key, value)
SELECT :generation, block_offset, icp_timestamp, migrated_at, canister, entry_index,
       entry_key, operation, label, label_bytes, key, value
FROM gone
