-- A canister's ledger as a replica: its blocks and entries as they were read, and the tables derived from them.
-- "canister" is the id of the connection's scope (sync.scope). Amounts are e9s; numeric, because a ledger may hold any
-- unsigned 64-bit number. Times ending in _ns and icp_timestamp are nanoseconds since 1970 UTC.

-- What was read ---------------------------------------------------------------------------------------------------

CREATE TABLE sync.ledger_position (
    canister          integer PRIMARY KEY REFERENCES sync.scope,
    canister_id       text NOT NULL,
    data_start        bigint,
    next_position     bigint,
    last_block_offset bigint,
    last_length       integer,
    last_hash         bytea NOT NULL DEFAULT '',
    last_timestamp    bigint,
    tail              bytea NOT NULL DEFAULT '',
    blocks            bigint NOT NULL DEFAULT 0,
    entries           bigint NOT NULL DEFAULT 0,
    generation        integer NOT NULL DEFAULT 1,
    moved_at          timestamptz,
    tip_position      bigint,
    tip_blocks        bigint,
    tip_timestamp     bigint,
    tip_seen_at       timestamptz,
    behind_since      timestamptz,
    reputation_through bigint
);
COMMENT ON TABLE sync.ledger_position IS 'How far a ledger was read. Moved only in the transaction that stores what was read.';
COMMENT ON COLUMN sync.ledger_position.tail IS 'The 16 bytes before next_position: the canister compares them with its own.';
COMMENT ON COLUMN sync.ledger_position.generation IS 'Counts the times the tail of the chain was replaced by a resync.';
COMMENT ON COLUMN sync.ledger_position.behind_since IS 'Since when every answer was of a chain that is shorter than ours: a node that lags, or a chain that was cut.';
COMMENT ON COLUMN sync.ledger_position.reputation_through IS 'sync.reputations holds the replay up to this block; NULL before the first.';

CREATE TABLE sync.ledger_blocks (
    canister     integer NOT NULL,
    block_offset bigint NOT NULL,
    length       integer NOT NULL,
    timestamp_ns bigint NOT NULL,
    day          date NOT NULL,
    entries      integer NOT NULL,
    hash         bytea NOT NULL,
    parent_hash  bytea NOT NULL,
    tail         bytea NOT NULL,
    PRIMARY KEY (canister, block_offset)
);
CREATE INDEX ledger_blocks_day ON sync.ledger_blocks (canister, day, block_offset);
COMMENT ON COLUMN sync.ledger_blocks.day IS 'UTC day of timestamp_ns. Nothing makes block times rise: a day need not be one run of blocks.';

CREATE TABLE sync.ledger_entries (
    block_offset  bigint NOT NULL,
    icp_timestamp bigint NOT NULL,
    migrated_at   timestamptz NOT NULL DEFAULT now(),
    canister      integer NOT NULL,
    entry_index   integer NOT NULL,
    entry_key     uuid NOT NULL,
    operation     text NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE')),
    label         text COLLATE "C" NOT NULL,
    label_bytes   bytea NOT NULL DEFAULT '',
    key           bytea NOT NULL,
    value         bytea NOT NULL,
    PRIMARY KEY (canister, block_offset, entry_index),
    -- The natural key (block_offset, label, key) with label and key in one: an index holds no more than 2704 bytes, and
    -- nothing limits a key. From its front it also finds what came before under the same label and key.
    CONSTRAINT ledger_entries_natural_key UNIQUE (entry_key, block_offset)
);
COMMENT ON TABLE sync.ledger_entries IS 'Every entry of every block, for ever, in the stored order (entry_index).';
COMMENT ON COLUMN sync.ledger_entries.entry_key IS 'sync.ledger_entry_key(canister, label, key).';
COMMENT ON COLUMN sync.ledger_entries.label_bytes IS 'The label as it was read where it contains NUL, which text cannot hold; else empty.';

CREATE FUNCTION sync.ledger_entry_key(canister integer, label text, key bytea) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT encode(substr(sha256(int4send(canister) || int4send(octet_length(convert_to(label, 'UTF8')))
                                || convert_to(label, 'UTF8') || key), 1, 16), 'hex')::uuid
$$;
COMMENT ON FUNCTION sync.ledger_entry_key IS 'Identifies a label and key of a canister by 128 bits, whatever their length.';

CREATE TABLE sync.ledger_superseded_blocks (
    generation integer NOT NULL,
    superseded_at timestamptz NOT NULL DEFAULT now(),
    LIKE sync.ledger_blocks,
    PRIMARY KEY (canister, generation, block_offset)
);
CREATE TABLE sync.ledger_superseded_entries (
    generation integer NOT NULL,
    LIKE sync.ledger_entries,
    PRIMARY KEY (canister, generation, block_offset, entry_index)
);
COMMENT ON TABLE sync.ledger_superseded_blocks IS 'Blocks that a resync took out of the chain; "generation" is the one they belonged to.';

CREATE TABLE sync.ledger_pending (
    canister    integer NOT NULL,
    entry_index integer NOT NULL,
    label       text NOT NULL,
    key         bytea NOT NULL,
    value       bytea NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (canister, entry_index)
);
COMMENT ON TABLE sync.ledger_pending IS 'The block that is not committed yet, as last seen. Emptied when a block is imported; part of nothing else.';

CREATE TABLE sync.import_errors (
    canister     integer NOT NULL,
    projection   text NOT NULL,
    block_offset bigint NOT NULL,
    entry_index  integer NOT NULL,
    label        text NOT NULL,
    key          bytea NOT NULL,
    kind         text NOT NULL,
    reason       text,
    noted_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX import_errors_place ON sync.import_errors (canister, block_offset);
COMMENT ON TABLE sync.import_errors IS 'Entries that say something wrong (kept raw, replaced when their day is derived again) and damaged blocks (projection "import").';

CREATE TABLE sync.sync_status (
    canister                 integer NOT NULL REFERENCES sync.scope,
    table_name               text NOT NULL,
    last_synced_block_offset bigint NOT NULL DEFAULT 0,
    last_synced_at           timestamptz,
    total_records_synced     bigint NOT NULL DEFAULT 0,
    sync_errors              bigint NOT NULL DEFAULT 0,
    last_error               text,
    PRIMARY KEY (canister, table_name)
);

CREATE TABLE sync.ledger_days (
    canister   integer NOT NULL,
    day        date NOT NULL,
    projection text NOT NULL,
    through    bigint NOT NULL,
    blocks     bigint NOT NULL,
    derived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (canister, day, projection)
);
COMMENT ON TABLE sync.ledger_days IS 'Which days were derived, and how many blocks up to which one were there then.';

-- What follows from it --------------------------------------------------------------------------------------------
-- Rows of an event carry the place of their entry (block_offset, entry_index) and are replaced when the day of their
-- block is derived again. Tables of a state (dc_users, provider_profiles, provider_offerings, contract_signatures,
-- reputations) are made from them for the keys that were touched, whatever the order in which days are derived.

CREATE TABLE sync.ledger_registrations (
    canister        integer NOT NULL,
    block_offset    bigint NOT NULL,
    entry_index     integer NOT NULL,
    icp_timestamp   bigint NOT NULL,
    operation       text NOT NULL,
    label           text NOT NULL,
    pubkey          bytea NOT NULL,
    principal       text COLLATE "C",
    signature       bytea,
    signature_valid boolean,
    PRIMARY KEY (canister, block_offset, entry_index)
);
CREATE INDEX ledger_registrations_pubkey ON sync.ledger_registrations (canister, pubkey);

CREATE TABLE sync.dc_users (
    canister       integer NOT NULL,
    id             text NOT NULL,
    pubkey         bytea NOT NULL,
    principal      text COLLATE "C" NOT NULL,
    reputation     numeric NOT NULL DEFAULT 0,
    balance_tokens numeric NOT NULL DEFAULT 0,
    is_provider    boolean NOT NULL,
    is_user        boolean NOT NULL,
    created_ns     bigint NOT NULL,
    updated_ns     bigint NOT NULL,
    block_offset   bigint NOT NULL,
    created_at     timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(created_ns / 1e9)) STORED,
    updated_at     timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(updated_ns / 1e9)) STORED,
    PRIMARY KEY (canister, pubkey)
);
CREATE UNIQUE INDEX dc_users_principal ON sync.dc_users (canister, principal);
CREATE INDEX dc_users_reputation ON sync.dc_users (canister, reputation DESC);
COMMENT ON COLUMN sync.dc_users.balance_tokens IS 'e9s of the account without a subaccount, summed up from the transfers.';

CREATE TABLE sync.check_ins (
    canister        integer NOT NULL,
    block_offset    bigint NOT NULL,
    entry_index     integer NOT NULL,
    icp_timestamp   bigint NOT NULL,
    pubkey          bytea NOT NULL,
    memo            text,
    signature       bytea NOT NULL,
    signature_valid boolean,
    PRIMARY KEY (canister, block_offset, entry_index)
);

CREATE TABLE sync.provider_profile_history (
    canister        integer NOT NULL,
    block_offset    bigint NOT NULL,
    entry_index     integer NOT NULL,
    icp_timestamp   bigint NOT NULL,
    operation       text NOT NULL,
    pubkey          bytea NOT NULL,
    profile_data    bytea,
    profile         jsonb,
    signature       bytea,
    signature_valid boolean,
    PRIMARY KEY (canister, block_offset, entry_index)
);
CREATE INDEX provider_profile_history_pubkey ON sync.provider_profile_history (canister, pubkey);

CREATE TABLE sync.provider_profiles (
    canister        integer NOT NULL,
    pubkey          bytea NOT NULL,
    profile_data    bytea NOT NULL,
    profile         jsonb,
    signature       bytea,
    signature_valid boolean,
    version         integer NOT NULL,
    created_ns      bigint NOT NULL,
    updated_ns      bigint NOT NULL,
    block_offset    bigint NOT NULL,
    created_at      timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(created_ns / 1e9)) STORED,
    updated_at      timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(updated_ns / 1e9)) STORED,
    PRIMARY KEY (canister, pubkey)
);

CREATE TABLE sync.provider_offering_files (
    canister        integer NOT NULL,
    block_offset    bigint NOT NULL,
    entry_index     integer NOT NULL,
    icp_timestamp   bigint NOT NULL,
    operation       text NOT NULL,
    provider_pubkey bytea NOT NULL,
    readable        boolean NOT NULL,
    offerings       integer NOT NULL,
    invalid_rows    integer NOT NULL,
    signature       bytea,
    signature_valid boolean,
    PRIMARY KEY (canister, block_offset, entry_index)
);
CREATE INDEX provider_offering_files_provider ON sync.provider_offering_files (canister, provider_pubkey);
COMMENT ON TABLE sync.provider_offering_files IS 'The CSV files of providers; a Delete counts as an empty one, a file that is not readable as none.';

CREATE TABLE sync.provider_offering_history (
    canister        integer NOT NULL,
    block_offset    bigint NOT NULL,
    entry_index     integer NOT NULL,
    provider_pubkey bytea NOT NULL,
    offering_digest bytea NOT NULL,
    offering_id     text NOT NULL,
    offering        jsonb NOT NULL,
    PRIMARY KEY (canister, block_offset, entry_index, offering_digest)
);
CREATE INDEX provider_offering_history_provider ON sync.provider_offering_history (canister, provider_pubkey);

CREATE TABLE sync.provider_offerings (
    canister        integer NOT NULL,
    provider_pubkey bytea NOT NULL,
    offering_digest bytea NOT NULL,
    offering_id     text NOT NULL,
    offering        jsonb NOT NULL,
    signature       bytea,
    signature_valid boolean,
    version         integer NOT NULL,
    is_active       boolean NOT NULL,
    created_ns      bigint NOT NULL,
    updated_ns      bigint NOT NULL,
    block_offset    bigint NOT NULL,
    created_at      timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(created_ns / 1e9)) STORED,
    updated_at      timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(updated_ns / 1e9)) STORED,
    PRIMARY KEY (canister, provider_pubkey, offering_digest)
);
COMMENT ON COLUMN sync.provider_offerings.offering_digest IS 'First 16 bytes of SHA-256 of the identifier in the file: nothing limits its length.';

CREATE TABLE sync.contract_requests (
    canister            integer NOT NULL,
    block_offset        bigint NOT NULL,
    entry_index         integer NOT NULL,
    icp_timestamp       bigint NOT NULL,
    operation           text NOT NULL,
    contract_id         bytea NOT NULL,
    requester_pubkey    bytea,
    provider_pubkey     bytea,
    offering_id         text,
    region_name         text,
    extends_contract_id text,
    instance_config     text,
    payment_amount_e9s  numeric,
    payment_entries     jsonb,
    start_timestamp     numeric,
    request_memo        text,
    contract_data       bytea,
    signature           bytea,
    signature_valid     boolean,
    PRIMARY KEY (canister, block_offset, entry_index)
);
CREATE INDEX contract_requests_contract ON sync.contract_requests (canister, contract_id);

CREATE TABLE sync.contract_replies (
    canister         integer NOT NULL,
    block_offset     bigint NOT NULL,
    entry_index      integer NOT NULL,
    icp_timestamp    bigint NOT NULL,
    contract_id      bytea NOT NULL,
    requester_pubkey bytea NOT NULL,
    sign_accepted    boolean NOT NULL,
    response_text    text NOT NULL,
    response_details text NOT NULL,
    request_memo     text NOT NULL,
    reply_data       bytea NOT NULL,
    signature        bytea NOT NULL,
    verified_with    bytea,
    signature_valid  boolean,
    PRIMARY KEY (canister, block_offset, entry_index)
);
CREATE INDEX contract_replies_contract ON sync.contract_replies (canister, contract_id);
COMMENT ON COLUMN sync.contract_replies.verified_with IS 'The provider key of the request; NULL when no request was there.';

CREATE TABLE sync.contract_signatures (
    canister            integer NOT NULL,
    contract_id         bytea NOT NULL,
    requester_pubkey    bytea NOT NULL,
    provider_pubkey     bytea NOT NULL,
    offering_id         text NOT NULL,
    region_name         text,
    extends_contract_id text,
    instance_config     text,
    payment_amount_e9s  numeric NOT NULL,
    payment_entries     jsonb NOT NULL,
    start_timestamp     numeric,
    request_memo        text NOT NULL,
    contract_data       bytea NOT NULL,
    signature           bytea NOT NULL,
    signature_valid     boolean,
    status              text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'signed', 'rejected', 'expired')),
    reply               jsonb,
    block_offset        bigint NOT NULL,
    icp_timestamp       bigint NOT NULL,
    updated_ns          bigint NOT NULL,
    created_at          timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(icp_timestamp / 1e9)) STORED,
    updated_at          timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(updated_ns / 1e9)) STORED,
    PRIMARY KEY (canister, contract_id)
);
CREATE INDEX contract_signatures_status ON sync.contract_signatures (canister, status, updated_ns DESC);

CREATE TABLE sync.reputation_changes (
    canister      integer NOT NULL,
    block_offset  bigint NOT NULL,
    entry_index   integer NOT NULL,
    change_index  integer NOT NULL,
    icp_timestamp bigint NOT NULL,
    entry_key     bytea NOT NULL,
    target_pubkey bytea NOT NULL,
    change_amount bigint NOT NULL,
    reason        text,
    changed_at    timestamptz NOT NULL GENERATED ALWAYS AS (to_timestamp(icp_timestamp / 1e9)) STORED,
    PRIMARY KEY (canister, block_offset, entry_index, change_index)
);
COMMENT ON COLUMN sync.reputation_changes.reason IS 'The ledger names none.';

CREATE TABLE sync.reputation_agings (
    canister       integer NOT NULL,
    block_offset   bigint NOT NULL,
    entry_index    integer NOT NULL,
    icp_timestamp  bigint NOT NULL,
    reductions_ppm numeric NOT NULL,
    PRIMARY KEY (canister, block_offset, entry_index)
);

CREATE TABLE sync.reputations (
    canister   integer NOT NULL,
    pubkey     bytea NOT NULL,
    reputation numeric NOT NULL,
    PRIMARY KEY (canister, pubkey)
);
COMMENT ON TABLE sync.reputations IS 'Replay of all changes and agings, also of keys that never registered.';

CREATE TABLE sync.ledger_transfers (
    canister           integer NOT NULL,
    block_offset       bigint NOT NULL,
    entry_index        integer NOT NULL,
    icp_timestamp      bigint NOT NULL,
    place              integer NOT NULL,
    tx_id              bytea NOT NULL,
    tx_id_matches      boolean NOT NULL,
    kind               text NOT NULL,
    from_principal     text COLLATE "C",
    from_subaccount    bytea,
    to_principal       text COLLATE "C",
    to_subaccount      bytea,
    amount             numeric NOT NULL,
    fee                numeric,
    memo               bytea,
    memo_text          text,
    created_at_time    numeric,
    balance_from_after numeric,
    balance_to_after   numeric,
    spender_principal  text COLLATE "C",
    spender_subaccount bytea,
    PRIMARY KEY (canister, block_offset, entry_index)
);
CREATE INDEX ledger_transfers_from ON sync.ledger_transfers (from_principal);
CREATE INDEX ledger_transfers_to ON sync.ledger_transfers (to_principal);
COMMENT ON COLUMN sync.ledger_transfers.place IS 'Counts the transfers of the block from 0.';
COMMENT ON COLUMN sync.ledger_transfers.tx_id IS 'Of a token that follows ICRC-3: the hash of the block, which is the transaction.';
COMMENT ON COLUMN sync.ledger_transfers.from_principal IS 'NULL for a mint of a token that follows ICRC-3, as to_principal is for its burns; they tell no balances either.';
COMMENT ON COLUMN sync.ledger_transfers.spender_principal IS 'Who sent the tokens of somebody who approved of it.';

CREATE TABLE sync.ledger_transfer_blocks (
    canister     integer NOT NULL,
    block_offset bigint NOT NULL,
    transfers    integer NOT NULL,
    first_index  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (canister, block_offset)
);
COMMENT ON COLUMN sync.ledger_transfer_blocks.first_index IS 'How many transfers there are in earlier blocks.';

CREATE TABLE sync.account_changes (
    canister   integer NOT NULL,
    day        date NOT NULL,
    principal  text COLLATE "C" NOT NULL,
    subaccount bytea,
    change     numeric NOT NULL
);
CREATE INDEX account_changes_principal ON sync.account_changes (canister, principal);
CREATE INDEX account_changes_day ON sync.account_changes (canister, day);
COMMENT ON TABLE sync.account_changes IS 'What the transfers of a day did to an account. Absent and all-zero subaccounts are different accounts, but for tokens that follow ICRC-3.';

CREATE VIEW sync.token_transfers AS
SELECT t.canister, b.first_index + t.place AS tx_index, t.tx_id, t.tx_id_matches, t.kind,
       t.from_principal, t.from_subaccount, t.to_principal, t.to_subaccount,
       f.pubkey AS from_pubkey, r.pubkey AS to_pubkey, t.amount, t.fee,
       CASE t.kind WHEN 'burn' THEN t.amount + coalesce(t.fee, 0) ELSE t.amount END AS value_e9s,
       t.memo, t.memo_text, t.created_at_time, t.balance_from_after, t.balance_to_after,
       t.spender_principal, t.spender_subaccount,
       t.block_offset, t.entry_index, t.icp_timestamp, to_timestamp(t.icp_timestamp / 1e9) AS transferred_at
FROM sync.ledger_transfers t
JOIN sync.ledger_transfer_blocks b USING (canister, block_offset)
LEFT JOIN sync.dc_users f ON f.canister = t.canister AND f.principal = t.from_principal
LEFT JOIN sync.dc_users r ON r.canister = t.canister AND r.principal = t.to_principal;
COMMENT ON VIEW sync.token_transfers IS 'Transfers with their index in the ledger and the registered keys behind the principals, which both depend on all other days.';

CREATE TABLE sync.reward_distributions (
    canister       integer NOT NULL,
    block_offset   bigint NOT NULL,
    entry_index    integer NOT NULL,
    icp_timestamp  bigint NOT NULL,
    distributed_ns numeric NOT NULL,
    transfers      integer NOT NULL,
    total_e9s      numeric NOT NULL,
    PRIMARY KEY (canister, block_offset, entry_index)
);
COMMENT ON TABLE sync.reward_distributions IS 'The ledger names only the time; number and sum are of the mints of the same block.';

CREATE TABLE sync.token_approvals (
    canister           integer NOT NULL,
    block_offset       bigint NOT NULL,
    entry_index        integer NOT NULL,
    icp_timestamp      bigint NOT NULL,
    approval_id        bytea NOT NULL,
    approver_principal text COLLATE "C" NOT NULL,
    approver_subaccount bytea,
    spender_principal  text COLLATE "C" NOT NULL,
    spender_subaccount bytea,
    allowance          numeric NOT NULL,
    expires_at         numeric,
    fee                numeric,
    memo               bytea,
    created_at_time    numeric,
    expected_allowance numeric,
    charged            numeric,
    PRIMARY KEY (canister, block_offset, entry_index)
);
COMMENT ON COLUMN sync.token_approvals.charged IS 'What the approval took from the approver. NULL where the ledger makes a transfer of that.';

CREATE VIEW sync.account_balances AS
SELECT canister, principal, subaccount, sum(change) AS balance_e9s
FROM (
    SELECT canister, principal, subaccount, change FROM sync.account_changes
    UNION ALL
    SELECT canister, approver_principal, approver_subaccount, -charged FROM sync.token_approvals
    WHERE charged IS NOT NULL
) AS changes
GROUP BY canister, principal, subaccount;

CREATE TABLE sync.linked_ids (
    canister       integer NOT NULL,
    block_offset   bigint NOT NULL,
    entry_index    integer NOT NULL,
    icp_timestamp  bigint NOT NULL,
    main_principal text COLLATE "C" NOT NULL,
    added          jsonb NOT NULL,
    removed        jsonb NOT NULL,
    PRIMARY KEY (canister, block_offset, entry_index)
);

CREATE VIEW sync.ledger_signatures AS
SELECT canister, block_offset, entry_index, signature_valid FROM sync.ledger_registrations
UNION ALL SELECT canister, block_offset, entry_index, signature_valid FROM sync.check_ins
UNION ALL SELECT canister, block_offset, entry_index, signature_valid FROM sync.provider_profile_history
UNION ALL SELECT canister, block_offset, entry_index, signature_valid FROM sync.provider_offering_files
UNION ALL SELECT canister, block_offset, entry_index, signature_valid FROM sync.contract_requests
UNION ALL SELECT canister, block_offset, entry_index, signature_valid FROM sync.contract_replies;
COMMENT ON VIEW sync.ledger_signatures IS 'For entries that are signed: whether the signature is good. No row, or NULL: nothing to check, or nothing to check it with.';
