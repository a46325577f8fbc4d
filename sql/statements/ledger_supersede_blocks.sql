-- Moves the blocks from a position on to sync.ledger_superseded_blocks. One row inserted for each.
WITH gone AS (
    DELETE FROM sync.ledger_blocks WHERE canister = :canister AND block_offset >= :position RETURNING *
)
INSERT INTO sync.ledger_superseded_blocks (generation, canister, block_offset, length, timestamp_ns, day, entries, hash,
                                           parent_hash, tail)
SELECT :generation, canister, block_offset, length, timestamp_ns, day, entries, hash, parent_hash, tail
FROM gone
