-- Makes the rows of touched keys in sync.provider_profiles (they were removed before) from the whole history of each.
-- A Delete ends a life of the row; version and creation are those of the present life.
WITH event AS (
    SELECT h.*, count(*) FILTER (WHERE h.operation = 'DELETE')
                OVER (PARTITION BY h.pubkey ORDER BY h.block_offset, h.entry_index) AS life
    FROM sync.provider_profile_history h
    JOIN ledger_touched t ON t.kind = 'profiles' AND t.key = h.pubkey
    WHERE h.canister = :canister
), life AS (
    SELECT pubkey, life, count(*) AS version,
           (array_agg(icp_timestamp ORDER BY block_offset, entry_index))[1] AS created_ns
    FROM event WHERE operation <> 'DELETE' GROUP BY pubkey, life
), newest AS (
    SELECT DISTINCT ON (pubkey) * FROM event ORDER BY pubkey, block_offset DESC, entry_index DESC
)
INSERT INTO sync.provider_profiles (canister, pubkey, profile_data, profile, signature, signature_valid, version,
                                    created_ns, updated_ns, block_offset)
SELECT n.canister, n.pubkey, n.profile_data, n.profile, n.signature, n.signature_valid, l.version,
       l.created_ns, n.icp_timestamp, n.block_offset
FROM newest n JOIN life l USING (pubkey, life)
WHERE n.operation <> 'DELETE'
