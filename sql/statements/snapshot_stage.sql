-- A session's staging tables: no WAL, no lock on anything shared, gone with the session if the process is killed.
-- Each batch arrives in snapshot_batch and is gone from it with its commit: held against the stored records there, no
-- batch is searched for among the others. snapshot_seen has the keys of the whole pass; neither is used when nothing was
-- stored before. snapshot_stage has the records that are new or moved. "batch" counts: within one, each key comes once.
CREATE TEMP TABLE IF NOT EXISTS snapshot_batch (
    key         text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    detail      bytea NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS snapshot_seen (
    batch integer NOT NULL,
    key   text COLLATE "C" NOT NULL
);
CREATE TEMP TABLE IF NOT EXISTS snapshot_stage (
    new         boolean NOT NULL,
    batch       integer NOT NULL,
    key         text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    detail      bytea NOT NULL,
    natural_key text COLLATE "C" NOT NULL,
    content     jsonb NOT NULL,
    meta        jsonb NOT NULL,
    withheld    text,
    invalid     text
);
TRUNCATE snapshot_seen, snapshot_stage
