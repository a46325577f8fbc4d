-- Events read from a chain, kept as read. They only say "look now"; their sequence shows whether any was missed.

CREATE TABLE sync.chain_event (
    chain_id    text NOT NULL,
    sequence    bigint NOT NULL,
    height      bigint NOT NULL,
    event_type  text NOT NULL,
    event_id    text NOT NULL,
    offering_id text,
    provider    text,
    payload     jsonb NOT NULL,
    read_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, sequence)
);
CREATE INDEX chain_event_height ON sync.chain_event (chain_id, height);
