-- Which entries of the audit log were handed out to files and taken away, and what pruning looks things up by.

CREATE TABLE sync.audit_archive (
    chain       text NOT NULL,
    first       bigint NOT NULL,
    last        bigint NOT NULL,
    hash        text NOT NULL,
    file        text NOT NULL,
    digest      text NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain, last),
    CHECK (first BETWEEN 1 AND last)
);
COMMENT ON TABLE sync.audit_archive IS 'One row an exported file. The newest one of a chain is the anchor of what is kept.';
COMMENT ON COLUMN sync.audit_archive.hash IS 'Hash of the last entry in the file: what the first kept entry must follow.';
COMMENT ON COLUMN sync.audit_archive.digest IS 'SHA-256 of the file, 64 hex digits.';

-- Whether a snapshot may go is asked for each of them, and so is whether its going would leave a plan behind.
CREATE INDEX plan_left_snapshot ON sync.plan (left_snapshot);
CREATE INDEX plan_right_snapshot ON sync.plan (right_snapshot);
CREATE INDEX effect_of_plan ON sync.effect (plan_id) WHERE state IN ('intended', 'in_doubt');
