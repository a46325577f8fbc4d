-- The entries of a range of blocks in the stored order. Uses the primary key. For COPY; parameters: canister, the ledger
-- positions that the blocks begin behind, and up to which.
SELECT block_offset, operation = 'DELETE', label, label_bytes, key, value
FROM sync.ledger_entries WHERE canister = %s AND block_offset > %s AND block_offset <= %s
ORDER BY block_offset, entry_index
