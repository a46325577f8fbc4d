-- Makes the rows of touched keys in sync.dc_users (they were removed before) from all registrations of each.
-- A Delete of a registration takes nothing away. Reads ledger_registrations_pubkey and account_changes_principal.
INSERT INTO sync.dc_users (canister, id, pubkey, principal, reputation, balance_tokens, is_provider, is_user, created_ns,
                           updated_ns, block_offset)
SELECT r.canister, 'user_' || encode(r.pubkey, 'hex'), r.pubkey, max(r.principal),
       coalesce((SELECT p.reputation FROM sync.reputations p WHERE p.canister = r.canister AND p.pubkey = r.pubkey), 0),
       coalesce((SELECT sum(a.change) FROM sync.account_changes a
                 WHERE a.canister = r.canister AND a.principal = max(r.principal) AND a.subaccount IS NULL), 0),
       bool_or(r.label IN ('ProvRegister', 'NPRegister')), bool_or(r.label = 'UserRegister'),
       (array_agg(r.icp_timestamp ORDER BY r.block_offset, r.entry_index))[1],
       (array_agg(r.icp_timestamp ORDER BY r.block_offset DESC, r.entry_index DESC))[1],
       min(r.block_offset)
FROM sync.ledger_registrations r
JOIN ledger_touched t ON t.kind = 'users' AND t.key = r.pubkey
WHERE r.canister = :canister AND r.operation <> 'DELETE'
GROUP BY r.canister, r.pubkey
