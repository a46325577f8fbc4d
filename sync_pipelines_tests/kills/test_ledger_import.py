"""SIGKILL of an import of a ledger: whatever was stored by then, the next import ends as if there had been no kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import LeaseHeld
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.importing import Ending, ImportOutcome
from sync_pipelines.pipelines.ledger.verify import verify_ledger
from sync_pipelines.sandbox.internet_computer import (
    MAINNET_CANISTER,
    TOKEN_CANISTER,
    InternetComputerStandIn,
    LedgerWorld,
    TokenLedger,
)
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.kills import child
from sync_pipelines_tests.kills.ledger_run import import_all, importing
from sync_pipelines_tests.kills.points import LEDGER_POINTS, Point, Reply
from sync_pipelines_tests.kills.watch import About
from sync_pipelines_tests.pipelines.ledger.stored import everything

pytestmark = pytest.mark.long

QUERIES = "/query$"
REPLIES = 7
"""Of an import that nobody kills, at least."""


@dataclass(frozen=True)
class Ledger:
    """A ledger that is read in several chunks and stored in several batches.

    Attributes:
        grow: lets it become longer.
    """

    connection: LedgerConnection
    grow: Callable[[], object]


@contextmanager
def decent_cloud() -> Iterator[Ledger]:
    """Give a ledger of eight blocks in chunks of 2,000 bytes."""
    world = LedgerWorld.grown(8)
    with InternetComputerStandIn(world, chunk=2_000).running() as url:
        yield Ledger(_connection(url, canister_id=MAINNET_CANISTER, batch_size=20), lambda: world.grow(2))


@contextmanager
def token() -> Iterator[Ledger]:
    """Give a token's log of forty blocks in pages of seven, the first ones in an archive."""
    log = TokenLedger.grown(40)
    stand_in = InternetComputerStandIn(LedgerWorld()).with_token(log, archived=20, page=7)
    with stand_in.running() as url:
        yield Ledger(_connection(url, canister_id=TOKEN_CANISTER, source="icrc3", batch_size=7), lambda: log.grow(10))


LEDGERS = {"decent_cloud": decent_cloud, "token": token}


def _connection(url: str, **fields: Any) -> LedgerConnection:
    row = {"name": "main", "url": url, "environment": "development", "max_retries": 0, **fields}
    return LedgerConnection.model_validate(row, context={"environment": {}})


def _kill(engine: Engine, ledger: Ledger, point: Point) -> None:
    child.kill(engine, importing(ledger.connection), point, About("", QUERIES))


def _resume(engine: Engine, ledger: Ledger) -> ImportOutcome:
    with engine.begin() as connection:
        connection.execute(text("UPDATE sync.lease SET expires_at = expires_at - interval '1 hour'"))
    return import_all(ledger.connection, engine)


@pytest.fixture
def undisturbed(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Engine]:
    """A second database, for the import that nobody kills."""
    with fresh_engine(postgres_server, migrated_template) as engine:
        yield engine


def _as_undisturbed(engine: Engine, undisturbed: Engine, ledger: Ledger) -> None:
    """Check that nothing tells one database from the other, and that nothing is left to do."""
    expected = import_all(ledger.connection, undisturbed)
    assert expected.ending is Ending.CAUGHT_UP
    assert everything(engine) == everything(undisturbed)
    again = import_all(ledger.connection, engine)
    assert (again.ending, again.blocks, again.position) == (Ending.CAUGHT_UP, 0, expected.position)
    assert verify_ledger(engine, "main").sound
    with engine.connect() as connection:
        total = "SELECT total_records_synced FROM sync.sync_status WHERE table_name = 'ledger_entries'"
        assert connection.execute(text(total)).scalar() == expected.entries


@pytest.mark.parametrize(
    ("label", "opened"),
    [
        *(pytest.param(label, decent_cloud, id=f"{label}-decent_cloud") for label in LEDGER_POINTS),
        *(pytest.param(label, token, id=f"{label}-token") for label in ("mid-later-entries", "before-commit")),
    ],
)
def test_given_a_kill_at_any_step_of_a_batch_the_rest_follows_once(
    engine: Engine, undisturbed: Engine, label: str, opened: Callable[[], Any]
) -> None:
    with opened() as ledger:
        _kill(engine, ledger, LEDGER_POINTS[label])

        assert _resume(engine, ledger).ending is Ending.CAUGHT_UP

        _as_undisturbed(engine, undisturbed, ledger)


@pytest.mark.parametrize("opened", LEDGERS.values(), ids=LEDGERS)
def test_given_kills_after_every_chunk_of_a_ledger_that_grows_meanwhile_nothing_is_lost_or_stored_twice(
    engine: Engine, undisturbed: Engine, opened: Callable[[], Any]
) -> None:
    with opened() as ledger:
        for number in range(1, REPLIES + 1):
            _kill(engine, ledger, Point("a chunk was answered", Reply(number)))
            if number == 1:
                with pytest.raises(LeaseHeld, match="killed"):
                    import_all(ledger.connection, engine)
            with engine.begin() as connection:
                connection.execute(text("UPDATE sync.lease SET expires_at = expires_at - interval '1 hour'"))
            ledger.grow()

        assert _resume(engine, ledger).ending is Ending.CAUGHT_UP

        _as_undisturbed(engine, undisturbed, ledger)
