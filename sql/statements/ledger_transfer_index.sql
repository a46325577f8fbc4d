-- Counts the transfers of the blocks from :first on, which follow those of the blocks before. Rewrites what differs.
WITH counted AS (
    SELECT block_offset, (
               SELECT coalesce((SELECT p.first_index + p.transfers FROM sync.ledger_transfer_blocks p
                                WHERE p.canister = :canister AND p.block_offset < :first
                                ORDER BY p.block_offset DESC LIMIT 1), 0)
           ) + sum(transfers) OVER (ORDER BY block_offset) - transfers AS first_index
    FROM sync.ledger_transfer_blocks WHERE canister = :canister AND block_offset >= :first
)
UPDATE sync.ledger_transfer_blocks b SET first_index = c.first_index
FROM counted c
WHERE b.canister = :canister AND b.block_offset = c.block_offset AND b.first_index <> c.first_index
