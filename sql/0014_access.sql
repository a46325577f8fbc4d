-- Access tokens of the REST service. Of a token only the SHA-256 is kept: whoever reads this table can call nothing.

CREATE TABLE sync.access_token (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    label        text NOT NULL UNIQUE,
    name         text NOT NULL CHECK (name <> ''),
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    organization text,
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0
                     AND scopes <@ ARRAY['read', 'operate', 'approve', 'admin']),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    revoked_by   text,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text NOT NULL,
    last_used_at timestamptz
);
-- Two tokens that work never have one name: the audit log names whoever called by it.
CREATE UNIQUE INDEX access_token_name ON sync.access_token (name) WHERE revoked_at IS NULL;
COMMENT ON COLUMN sync.access_token.label IS 'The readable beginning of the token, by which it is found; no secret.';
COMMENT ON COLUMN sync.access_token.organization IS 'Whose connections it is for; NULL: those of all.';
COMMENT ON COLUMN sync.access_token.last_used_at IS 'To the minute.';
