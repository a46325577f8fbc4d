-- All transfers of a ledger that tells balances, a row for each block in the order of the chain: the block, and its
-- transfers in the stored order, between semicolons. Each is the accounts (empty for the minting one), the amount, the
-- fee and the balances after, between blanks. Uses the primary key. For COPY, which takes longer for a row than for what
-- is in it; parameter: canister.
SELECT block_offset, string_agg(
           CASE WHEN kind <> 'mint' THEN concat_ws('.', from_principal, encode(from_subaccount, 'hex')) ELSE '' END || ' '
           || CASE WHEN kind <> 'burn' AND to_principal <> 'zjbo4-sknjf-hfisk-oi4'
                   THEN concat_ws('.', to_principal, encode(to_subaccount, 'hex')) ELSE '' END || ' '
           || amount || ' ' || coalesce(fee, 0) || ' ' || balance_from_after || ' ' || balance_to_after,
           ';' ORDER BY entry_index)
FROM sync.ledger_transfers WHERE canister = %s AND balance_from_after IS NOT NULL
GROUP BY block_offset ORDER BY block_offset
