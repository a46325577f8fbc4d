-- Which records a comparison has to look at: not all of them, but those that were written to since they were last found
-- equal to the base.

CREATE TABLE sync.unequal (
    scope_id integer NOT NULL,
    side     text NOT NULL,
    key      text COLLATE "C" NOT NULL,
    PRIMARY KEY (scope_id, side, key)
);
COMMENT ON TABLE sync.unequal IS 'Keys under which sync.record and sync.base may differ. Too many cost time; one too few would be a change that nobody sees.';

CREATE TABLE sync.unequal_known (
    scope_id integer PRIMARY KEY
);
COMMENT ON TABLE sync.unequal_known IS 'Scopes of which sync.unequal holds every record that differs. Without a row here, a comparison joins all three trees.';

-- Triggers, so that no statement can forget it, not even one that a person types. sync.record has one for each row: to
-- keep a million wide rows for a trigger of the whole statement halves the speed of a first load. A transaction that
-- loads very many says so (sync.noting = off) and takes the scope out of sync.unequal_known itself.
CREATE FUNCTION sync.note_record() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    written sync.record := coalesce(NEW, OLD);
BEGIN
    INSERT INTO sync.unequal
    SELECT k.scope_id, written.side, written.key FROM sync.unequal_known k WHERE k.scope_id = written.scope_id
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER record_written AFTER INSERT OR UPDATE OR DELETE ON sync.record
    FOR EACH ROW WHEN (current_setting('sync.noting', true) IS DISTINCT FROM 'off')
    EXECUTE FUNCTION sync.note_record();

CREATE FUNCTION sync.note_base() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sync.unequal
    SELECT scope_id, 'left', left_key FROM written JOIN sync.unequal_known USING (scope_id)
     UNION
    SELECT scope_id, 'right', right_key FROM written JOIN sync.unequal_known USING (scope_id)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER base_inserted AFTER INSERT ON sync.base REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION sync.note_base();
-- Two, because a link may move to another record: the one that it leaves is without a base from then on.
CREATE TRIGGER base_updated AFTER UPDATE ON sync.base REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION sync.note_base();
CREATE TRIGGER base_moved AFTER UPDATE ON sync.base REFERENCING OLD TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION sync.note_base();
CREATE TRIGGER base_deleted AFTER DELETE ON sync.base REFERENCING OLD TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION sync.note_base();

CREATE FUNCTION sync.forget_unequal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM sync.unequal_known;
    DELETE FROM sync.unequal;
    RETURN NULL;
END
$$;
CREATE TRIGGER record_truncated AFTER TRUNCATE ON sync.record
    FOR EACH STATEMENT EXECUTE FUNCTION sync.forget_unequal();
CREATE TRIGGER base_truncated AFTER TRUNCATE ON sync.base
    FOR EACH STATEMENT EXECUTE FUNCTION sync.forget_unequal();
