"""Rows: which entries make which rows, and which errors stand in their place."""

from __future__ import annotations

from datetime import date

import pytest

from sync_pipelines.pipelines.ledger.payloads import LEGACY_LABELS, Label
from sync_pipelines.pipelines.ledger.projecting import ALL
from sync_pipelines.pipelines.ledger.reputation import replay
from sync_pipelines.pipelines.ledger.rows import BlockPlace, Rows, StoredEntry, labels_of, projection_of, rows_of_block
from sync_pipelines.store.ledger.reputations import ReputationEvent
from sync_pipelines.store.ledger.tables import COLUMNS
from sync_pipelines_tests.pipelines.ledger import written
from sync_pipelines_tests.pipelines.ledger.sources import expected

PLACE = BlockPlace(1, 8_388_608, 5, date(1970, 1, 1), b"")
MINTING = written.sized(b"MINTING") + b"\0"
SOMEBODY = written.sized(b"somebody") + b"\0"


def _rows(*entries: tuple[str, bytes]) -> dict[str, list[tuple[object, ...]]]:
    rows = Rows()
    stored = [StoredEntry(index, label, "INSERT", b"key", value) for index, (label, value) in enumerate(entries)]
    rows_of_block(rows, PLACE, stored)
    return rows.take(1)


def _transfer(sender: bytes, receiver: bytes, amount: int, fee: int | None) -> bytes:
    fee_field = b"\0" if fee is None else b"\1" + written.u64(fee)
    balances = written.u64(0) + written.u64(0)
    return b"\0" + sender + receiver + fee_field + b"\0\0" + written.sized(b"") + written.u64(amount) + balances


def test_given_every_label_it_belongs_to_one_projection() -> None:
    by_projection = {projection: labels_of((projection,)) for projection in ALL}

    assert sorted(label for labels in by_projection.values() for label in labels) == sorted(
        [*(label.value for label in Label), *LEGACY_LABELS]
    )
    assert all(projection_of(label) == name for name, labels in by_projection.items() for label in labels)
    assert projection_of("provregister") is None


def test_given_the_small_ledger_every_row_fits_its_table() -> None:
    rows = Rows()
    for block in expected()["blocks"]:
        entries = [
            StoredEntry(
                index,
                entry["label"],
                "DELETE" if entry["operation"] == "Delete" else "INSERT",
                bytes.fromhex(entry["key"]),
                bytes.fromhex(entry["value"]),
            )
            for index, entry in enumerate(block["entries"])
        ]
        parent = bytes.fromhex(block["parent_hash"])
        rows_of_block(rows, BlockPlace(1, block["offset"], block["timestamp_ns"], date(2024, 1, 1), parent), entries)

    taken = rows.take(1)
    assert set(taken) == set(COLUMNS)
    assert {table: {len(row) for row in found} for table, found in taken.items()} == {
        table: {len(columns)} for table, columns in COLUMNS.items()
    }
    assert (rows.take(1), rows.count) == ({}, 0)


def test_given_a_reward_before_its_mints_they_count_all_the_same() -> None:
    rows = _rows(
        ("RewardDistr", written.u64(7)),
        ("DCTokenTransfer", _transfer(MINTING, SOMEBODY, 30, None)),
        ("DCTokenTransfer", _transfer(SOMEBODY, MINTING, 0, 4)),
        ("DCTokenTransfer", _transfer(MINTING, SOMEBODY, 12, None)),
    )

    assert rows["reward_distributions"] == [(1, PLACE.offset, 0, 5, 7, 2, 42)]
    assert rows["ledger_transfer_blocks"] == [(1, PLACE.offset, 3)]
    assert [row[-1] for row in rows["account_changes"]] == [38]


@pytest.mark.parametrize(
    ("label", "value"),
    [("DCTokenTransfer", b"\1"), ("RewardDistr", b"short"), ("RepAge", b""), ("LinkedIcIds", b"\0")],
)
def test_given_a_payload_that_cannot_be_read_an_error_stands_in_its_place(label: str, value: bytes) -> None:
    (table, (row,)), *rest = _rows((label, value)).items()

    assert (table, rest) == ("import_errors", [])
    assert row[:7] == (1, projection_of(label), PLACE.offset, 0, label, b"key", "payload_undecodable")


@pytest.mark.parametrize(
    ("events", "reputation"),
    [
        ([(b"a", 10), (b"a", -3)], 7),
        ([(b"a", -(2**63)), (b"a", 5)], 5),
        ([(b"a", 50_000), (None, 1_000)], 49_950),
        ([(b"a", 10**9), (None, 1_000)], 10**9 - 100),
        ([(b"a", 999), (None, 1_000)], 999),
        ([(b"a", 40), (None, 2**64 - 1), (b"b", 1)], 0),
    ],
)
def test_given_changes_and_agings_a_reputation_never_falls_below_zero(
    events: list[tuple[bytes | None, int]], reputation: int
) -> None:
    found: dict[bytes, int] = {}

    replay(found, [ReputationEvent(0, pubkey, amount) for pubkey, amount in events])

    assert found[b"a"] == reputation
