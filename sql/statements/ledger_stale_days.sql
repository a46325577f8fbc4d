-- Days, in order, with blocks that one of the projections has not been derived from. Reads ledger_blocks_day.
SELECT b.day
FROM (SELECT day, count(*) AS blocks, max(block_offset) AS through
      FROM sync.ledger_blocks WHERE canister = :canister GROUP BY day) AS b
WHERE EXISTS (
    SELECT FROM unnest(CAST(:projections AS text[])) AS p (projection)
    LEFT JOIN sync.ledger_days d ON d.canister = :canister AND d.day = b.day AND d.projection = p.projection
    WHERE d.through IS DISTINCT FROM b.through OR d.blocks <> b.blocks
)
ORDER BY b.day
