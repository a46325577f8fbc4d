-- The entries of a range of blocks as the ledger encodes them, a row for each block in the order of the chain: the
-- block, how many there are, and the entries in the stored order, one behind the other. Each is a zero byte, label, key
-- and value after their lengths (32 bits, the lowest byte first), and whether it deletes. Uses the primary key. For COPY,
-- which takes longer for a row than for what is in it; parameters: canister, the ledger positions that the blocks begin
-- behind, and up to which.
SELECT block_offset, count(*)::integer, string_agg(
           '\x00'::bytea
           || int4send(((l & 255) << 24) | ((l & 65280) << 8) | ((l >> 8) & 65280) | ((l >> 24) & 255)) || label
           || int4send(((k & 255) << 24) | ((k & 65280) << 8) | ((k >> 8) & 65280) | ((k >> 24) & 255)) || key
           || int4send(((v & 255) << 24) | ((v & 65280) << 8) | ((v >> 8) & 65280) | ((v >> 24) & 255)) || value
           || deletes, ''::bytea ORDER BY entry_index)
FROM (SELECT block_offset, entry_index, label, key, value, deletes,
             octet_length(label) AS l, octet_length(key) AS k, octet_length(value) AS v
      FROM (SELECT block_offset, entry_index, key, value,
                   CASE WHEN label_bytes = '' THEN convert_to(label, 'UTF8') ELSE label_bytes END AS label,
                   CASE WHEN operation = 'DELETE' THEN '\x01'::bytea ELSE '\x00'::bytea END AS deletes
            FROM sync.ledger_entries
            WHERE canister = %s AND block_offset > %s AND block_offset <= %s) AS stored) AS measured
GROUP BY block_offset ORDER BY block_offset
