-- Of the given entry keys, those whose last operation was an upsert, one row each. Parameter: an array of uuid.
-- Looks once into the index ledger_entries_natural_key for each.
SELECT uuid_send(asked.entry_key)
FROM unnest(%s) AS asked (entry_key)
CROSS JOIN LATERAL (
    SELECT e.operation FROM sync.ledger_entries e
    WHERE e.entry_key = asked.entry_key ORDER BY e.block_offset DESC LIMIT 1
) AS last
WHERE last.operation <> 'DELETE'
