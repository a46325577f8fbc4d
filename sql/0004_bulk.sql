-- What a million records at once ask for.

-- A foreign key asks the other table once for every row: half the time of a bulk load. No scope is ever deleted, and
-- every writer has the scope's row in hand.
ALTER TABLE sync.record DROP CONSTRAINT record_scope_id_fkey;
ALTER TABLE sync.record_state DROP CONSTRAINT record_state_scope_id_fkey;
ALTER TABLE sync.base DROP CONSTRAINT base_scope_id_fkey;

-- Looked up by natural key only for the few records of a selective pass: their rows may be visited.
DROP INDEX sync.record_natural_key;
CREATE INDEX record_natural_key ON sync.record (scope_id, side, natural_key);

-- Each side is held against the base in the order of its own keys, from indexes alone.
ALTER TABLE sync.base DROP CONSTRAINT base_scope_id_right_key_key;
ALTER TABLE sync.base ADD CONSTRAINT base_right_key UNIQUE (scope_id, right_key) INCLUDE (left_key, right_fingerprint);
CREATE INDEX base_natural_key ON sync.base (scope_id, natural_key);
