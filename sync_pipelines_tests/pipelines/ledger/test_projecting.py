"""Projections: the tables follow from the entries, whatever days are derived together, in whatever order, how often."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.ledger.projecting import ALL, CHUNK_ENTRIES, Derived, day_groups, derive, derive_stale
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines.store.ledger import statuses
from sync_pipelines.store.ledger.days import HeldDay
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.pipelines.ledger import written
from sync_pipelines_tests.pipelines.ledger.sources import LOG, Writer, expected, imported, small_source
from sync_pipelines_tests.pipelines.ledger.stored import errors, everything, sorted_rows, table

FIRST, SECOND, LAST = date(2023, 12, 31), date(2024, 1, 1), date(2024, 1, 4)
DAY = 86_400 * 10**9


@pytest.fixture(scope="module")
def derived_engine(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Engine]:
    """The small ledger, imported and derived in one go."""
    with fresh_engine(postgres_server, migrated_template) as engine:
        asyncio.run(imported(engine, small_source()))
        derive(engine, "main", FIRST, LAST)
        yield engine


def _storable(value: Any) -> Any:
    """What becomes of a text that contains NUL, which PostgreSQL cannot hold; contract_data holds it as it was."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return {name: _storable(item) for name, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", list(expected()["tables"]))
def test_given_the_small_ledger_every_table_holds_exactly_what_it_should(derived_engine: Engine, name: str) -> None:
    wanted = [_storable(row) for row in expected()["tables"][name]]

    assert sorted_rows(table(derived_engine, name, list(wanted[0]))) == sorted_rows(wanted)


def test_given_the_small_ledger_every_error_is_reported_where_it_is(derived_engine: Engine) -> None:
    wanted = sorted((row["block_offset"], row["label"], row["key"], row["code"]) for row in expected()["errors"])

    assert errors(derived_engine) == wanted


def test_given_the_small_ledger_rewards_balances_and_reputations_come_out(derived_engine: Engine) -> None:
    with derived_engine.connect() as connection:
        rewards = connection.execute(
            text("SELECT block_offset, distributed_ns, transfers, total_e9s FROM sync.reward_distributions ORDER BY 1")
        ).all()
        accounts = connection.execute(text("SELECT * FROM sync.account_balances")).all()
        reputations = connection.execute(text("SELECT pubkey, reputation FROM sync.reputations")).all()

    assert [tuple(row) for row in rewards] == [tuple(row.values()) for row in expected()["rewards"]]
    balances = {
        row.principal + ("" if row.subaccount is None else f".{row.subaccount.hex()}"): row.balance_e9s
        for row in accounts
    }
    assert balances == expected()["balances"]
    assert {row.pubkey.hex(): row.reputation for row in reputations} == expected()["reputation"]


def test_given_derived_days_the_status_tells_records_errors_and_how_far(derived_engine: Engine) -> None:
    with derived_engine.connect() as connection:
        rows = {row.table_name: row for row in statuses.read(connection, 1)}

    counts = expected()["counts"]
    assert {name: rows[name].total_records_synced for name in counts} == counts
    assert {row.last_synced_block_offset for row in rows.values()} == {expected()["position"]["last_block_offset"]}
    assert rows["dc_users"].sync_errors == 3
    assert rows["dc_users"].last_error == "block 8412097, ProvRegister: signature_invalid"


@pytest.mark.parametrize(
    "ranges",
    [
        [(FIRST, FIRST), (SECOND, SECOND), (LAST, LAST)],
        [(LAST, LAST), (SECOND, SECOND), (FIRST, FIRST)],
        [(SECOND, LAST), (FIRST, LAST), (SECOND, SECOND), (FIRST, FIRST), (FIRST, LAST)],
    ],
    ids=["day by day", "backwards", "again and again"],
)
def test_given_any_order_of_days_the_tables_come_out_the_same(
    engine: Engine, derived_engine: Engine, ranges: list[tuple[date, date]]
) -> None:
    asyncio.run(imported(engine, small_source()))
    for first, last in ranges:
        derive(engine, "main", first, last)

    assert everything(engine) == everything(derived_engine)
    with engine.connect() as one, derived_engine.connect() as other:
        told = [
            [(row.table_name, row.total_records_synced, row.sync_errors) for row in statuses.read(connection, 1)]
            for connection in (one, other)
        ]
    assert told[0] == told[1]


def test_given_an_import_in_pieces_each_derived_at_once_the_tables_come_out_the_same(
    engine: Engine, derived_engine: Engine
) -> None:
    for blocks in (3, 9, 12, 20, 28, None):
        asyncio.run(imported(engine, small_source(blocks)))
        derive_stale(engine, "main", LOG)

    assert everything(engine) == everything(derived_engine)


def test_given_projections_derived_one_by_one_in_any_order_the_tables_come_out_the_same(
    engine: Engine, derived_engine: Engine
) -> None:
    asyncio.run(imported(engine, small_source()))
    for projection in reversed(ALL):
        derive(engine, "main", FIRST, LAST, (projection,))

    assert everything(engine) == everything(derived_engine)


def test_given_new_blocks_only_their_days_are_stale(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source(28)))
    days, first = derive_stale(engine, "main", LOG)
    asyncio.run(imported(engine, small_source()))
    more, second = derive_stale(engine, "main", LOG)

    assert (days, more) == ([FIRST, SECOND], [LAST])
    assert derive_stale(engine, "main", LOG) == ([], Derived())
    assert (first.blocks, second.blocks) == (28, 12)
    assert first.created["provider_offerings"] + second.created["provider_offerings"] == 100


@pytest.mark.parametrize(
    ("days", "neighbors", "groups"),
    [
        ([(1, 10), (2, 20), (3, 30)], False, [[1, 2, 3]]),
        ([(1, CHUNK_ENTRIES), (2, 1), (3, CHUNK_ENTRIES - 1), (4, 1)], False, [[1], [2, 3], [4]]),
        ([(1, 2 * CHUNK_ENTRIES), (2, 2 * CHUNK_ENTRIES)], False, [[1], [2]]),
        ([(1, 10), (3, 10), (4, 10)], False, [[1, 3, 4]]),
        ([(1, 10), (3, 10), (4, 10)], True, [[1], [3, 4]]),
        ([], True, []),
    ],
)
def test_given_days_those_derived_in_one_transaction_have_so_many_entries(
    days: list[tuple[int, int]], neighbors: bool, groups: list[list[int]]
) -> None:
    held = [HeldDay(date(2024, 1, day), 1, entries) for day, entries in days]

    assert [[one.day.day for one in group] for group in day_groups(held, neighbors=neighbors)] == groups


def test_given_a_reply_derived_before_its_request_it_is_checked_once_that_is_there(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))
    derive(engine, "main", SECOND, LAST)
    derive(engine, "main", FIRST, FIRST)
    with engine.begin() as connection:
        pending = "SELECT count(*) FROM sync.contract_signatures WHERE status = 'pending'"
        assert connection.execute(text(pending)).scalar() == 3
        assert (
            connection.execute(
                text("SELECT count(*) FROM sync.import_errors WHERE kind = 'reply_without_request'")
            ).scalar()
            == 1
        )


def test_given_block_times_that_go_back_a_day_is_not_one_run_of_blocks(engine: Engine) -> None:
    ledger = Writer()
    key = b"contract"
    for day in (5, 3, 5, 4, 3):
        ledger.add([written.entry("RepAge", key, b"\0" + written.u64(day))], day * DAY + 1)
    asyncio.run(imported(engine, ledger.source()))

    derived = [derive(engine, "main", date(1970, 1, 1 + day), date(1970, 1, 1 + day)).blocks for day in (3, 4, 5)]

    assert derived == [2, 1, 2]
    with engine.connect() as connection:
        ages = connection.execute(
            text("SELECT reductions_ppm FROM sync.reputation_agings ORDER BY block_offset")
        ).scalars()
        assert [int(age) for age in ages] == [5, 3, 5, 4, 3]


def test_given_hostile_payloads_the_rest_is_derived(engine: Engine) -> None:
    offering = ",".join(f'"{value}"' for value in _offering("i" * 20_000 + "\0"))
    csv = ("header\n" + offering).encode()
    ledger = Writer()
    entries = [
        written.entry("ProvProfile", bytes(4_000), b"\0" + written.sized(b"") + written.sized(b"")),
        written.entry("ProvOffering", bytes(32), b"\0" + written.sized(csv) + written.sized(b"sig")),
        written.entry("RepChange", b"k", b"\0" + written.u32(1) + written.sized(bytes(3_000)) + written.u64(1)),
        written.entry("RepAge", b"", b"\0" + written.u64(2**64 - 1)),
        written.entry("ContractSignReply", bytes(32), _reply(b"another")),
    ]
    ledger.add(entries, DAY)
    asyncio.run(imported(engine, ledger.source()))

    derived = derive(engine, "main", date(1970, 1, 2), date(1970, 1, 2))

    assert derived.errors == {
        "key_too_long": 1,
        "signature_invalid": 1,
        "payload_undecodable": 1,
        "reply_other_contract": 1,
    }
    with engine.connect() as connection:
        (identifier,) = connection.execute(text("SELECT offering_id FROM sync.provider_offerings")).scalars()
    assert identifier == "i" * 20_000 + "\N{REPLACEMENT CHARACTER}"


def _offering(identifier: str) -> list[str]:
    row = [""] * 35
    row[2], row[4], row[5], row[6] = identifier, "EUR", "1", "0"
    row[7], row[8], row[9], row[10], row[11] = "Visible", "VPS", "KVM", "monthly", "In stock"
    return row


def _reply(contract_id: bytes) -> bytes:
    payload = b"\0" + written.sized(bytes(32)) + written.sized("") + written.sized(contract_id) + b"\1"
    payload += written.sized("") + written.sized("")
    return b"\0" + written.sized(payload) + written.sized(bytes(64))


def test_given_an_unknown_projection_or_nothing_imported_it_says_what_to_do(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match="ledger import"):
        derive(engine, "main", FIRST, LAST)
    with pytest.raises(ConfigurationError, match="There are: users"):
        derive(engine, "main", FIRST, LAST, ("everything",))
