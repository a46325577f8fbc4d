"""Batches of blocks: the operation of an entry follows from what came before, in the batch and in the tables."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import LeaseLost
from sync_pipelines.store.ledger import positions
from sync_pipelines.store.ledger.batches import BlockBatch
from sync_pipelines.store.ledger.positions import Position
from sync_pipelines.store.ledger.seen_keys import SeenKeys


@dataclass(frozen=True)
class _Entry:
    label: str
    key: bytes
    deleted: bool = False
    value: bytes = b"value"


@dataclass(frozen=True)
class _Block:
    offset: int
    entries: tuple[_Entry, ...]
    length: int = 100
    timestamp_ns: int = 1
    parent_hash: bytes = b""
    hash: bytes = b"h"


def _begin(engine: Engine) -> Position:
    with engine.begin() as connection:
        return positions.ensure(connection, "main", "a-canister").starting_at(0)


def _operations(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT operation FROM sync.ledger_entries ORDER BY block_offset, entry_index")
        ).scalars()
        return list(rows)


A, OTHER_LABEL, OTHER_KEY = _Entry("A", b"k"), _Entry("B", b"k"), _Entry("A", b"l")
GONE = _Entry("A", b"k", deleted=True)


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("batches", [[1, 1, 1, 1, 1, 1], [6], [2, 4], [5, 1]], ids=str)
def test_given_any_batches_an_upsert_of_what_is_live_is_an_update(
    engine: Engine, batches: list[int], filtered: bool
) -> None:
    history = [(A, OTHER_LABEL), (OTHER_KEY, A), (GONE,), (GONE,), (A, OTHER_LABEL), (A,)]
    blocks = [_Block(100 * number, entries) for number, entries in enumerate(history)]
    batch = BlockBatch(_begin(engine), SeenKeys() if filtered else None)
    for size in batches:
        for block in blocks[:size]:
            batch.add(block, bytes(16))
        blocks = blocks[size:]
        with engine.begin() as connection:
            batch.write(connection)
        batch = batch.following()

    assert _operations(engine) == [
        *("INSERT", "INSERT"),
        *("INSERT", "UPDATE"),
        "DELETE",
        "DELETE",
        *("INSERT", "UPDATE"),
        "UPDATE",
    ]


def test_given_a_stored_entry_its_key_is_what_the_sql_function_says(engine: Engine) -> None:
    batch = BlockBatch(_begin(engine))
    batch.add(_Block(0, (A, _Entry("Prüf✓", b""), _Entry("x" * 300, bytes(9_000)))), bytes(16))
    with engine.begin() as connection:
        batch.write(connection)
        right = text(
            "SELECT bool_and(entry_key = sync.ledger_entry_key(canister, label, key)) FROM sync.ledger_entries"
        )
        assert connection.execute(right).scalar() is True


def test_given_a_batch_that_was_not_committed_it_can_be_written_again(engine: Engine) -> None:
    batch = BlockBatch(_begin(engine), SeenKeys())
    batch.add(_Block(0, (A, OTHER_KEY)), bytes(16))
    with engine.connect() as connection:
        batch.write(connection)
        connection.rollback()
    with engine.begin() as connection:
        batch.write(connection)

    assert _operations(engine) == ["INSERT", "INSERT"]


def test_given_a_position_that_somebody_else_moved_nothing_is_stored(engine: Engine) -> None:
    before = _begin(engine)
    for attempt in range(2):
        batch = BlockBatch(before)
        batch.add(_Block(0, (A,)), bytes(16))
        if attempt:
            with pytest.raises(LeaseLost), engine.begin() as connection:
                batch.write(connection)
        else:
            with engine.begin() as connection:
                batch.write(connection)

    assert _operations(engine) == ["INSERT"]


def test_given_keys_that_were_seen_none_is_missed_and_few_others_are_suspected() -> None:
    seen = SeenKeys()
    keys = [number.to_bytes(4, "big") * 4 for number in range(0, 2**32, 429_497)]
    first = seen.add(keys)

    assert len(first) < len(keys) // 100
    assert seen.add(keys) == keys
