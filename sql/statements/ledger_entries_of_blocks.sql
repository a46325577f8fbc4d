-- The entries of some blocks that have one of some labels, in the stored order. Parameters: canister, blocks, labels.
-- Uses the primary key of sync.ledger_entries.
SELECT block_offset, entry_index, label, operation, key, value
FROM sync.ledger_entries
WHERE canister = %s AND block_offset = ANY (%s) AND label = ANY (%s)
ORDER BY block_offset, entry_index
