-- Changes and agings behind a ledger position in the stored order: block, key (NULL for an aging), amount.
-- Parameters: canister, after. Reads the primary keys of both tables.
SELECT block_offset, pubkey, amount
FROM (SELECT block_offset, entry_index, change_index, target_pubkey AS pubkey, change_amount::numeric AS amount
      FROM sync.reputation_changes WHERE canister = %(canister)s AND block_offset > %(after)s
      UNION ALL
      SELECT block_offset, entry_index, 0, NULL, reductions_ppm
      FROM sync.reputation_agings WHERE canister = %(canister)s AND block_offset > %(after)s) AS event
ORDER BY block_offset, entry_index, change_index
