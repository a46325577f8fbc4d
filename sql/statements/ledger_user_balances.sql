-- Sums up the balances of the registered keys whose accounts were touched. Reads account_changes_principal.
UPDATE sync.dc_users u SET balance_tokens = b.balance
FROM (
    SELECT convert_from(t.key, 'UTF8') AS principal,
           (SELECT coalesce(sum(a.change), 0) FROM sync.account_changes a
            WHERE a.canister = :canister AND a.principal = convert_from(t.key, 'UTF8') AND a.subaccount IS NULL) AS balance
    FROM ledger_touched t WHERE t.kind = 'account'
) AS b
WHERE u.canister = :canister AND u.principal = b.principal AND u.balance_tokens <> b.balance
