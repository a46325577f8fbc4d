-- A session's staging table: no WAL, no lock on anything shared, gone with the session if the process is killed.
CREATE TEMP TABLE IF NOT EXISTS snapshot_stage (
    ord         bigint GENERATED ALWAYS AS IDENTITY,
    key         text COLLATE "C" NOT NULL,
    natural_key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    detail      bytea NOT NULL,
    content     text NOT NULL,
    meta        text NOT NULL,
    withheld    text,
    invalid     text
)
