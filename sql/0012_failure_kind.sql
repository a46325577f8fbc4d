-- Why a record was given up: how its last failure was to be treated, so that a refusal is told from what failed too often.

ALTER TABLE sync.dead_letter ADD COLUMN failure_kind text;
COMMENT ON COLUMN sync.dead_letter.failure_kind IS 'permanent: the system refuses the record; otherwise it failed as often as is allowed. NULL: given up before this was noted.';
