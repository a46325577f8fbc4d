-- Removes what was noted about the signers of touched replies.
DELETE FROM sync.import_errors e USING sync.contract_replies r, ledger_touched t
WHERE t.kind = 'contracts' AND r.canister = :canister AND r.contract_id = t.key
  AND e.canister = r.canister AND e.block_offset = r.block_offset AND e.entry_index = r.entry_index
  AND e.kind IN ('reply_wrong_signer', 'reply_without_request')
