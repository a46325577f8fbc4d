-- The engine's memory: what each side said, what was agreed, planned, attempted and done.
-- Schema "sync" (created by the migration runner). Keys are compared bytewise (COLLATE "C"), so that the order of a
-- plan, and with it the plan's hash, does not depend on the server's locale.

CREATE TABLE sync.scope (
    id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pair    text NOT NULL,
    name    text NOT NULL,
    UNIQUE (pair, name)
);
COMMENT ON TABLE sync.scope IS 'A pair of systems and one connection of it; everything else hangs on its id.';

-- Observations ---------------------------------------------------------------------------------------------------

CREATE TABLE sync.snapshot (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope_id    integer NOT NULL REFERENCES sync.scope,
    side        text NOT NULL CHECK (side IN ('left', 'right')),
    selective   boolean NOT NULL,
    run_id      text NOT NULL,
    started_at  timestamptz NOT NULL,
    sealed_at   timestamptz,
    records     bigint NOT NULL,
    declared    bigint,
    ignored     bigint NOT NULL DEFAULT 0,
    added       bigint NOT NULL DEFAULT 0,
    changed     bigint NOT NULL DEFAULT 0,
    removed     bigint NOT NULL DEFAULT 0,
    identity    text NOT NULL,
    position    jsonb NOT NULL DEFAULT '{}',
    complete    boolean NOT NULL,
    unsealed    text[] NOT NULL DEFAULT '{}',
    notes       text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX snapshot_latest ON sync.snapshot (scope_id, side, id DESC);
COMMENT ON COLUMN sync.snapshot.identity IS 'Who looked at what: credentials'' scope and filters. A change unseals.';
COMMENT ON COLUMN sync.snapshot.unsealed IS 'Why the snapshot must not be used to take anything away; empty = sealed.';

CREATE TABLE sync.record (
    scope_id    integer NOT NULL REFERENCES sync.scope,
    side        text NOT NULL,
    key         text COLLATE "C" NOT NULL,
    natural_key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    detail      bytea NOT NULL,
    content     jsonb NOT NULL,
    meta        jsonb NOT NULL DEFAULT '{}',
    withheld    text,
    invalid     text,
    snapshot_id bigint NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope_id, side, key) INCLUDE (fingerprint)
);
CREATE INDEX record_natural_key ON sync.record (scope_id, side, natural_key) INCLUDE (key, fingerprint);
COMMENT ON COLUMN sync.record.detail IS 'Digest of everything else than the content, so that a reload rewrites only what moved.';
COMMENT ON TABLE sync.record IS 'The newest observation of every record on either side.';

CREATE TABLE sync.base (
    scope_id          integer NOT NULL REFERENCES sync.scope,
    left_key          text COLLATE "C" NOT NULL,
    right_key         text COLLATE "C" NOT NULL,
    natural_key       text COLLATE "C" NOT NULL,
    left_fingerprint  bytea NOT NULL,
    right_fingerprint bytea NOT NULL,
    left_content      jsonb NOT NULL,
    right_content     jsonb NOT NULL,
    linked_by         text NOT NULL,
    linked_at         timestamptz NOT NULL DEFAULT now(),
    agreed_at         timestamptz,
    retired_at        timestamptz,
    PRIMARY KEY (scope_id, left_key) INCLUDE (right_key, left_fingerprint, right_fingerprint),
    UNIQUE (scope_id, right_key)
);
COMMENT ON TABLE sync.base IS 'Links, with both contents as they were when the sides last agreed.';

-- Plans ----------------------------------------------------------------------------------------------------------

CREATE TABLE sync.plan (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash           text NOT NULL,
    scope_id       integer NOT NULL REFERENCES sync.scope,
    state          text NOT NULL CHECK (state IN ('open', 'held', 'approved', 'applying', 'applied', 'superseded')),
    run_id         text NOT NULL,
    left_snapshot  bigint NOT NULL REFERENCES sync.snapshot,
    right_snapshot bigint NOT NULL REFERENCES sync.snapshot,
    created_at     timestamptz NOT NULL DEFAULT now(),
    counts         jsonb NOT NULL,
    held_reasons   text[] NOT NULL DEFAULT '{}',
    keys           text[],
    approved_by    text,
    approved_at    timestamptz,
    applied_at     timestamptz,
    outcome        jsonb
);
CREATE INDEX plan_hash ON sync.plan (hash text_pattern_ops, id DESC);
CREATE INDEX plan_scope ON sync.plan (scope_id, id DESC);
COMMENT ON COLUMN sync.plan.keys IS 'Records a selective plan was made for; NULL = all of the scope.';

CREATE TABLE sync.plan_change (
    plan_id      bigint NOT NULL REFERENCES sync.plan ON DELETE CASCADE,
    key          text COLLATE "C" NOT NULL,
    action       text NOT NULL,
    natural_key  text NOT NULL,
    right_key    text,
    before       jsonb,
    after        jsonb,
    fields       text[] NOT NULL,
    reason       text NOT NULL,
    adopts       boolean NOT NULL,
    destructive  boolean NOT NULL,
    blocked      text[] NOT NULL DEFAULT '{}',
    state        text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'applied', 'stale', 'failed', 'skipped')),
    PRIMARY KEY (plan_id, key)
);

-- Effects --------------------------------------------------------------------------------------------------------

CREATE TABLE sync.effect (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope_id     integer NOT NULL REFERENCES sync.scope,
    plan_id      bigint NOT NULL,
    key          text NOT NULL,
    natural_key  text NOT NULL,
    right_key    text,
    action       text NOT NULL,
    state        text NOT NULL CHECK (state IN ('intended', 'in_doubt', 'settled', 'failed', 'resolved')),
    attempt      integer NOT NULL,
    run_id       text NOT NULL,
    intended_at  timestamptz NOT NULL DEFAULT now(),
    settled_at   timestamptz,
    quiet_until  timestamptz,
    error        text
);
CREATE INDEX effect_unsettled ON sync.effect (scope_id, key) WHERE state IN ('intended', 'in_doubt');
CREATE INDEX effect_of_record ON sync.effect (scope_id, key, id DESC);
COMMENT ON TABLE sync.effect IS 'One row per attempted write, committed before the call: intended, then settled or failed.';
COMMENT ON COLUMN sync.effect.quiet_until IS 'A create whose reply was lost may still be running at the peer until then.';

CREATE TABLE sync.record_state (
    scope_id        integer NOT NULL REFERENCES sync.scope,
    key             text COLLATE "C" NOT NULL,
    state           text NOT NULL DEFAULT 'pending' CHECK (state IN
                        ('pending', 'synced', 'out_of_sync', 'failed', 'retrying', 'dead_lettered')),
    reason          text NOT NULL,
    failures        integer NOT NULL DEFAULT 0,
    first_error     text,
    last_error      text,
    first_failed_at timestamptz,
    last_attempt_at timestamptz,
    next_retry_at   timestamptz,
    synced_at       timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope_id, key),
    CHECK ((state = 'retrying') = (next_retry_at IS NOT NULL))
);
CREATE INDEX record_state_due ON sync.record_state (next_retry_at) WHERE state = 'retrying';
CREATE INDEX record_state_by_state ON sync.record_state (scope_id, state) WHERE state <> 'synced';

CREATE TABLE sync.dead_letter (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope_id         integer NOT NULL REFERENCES sync.scope,
    key              text COLLATE "C" NOT NULL,
    action           text NOT NULL,
    first_error      text NOT NULL,
    last_error       text NOT NULL,
    attempts         integer NOT NULL,
    first_attempt_at timestamptz NOT NULL,
    last_attempt_at  timestamptz NOT NULL,
    dead_lettered_at timestamptz NOT NULL DEFAULT now(),
    payload_hash     text NOT NULL,
    plan_hash        text,
    state            text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'reprocessed', 'resolved')),
    closed_at        timestamptz,
    closed_by        text
);
CREATE UNIQUE INDEX dead_letter_open ON sync.dead_letter (scope_id, key) WHERE state = 'open';

CREATE TABLE sync.finding (
    scope_id    integer NOT NULL REFERENCES sync.scope,
    kind        text NOT NULL,
    key         text COLLATE "C" NOT NULL,
    natural_key text NOT NULL,
    detail      text NOT NULL,
    first_seen  timestamptz NOT NULL DEFAULT now(),
    last_seen   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope_id, kind, key)
);
COMMENT ON TABLE sync.finding IS 'Orphans and conflicts that stand now; rows go when the last full comparison no longer found them.';

-- Audit ----------------------------------------------------------------------------------------------------------

CREATE TABLE sync.audit (
    chain     text NOT NULL,
    number    bigint NOT NULL,
    at        timestamptz NOT NULL,
    scope     text,
    key       text,
    entry     jsonb NOT NULL,
    previous  text NOT NULL,
    hash      text NOT NULL,
    PRIMARY KEY (chain, number)
);
CREATE INDEX audit_of_record ON sync.audit (chain, key, number DESC);

CREATE TABLE sync.audit_head (
    chain   text PRIMARY KEY,
    number  bigint NOT NULL,
    hash    text NOT NULL
);
COMMENT ON TABLE sync.audit_head IS 'Where each chain ends; its row lock puts writers in a row, and a cut tail is noticed.';

-- Positions, leases, peers ---------------------------------------------------------------------------------------

CREATE TABLE sync.watermark (
    stream      text PRIMARY KEY,
    position    jsonb NOT NULL,
    moved_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sync.owed_reconcile (
    scope_id    integer PRIMARY KEY REFERENCES sync.scope,
    reason      text NOT NULL,
    run_id      text NOT NULL,
    since       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sync.owed_reconcile IS 'Scopes that something asked to look at and that no run has looked at since.';

CREATE TABLE sync.lease (
    name        text PRIMARY KEY,
    holder      text NOT NULL,
    token       bigint NOT NULL,
    taken_at    timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
COMMENT ON COLUMN sync.lease.token IS 'Fencing token: grows with every new holder; a writer with an older one is refused.';

CREATE TABLE sync.peer (
    name           text PRIMARY KEY,
    tokens         double precision NOT NULL,
    refilled_at    timestamptz NOT NULL,
    blocked_until  timestamptz,
    failures       integer NOT NULL DEFAULT 0,
    opened_at      timestamptz,
    probing_until  timestamptz
);
COMMENT ON TABLE sync.peer IS 'Token bucket and circuit breaker of each external system, shared by all runs.';

CREATE TABLE sync.metric (
    name    text NOT NULL,
    pair    text NOT NULL,
    scope   text NOT NULL,
    bucket  text NOT NULL DEFAULT '',
    value   double precision NOT NULL,
    PRIMARY KEY (name, pair, scope, bucket)
);
COMMENT ON COLUMN sync.metric.bucket IS 'Upper bound of a histogram bucket, "sum" or "count"; empty for a counter.';
