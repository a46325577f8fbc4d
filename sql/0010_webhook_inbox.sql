-- Webhook inbox: what a shop said had changed. Deliveries are hints, so only what they name is kept, and never what they
-- say of it: whoever takes them reads the shop.

CREATE TABLE sync.sync_webhook_inbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection  text NOT NULL,
    delivery    text NOT NULL,
    topic       text NOT NULL,
    names       jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    attempts    integer NOT NULL DEFAULT 0,
    taken_at    timestamptz,
    taken_by    text,
    handled_at  timestamptz,
    UNIQUE (connection, delivery)
);
CREATE INDEX sync_webhook_inbox_unhandled ON sync.sync_webhook_inbox (connection, id) WHERE handled_at IS NULL;
CREATE INDEX sync_webhook_inbox_handled ON sync.sync_webhook_inbox (handled_at) WHERE handled_at IS NOT NULL;
COMMENT ON COLUMN sync.sync_webhook_inbox.delivery IS 'Id that the shop gave it, or the digest of what was sent: what comes twice is stored once.';
COMMENT ON COLUMN sync.sync_webhook_inbox.names IS 'Entity -> keys of its records in the shop.';
COMMENT ON COLUMN sync.sync_webhook_inbox.taken_by IS 'The run that took it last; while it is not handled, another one may.';
COMMENT ON COLUMN sync.sync_webhook_inbox.handled_at IS 'When a run had looked at all that it names.';
