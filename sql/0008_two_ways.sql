-- Two-way pairs: between two systems that both may be edited stands the merged record. Each system has a scope of its
-- own, in which merged records are the left side and the system is the right one.

CREATE TABLE sync.merged (
    scope_id          integer NOT NULL REFERENCES sync.scope,
    key               text COLLATE "C" NOT NULL DEFAULT gen_random_uuid()::text,
    natural_key       text COLLATE "C" NOT NULL,
    left_key          text COLLATE "C",
    right_key         text COLLATE "C",
    content           jsonb NOT NULL,
    left_agreed       jsonb NOT NULL DEFAULT '{}',
    right_agreed      jsonb NOT NULL DEFAULT '{}',
    left_fingerprint  bytea,
    right_fingerprint bytea,
    contested         text[] NOT NULL DEFAULT '{}',
    gone              text CHECK (gone IN ('left', 'right')),
    withheld          text,
    unclear           text,
    changed_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope_id, key),
    CHECK (left_key IS NOT NULL OR right_key IS NOT NULL)
);
-- They carry what tells whether a record moved: what did not is never read.
CREATE UNIQUE INDEX merged_left ON sync.merged (scope_id, left_key) INCLUDE (left_fingerprint, key);
CREATE UNIQUE INDEX merged_right ON sync.merged (scope_id, right_key) INCLUDE (right_fingerprint, key);
CREATE INDEX merged_natural_key ON sync.merged (scope_id, natural_key) INCLUDE (key);
CREATE INDEX merged_unsettled ON sync.merged (scope_id, key)
    WHERE contested <> '{}' OR withheld IS NOT NULL OR gone IS NOT NULL;
CREATE INDEX merged_unclear ON sync.merged (scope_id, key) WHERE unclear IS NOT NULL;
CREATE INDEX record_strange ON sync.record (scope_id, side, key) WHERE withheld IS NOT NULL OR invalid IS NOT NULL;
COMMENT ON TABLE sync.merged IS 'What two systems make of a record together; the scope is that of the pair.';
COMMENT ON COLUMN sync.merged.left_agreed IS 'Field -> [merged value, shown value] when the left system last agreed about it.';
COMMENT ON COLUMN sync.merged.left_fingerprint IS 'Of the observation that was merged last; NULL: there was none.';
COMMENT ON COLUMN sync.merged.contested IS 'Fields that a person has to decide about; they are written to neither system.';
COMMENT ON COLUMN sync.merged.gone IS 'The system in which it was deleted; the other one is to follow.';
COMMENT ON COLUMN sync.merged.withheld IS 'Why it is written to neither system.';
COMMENT ON COLUMN sync.merged.unclear IS 'Which other one has its natural key; as long as one has, it is written to neither system.';

CREATE TABLE sync.merged_revision (
    scope_id integer PRIMARY KEY REFERENCES sync.scope,
    revision bigint NOT NULL
);
COMMENT ON TABLE sync.merged_revision IS 'Counts the statements that changed merged records: a system that was shown this revision need not be shown it again.';

-- Triggers, so that no statement can forget it.
CREATE FUNCTION sync.note_merged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sync.merged_revision AS r (scope_id, revision) SELECT DISTINCT scope_id, 1 FROM written
        ON CONFLICT (scope_id) DO UPDATE SET revision = r.revision + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER merged_inserted AFTER INSERT ON sync.merged REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION sync.note_merged();
CREATE TRIGGER merged_updated AFTER UPDATE ON sync.merged REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION sync.note_merged();
CREATE TRIGGER merged_deleted AFTER DELETE ON sync.merged REFERENCING OLD TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION sync.note_merged();

CREATE TABLE sync.sync_conflict (
    id                text PRIMARY KEY DEFAULT 'conflict-' || gen_random_uuid(),
    scope_id          integer NOT NULL REFERENCES sync.scope,
    record_key        text COLLATE "C" NOT NULL,
    sync_id           text,
    org_id            text NOT NULL,
    item_id           text COLLATE "C" NOT NULL,
    entity_type       text NOT NULL,
    conflict_type     text NOT NULL,
    data              jsonb NOT NULL,
    is_resolved       boolean NOT NULL DEFAULT false,
    resolution_action text CHECK (resolution_action IN ('accept', 'reject', 'custom')),
    resolved_data     jsonb,
    resolved_by       text,
    resolved_at       timestamptz,
    applied_at        timestamptz,
    closed_because    text,
    history           jsonb NOT NULL DEFAULT '[]',
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX sync_conflict_open ON sync.sync_conflict (scope_id, record_key, conflict_type) WHERE applied_at IS NULL;
CREATE INDEX sync_conflict_of_org ON sync.sync_conflict (org_id, created_at) WHERE applied_at IS NULL;
COMMENT ON COLUMN sync.sync_conflict.record_key IS 'Key of the merged record, whatever its natural key is edited to; of a contested natural key, that itself.';
COMMENT ON COLUMN sync.sync_conflict.item_id IS 'Natural key of the record.';
COMMENT ON COLUMN sync.sync_conflict.data IS 'reason, field -> left, right and base value, and seen: the digest of what a system showed that may not move until the conflict is settled.';
COMMENT ON COLUMN sync.sync_conflict.applied_at IS 'When it was over: settled in both systems, or gone by itself (closed_because).';
