-- Marketplaces: orders and products of every connected account, what changed of them, and what is wrong with them.

CREATE TABLE sync.marketplace_connection (
    id             integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text NOT NULL UNIQUE,
    organization   text NOT NULL,
    marketplace    text NOT NULL,
    account        text NOT NULL,
    active         boolean NOT NULL,
    status         text NOT NULL DEFAULT 'pending'
                   CHECK (status IN ('connected', 'disconnected', 'error', 'pending', 'expired')),
    sync_status    text CHECK (sync_status IN ('success', 'partial', 'error', 'in_progress')),
    last_checked   timestamptz,
    last_synced_at timestamptz,
    last_error     text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN sync.marketplace_connection.last_synced_at IS 'When both streams were last read without an error.';
COMMENT ON COLUMN sync.marketplace_connection.last_error IS 'NULL once both streams are read again.';

CREATE TABLE sync.marketplace_stream (
    connection_id integer NOT NULL REFERENCES sync.marketplace_connection,
    stream        text NOT NULL CHECK (stream IN ('orders', 'products')),
    state         jsonb,
    through       timestamptz,
    moved_at      timestamptz,
    read_at       timestamptz,
    waits         text,
    last_error    text,
    failed_at     timestamptz,
    PRIMARY KEY (connection_id, stream)
);
COMMENT ON TABLE sync.marketplace_stream IS 'How far each stream was read. Moved only in the transaction that stores what was read.';
COMMENT ON COLUMN sync.marketplace_stream.state IS 'Where the adapter goes on from; only it understands this.';
COMMENT ON COLUMN sync.marketplace_stream.through IS 'Every change up to this time of the marketplace has been read.';
COMMENT ON COLUMN sync.marketplace_stream.read_at IS 'When the stream was last read to its end or to the end of its budget.';
COMMENT ON COLUMN sync.marketplace_stream.waits IS 'Why the rest was left to the next run: the budget that all runs share is used up.';

CREATE TABLE sync.marketplace_order (
    connection_id   integer NOT NULL REFERENCES sync.marketplace_connection,
    order_key       text NOT NULL,
    display_number  text NOT NULL,
    status          text NOT NULL,
    raw_status      jsonb NOT NULL,
    status_unmapped boolean NOT NULL,
    currency        text,
    total           numeric,
    canceled_total  numeric,
    refunded_total  numeric,
    items_total     numeric,
    net_total       numeric GENERATED ALWAYS AS
                    (total - coalesce(canceled_total, 0) - coalesce(refunded_total, 0)) STORED,
    ordered_at      timestamptz,
    updated_at      timestamptz,
    is_test         boolean NOT NULL,
    item_count      integer NOT NULL,
    extra           jsonb NOT NULL,
    raw             jsonb NOT NULL,
    first_seen_at   timestamptz NOT NULL DEFAULT now(),
    changed_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    PRIMARY KEY (connection_id, order_key)
);
CREATE INDEX marketplace_order_by_time ON sync.marketplace_order (connection_id, ordered_at);
COMMENT ON COLUMN sync.marketplace_order.total IS 'Gross as ordered. Amounts keep the places that the marketplace wrote; NULL is unknown, not 0.';
COMMENT ON COLUMN sync.marketplace_order.items_total IS 'What the lines add up to where that is not the total: shipping, tax and fees aside.';

CREATE TABLE sync.marketplace_order_item (
    connection_id integer NOT NULL,
    order_key     text NOT NULL,
    item_key      text NOT NULL,
    sku           text,
    product_key   text,
    variant_key   text,
    title         text,
    quantity      numeric NOT NULL,
    status        text NOT NULL,
    currency      text,
    unit_price    numeric,
    discount      numeric,
    line_total    numeric,
    extra         jsonb NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, order_key, item_key)
);

CREATE TABLE sync.marketplace_product (
    connection_id integer NOT NULL REFERENCES sync.marketplace_connection,
    product_key   text NOT NULL,
    variant_key   text NOT NULL,
    sku           text,
    title         text,
    status        text NOT NULL,
    raw_status    jsonb,
    currency      text,
    price         numeric,
    stock         numeric,
    updated_at    timestamptz,
    extra         jsonb NOT NULL,
    raw           jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    changed_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at    timestamptz,
    PRIMARY KEY (connection_id, product_key, variant_key)
);
CREATE INDEX marketplace_product_by_sku ON sync.marketplace_product (connection_id, sku);

CREATE TABLE sync.marketplace_change (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id integer NOT NULL REFERENCES sync.marketplace_connection,
    record        text NOT NULL CHECK (record IN ('order', 'item', 'product')),
    key           text NOT NULL,
    part          text NOT NULL,
    change        text NOT NULL CHECK (change IN ('changed', 'added', 'removed', 'deleted')),
    before        jsonb NOT NULL,
    after         jsonb NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX marketplace_change_of_record ON sync.marketplace_change (connection_id, record, key, id);
COMMENT ON TABLE sync.marketplace_change IS 'History: the fields that changed, as they were and as they became. The first version of a record is not in it.';

CREATE TABLE sync.marketplace_item_error (
    connection_id integer NOT NULL REFERENCES sync.marketplace_connection,
    stream        text NOT NULL,
    key           text NOT NULL,
    part          text NOT NULL,
    kind          text NOT NULL,
    message       text NOT NULL,
    payload       jsonb,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    resolved_at   timestamptz,
    PRIMARY KEY (connection_id, stream, key, part, kind)
);
CREATE INDEX marketplace_item_error_open ON sync.marketplace_item_error (connection_id, stream) WHERE resolved_at IS NULL;
COMMENT ON TABLE sync.marketplace_item_error IS 'What is wrong with single records; resolved once the record arrives without it. Nothing is ever removed.';

CREATE TABLE sync.marketplace_scan_key (
    connection_id integer NOT NULL,
    stream        text NOT NULL,
    scan          text NOT NULL,
    key           text NOT NULL,
    PRIMARY KEY (connection_id, stream, scan, key)
);
COMMENT ON TABLE sync.marketplace_scan_key IS 'Keys seen by the complete reading that is under way; empty when there is none.';

CREATE TABLE sync.marketplace_cycle (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      text NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    success     boolean NOT NULL,
    result      jsonb NOT NULL
);
COMMENT ON TABLE sync.marketplace_cycle IS 'What each cycle over the connections came to.';
