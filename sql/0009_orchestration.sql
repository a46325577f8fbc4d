-- Orchestration: syncs that people start, watch, pause, resume and cancel. What became of the records is not kept here
-- a second time: plans carry the sync's id as their run, and the numbers are counted from them.

CREATE TABLE sync.sync_orchestration (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync_id         text NOT NULL UNIQUE DEFAULT 'sync-' || gen_random_uuid(),
    org_id          text NOT NULL,
    shop            text NOT NULL,
    systems         jsonb NOT NULL,
    entity_types    jsonb NOT NULL,
    status          text NOT NULL DEFAULT 'draft' CHECK (status IN
                        ('draft', 'queued', 'processing', 'paused', 'done', 'partial', 'failed', 'cancelled')),
    config          jsonb NOT NULL,
    requested       text CHECK (requested IN ('pause', 'cancel')),
    requested_by    text,
    started_by      text NOT NULL,
    idempotency_key text,
    owner           text,
    owner_until     timestamptz,
    working_since   timestamptz,
    worked_seconds  double precision NOT NULL DEFAULT 0,
    started_at      timestamptz,
    completed_at    timestamptz,
    error_message   text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, idempotency_key),
    CHECK (owner IS NULL OR status = 'processing'),
    CHECK (requested IS NULL OR status = 'processing')
);
CREATE INDEX sync_orchestration_of_org ON sync.sync_orchestration (org_id, id DESC);
CREATE INDEX sync_orchestration_active ON sync.sync_orchestration (org_id) WHERE status IN ('queued', 'processing');
COMMENT ON COLUMN sync.sync_orchestration.requested IS 'What its worker is asked to do once the changes in hand are finished.';
COMMENT ON COLUMN sync.sync_orchestration.owner IS 'The worker that carries it out; NULL, or owner_until over: any worker may take it up.';
COMMENT ON COLUMN sync.sync_orchestration.idempotency_key IS 'Chosen by whoever starts it, so that a repeated request starts nothing.';

CREATE TABLE sync.sync_item (
    sync_id       text NOT NULL REFERENCES sync.sync_orchestration (sync_id),
    system        text NOT NULL,
    entity_type   text NOT NULL,
    position      integer NOT NULL,
    scope_id      integer REFERENCES sync.scope,
    pair_scope_id integer REFERENCES sync.scope,
    begun_at      timestamptz,
    total         bigint,
    processed     bigint,
    failed        bigint,
    skipped       bigint,
    pending       bigint,
    PRIMARY KEY (sync_id, system, entity_type)
);
COMMENT ON TABLE sync.sync_item IS 'What a sync does to the records of an entity in a system. The numbers are set when it is over; until then they are counted.';
COMMENT ON COLUMN sync.sync_item.scope_id IS 'Scope in which the system is the target; NULL: not begun.';

-- A sync's plans are those whose run has its id.
CREATE INDEX plan_of_sync ON sync.plan (run_id, scope_id) WHERE run_id LIKE 'sync-%';
CREATE INDEX effect_of_sync ON sync.effect (run_id) WHERE run_id LIKE 'sync-%';

CREATE VIEW sync.sync_idempotency_log AS
SELECT e.id, e.run_id AS sync_id, s.pair || '/' || s.name || '/' || e.natural_key || '/' || e.id AS idempotency_key,
       e.intended_at AS created_at
  FROM sync.effect e JOIN sync.scope s ON s.id = e.scope_id
 WHERE e.run_id LIKE 'sync-%';
COMMENT ON VIEW sync.sync_idempotency_log IS 'Every write of a sync, known before it is sent: nothing is written again that was not looked at.';

CREATE TABLE sync.sync_activity_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync_id    text NOT NULL REFERENCES sync.sync_orchestration (sync_id),
    org_id     text NOT NULL,
    action     text NOT NULL CHECK (action IN ('SYNC_STARTED', 'NO_ITEMS_TO_SYNC', 'BATCH_PROCESSED', 'BATCH_ERROR',
                   'SYNC_PAUSED', 'SYNC_RESUMED', 'SYNC_CANCELLED', 'SYNC_ERROR', 'SYNC_COMPLETED')),
    details    jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX sync_activity_of_sync ON sync.sync_activity_log (sync_id, id);

CREATE TABLE sync.sync_request (
    org_id text PRIMARY KEY,
    recent timestamptz[] NOT NULL
);
COMMENT ON TABLE sync.sync_request IS 'When an organization asked last, so that all processes keep to one limit.';
