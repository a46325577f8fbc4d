-- Makes the rows of touched contracts in sync.contract_signatures (they were removed before) from the last request and
-- the newest valid reply of each. A deleted request has no row.
WITH request AS (
    SELECT DISTINCT ON (q.contract_id) q.* FROM sync.contract_requests q
    JOIN ledger_touched t ON t.kind = 'contracts' AND t.key = q.contract_id
    WHERE q.canister = :canister ORDER BY q.contract_id, q.block_offset DESC, q.entry_index DESC
), reply AS (
    SELECT DISTINCT ON (r.contract_id) r.* FROM sync.contract_replies r
    JOIN ledger_touched t ON t.kind = 'contracts' AND t.key = r.contract_id
    WHERE r.canister = :canister AND r.signature_valid
    ORDER BY r.contract_id, r.block_offset DESC, r.entry_index DESC
)
INSERT INTO sync.contract_signatures (canister, contract_id, requester_pubkey, provider_pubkey, offering_id, region_name,
                                      extends_contract_id, instance_config, payment_amount_e9s, payment_entries,
                                      start_timestamp, request_memo, contract_data, signature, signature_valid, status,
                                      reply, block_offset, icp_timestamp, updated_ns)
SELECT q.canister, q.contract_id, q.requester_pubkey, q.provider_pubkey, q.offering_id, q.region_name,
       q.extends_contract_id, q.instance_config, q.payment_amount_e9s, q.payment_entries, q.start_timestamp,
       q.request_memo, q.contract_data, q.signature, q.signature_valid,
       CASE WHEN r.sign_accepted THEN 'signed' WHEN NOT r.sign_accepted THEN 'rejected' ELSE 'pending' END,
       CASE WHEN r.contract_id IS NOT NULL THEN jsonb_build_object(
           'sign_accepted', r.sign_accepted, 'response_text', r.response_text, 'response_details', r.response_details,
           'request_memo', r.request_memo, 'signature', encode(r.signature, 'hex'), 'block_offset', r.block_offset,
           'icp_timestamp', r.icp_timestamp) END,
       q.block_offset, q.icp_timestamp, greatest(q.icp_timestamp, r.icp_timestamp)
FROM request q LEFT JOIN reply r ON r.contract_id = q.contract_id
WHERE q.operation <> 'DELETE'
