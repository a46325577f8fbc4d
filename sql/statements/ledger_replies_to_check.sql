-- Touched replies whose request names another provider key than they were checked with: place, payload, signature and
-- that key (NULL without a request). The request is the last one up to the reply's block, wherever it stands in it.
SELECT r.block_offset, r.entry_index, r.reply_data, r.signature, q.provider_pubkey
FROM sync.contract_replies r
JOIN ledger_touched t ON t.kind = 'contracts' AND t.key = r.contract_id
LEFT JOIN LATERAL (
    SELECT c.provider_pubkey FROM sync.contract_requests c
    WHERE c.canister = r.canister AND c.contract_id = r.contract_id AND c.block_offset <= r.block_offset
    ORDER BY c.block_offset DESC, c.entry_index DESC LIMIT 1
) AS q ON true
WHERE r.canister = :canister AND r.verified_with IS DISTINCT FROM q.provider_pubkey
