-- What the last refusal of a record that was given up was about, so that a taken key is told from a wrong value.

ALTER TABLE sync.dead_letter ADD COLUMN cause text;
COMMENT ON COLUMN sync.dead_letter.cause IS 'duplicate_key: another record of the system has a value that must be unique. NULL: anything else, or given up before this was noted.';
