-- Notes the touched replies that answer no request, or that somebody else than the provider signed.
INSERT INTO sync.import_errors (canister, projection, block_offset, entry_index, label, key, kind)
SELECT r.canister, 'contracts', r.block_offset, r.entry_index, 'ContractSignReply', r.contract_id,
       CASE WHEN r.verified_with IS NULL THEN 'reply_without_request' ELSE 'reply_wrong_signer' END
FROM sync.contract_replies r
JOIN ledger_touched t ON t.kind = 'contracts' AND t.key = r.contract_id
WHERE r.canister = :canister AND r.signature_valid IS NOT TRUE
