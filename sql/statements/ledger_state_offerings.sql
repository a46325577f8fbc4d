-- Makes the rows of touched providers in sync.provider_offerings (they were removed before) from all their files.
-- A row is active when the newest file has it; version counts the files that have had it. A Delete is an empty file.
WITH file AS (
    SELECT f.* FROM sync.provider_offering_files f
    JOIN ledger_touched t ON t.kind = 'offerings' AND t.key = f.provider_pubkey
    WHERE f.canister = :canister AND f.readable
), newest_file AS (
    SELECT DISTINCT ON (provider_pubkey) provider_pubkey, block_offset, entry_index
    FROM file ORDER BY provider_pubkey, block_offset DESC, entry_index DESC
), offered AS (
    SELECT h.provider_pubkey, h.offering_digest, h.offering_id, h.offering, h.block_offset, h.entry_index,
           f.icp_timestamp, f.signature, f.signature_valid,
           count(*) OVER mine AS version,
           first_value(f.icp_timestamp) OVER mine AS created_ns,
           row_number() OVER (PARTITION BY h.provider_pubkey, h.offering_digest
                              ORDER BY h.block_offset DESC, h.entry_index DESC) AS age
    FROM sync.provider_offering_history h
    JOIN file f ON f.canister = h.canister AND f.block_offset = h.block_offset AND f.entry_index = h.entry_index
    WHERE h.canister = :canister
    WINDOW mine AS (PARTITION BY h.provider_pubkey, h.offering_digest ORDER BY h.block_offset, h.entry_index)
)
INSERT INTO sync.provider_offerings (canister, provider_pubkey, offering_digest, offering_id, offering, signature,
                                     signature_valid, version, is_active, created_ns, updated_ns, block_offset)
SELECT :canister, o.provider_pubkey, o.offering_digest, o.offering_id, o.offering, o.signature, o.signature_valid,
       o.version, (o.block_offset, o.entry_index) = (n.block_offset, n.entry_index), o.created_ns, o.icp_timestamp,
       o.block_offset
FROM offered o JOIN newest_file n USING (provider_pubkey)
WHERE o.age = 1
