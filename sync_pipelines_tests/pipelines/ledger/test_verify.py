"""Verification: what is stored proves itself, and whatever was changed behind its back is found."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.ledger import verify
from sync_pipelines.pipelines.ledger.payloads import known_label
from sync_pipelines.pipelines.ledger.projecting import derive_stale
from sync_pipelines.pipelines.ledger.verify import verify_ledger
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_database
from sync_pipelines_tests.pipelines.ledger import written
from sync_pipelines_tests.pipelines.ledger.sources import LOG, Writer, expected, imported, small_source


@pytest.fixture(scope="module")
def derived_template(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[str]:
    """Name of a database that holds the small ledger, imported and derived."""
    with fresh_database(postgres_server, migrated_template) as name:
        engine = connect_engine(postgres_server.url(name))
        asyncio.run(imported(engine, small_source()))
        derive_stale(engine, "main", LOG)
        engine.dispose()
        yield name


@pytest.fixture
def derived(postgres_server: EmbeddedServer, derived_template: str) -> Iterator[Engine]:
    """A copy of it."""
    with fresh_database(postgres_server, derived_template) as name:
        engine = connect_engine(postgres_server.url(name))
        yield engine
        engine.dispose()


@pytest.mark.parametrize("page", [1, 40, 20_000])
def test_given_the_small_ledger_everything_fits(derived: Engine, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(verify, "BLOCKS_AT_ONCE", page)

    found = verify_ledger(derived, "main", LOG)

    assert (found.sound, found.findings, found.underived) == (True, [], [])
    assert (found.blocks, found.entries, found.transfers) == (40, 467, 280)
    labels = Counter(row["label"] for row in expected()["tables"]["ledger_entries"])
    assert found.labels == labels
    assert found.unknown_labels == {label: labels[label] for label in labels if known_label(label) is None}
    assert len(found.unknown_labels) == 6


_BLOCK = "(SELECT block_offset FROM sync.ledger_blocks ORDER BY block_offset OFFSET 7 LIMIT 1)"


@pytest.mark.parametrize(
    ("tampering", "kinds"),
    [
        (f"UPDATE sync.ledger_entries SET value = value || '\\x00' WHERE block_offset = {_BLOCK}", {"hash"}),
        (f"UPDATE sync.ledger_entries SET label = 'Other' WHERE block_offset = {_BLOCK}", {"hash", "count"}),
        (
            f"UPDATE sync.ledger_entries SET operation = 'DELETE' WHERE block_offset = {_BLOCK} AND entry_index = 0",
            {"hash", "count"},
        ),
        (f"DELETE FROM sync.ledger_entries WHERE block_offset = {_BLOCK}", {"hash", "entries", "count"}),
        (
            f"DELETE FROM sync.ledger_blocks WHERE block_offset >= {_BLOCK}",
            {"entries", "position"},
        ),
        (f"DELETE FROM sync.ledger_blocks WHERE block_offset = {_BLOCK}", {"gap", "parent", "entries", "position"}),
        (f"UPDATE sync.ledger_blocks SET timestamp_ns = 1 WHERE block_offset = {_BLOCK}", {"hash"}),
        (f"UPDATE sync.ledger_blocks SET hash = '\\x00' WHERE block_offset = {_BLOCK}", {"hash", "parent"}),
        ("UPDATE sync.ledger_position SET last_hash = '\\x00'", {"position"}),
        ("UPDATE sync.ledger_transfers SET amount = amount + 1 WHERE place = 0", {"balance"}),
        ("DELETE FROM sync.check_ins WHERE entry_index > 0", {"count"}),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_given_a_tampered_table_it_is_found(
    derived: Engine, monkeypatch: pytest.MonkeyPatch, tampering: str, kinds: set[str]
) -> None:
    monkeypatch.setattr(verify, "BLOCKS_AT_ONCE", 8)
    with derived.begin() as connection:
        connection.execute(text(tampering))

    found = verify_ledger(derived, "main")

    assert set(found.counts) == kinds
    assert not found.sound
    assert {finding.kind for finding in found.findings} == kinds


def test_given_days_that_are_not_derived_only_the_chain_is_proven(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))

    found = verify_ledger(engine, "main")

    assert (found.sound, found.entries, found.transfers, len(found.underived)) == (True, 467, 0, 3)


def test_given_labels_that_text_cannot_hold_the_hash_is_proven_all_the_same(engine: Engine) -> None:
    ledger = Writer()
    ledger.add([written.entry("nul\0label", b"\0", b"1"), written.entry("", b"", b"")], 7)
    asyncio.run(imported(engine, ledger.source()))

    found = verify_ledger(engine, "main")

    assert (found.sound, found.labels) == (True, {"nul\0label": 1, "": 1})


def test_given_nothing_imported_it_says_what_to_do(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match="ledger import"):
        verify_ledger(engine, "main")
