"""The whole way, through Dagster and over HTTP: a ledger's tables are what is known of it, however it was imported."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from sqlalchemy import Engine, text

from sync_pipelines.pipelines.ledger.projecting import ALL
from sync_pipelines.pipelines.ledger.runs import derive_days, position_of
from sync_pipelines.sandbox.internet_computer import TOKEN_CANISTER, InternetComputerStandIn, LedgerWorld, TokenLedger
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.ledgers import small_world
from sync_pipelines_tests.pipelines.ledger import import_run, stored
from sync_pipelines_tests.pipelines.ledger.dagster_runs import (
    END,
    NAME,
    START,
    Replicated,
    checks,
    materialized,
    replicated,
)
from sync_pipelines_tests.pipelines.ledger.import_run import RUN_ID
from sync_pipelines_tests.pipelines.ledger.sources import expected

LOG = logging.getLogger("ledger-acceptance")
CHUNK = 2_000
"""Bytes of one answer, so that there is something between two of them."""


def _bring_up_to_date(one: Replicated) -> None:
    """Let the sensors ask for runs until nothing is left to do, and carry them out."""
    for _ in range(10):
        imports, days = one.tick("tip").run_requests or (), one.tick("days").run_requests or ()
        for _ in imports:
            assert one.imported().success
        for request in days:
            assert one.derived(request.tags[START], request.tags[END]).success
        if not imports and not days:
            return
    pytest.fail("the sensors never come to rest")


def test_the_sensors_bring_the_small_ledger_into_the_tables_as_it_is(engine: Engine) -> None:
    with replicated(engine, small_world()) as one:
        _bring_up_to_date(one)

        told: dict[str, list[dict[str, Any]]] = expected()["tables"]
        for name, rows in told.items():
            assert _in_order(stored.table(engine, name, list(rows[0]))) == _in_order(rows), name
        assert one.instance.get_runs_count() == 2, "one import, and one run over all days"


def test_a_ledger_that_grows_is_followed_and_day_after_day_is_derived(engine: Engine) -> None:
    with replicated(engine, LedgerWorld.grown(3, start_ns=_at(2024, 3, 30, 23, 40))) as one:
        _bring_up_to_date(one)
        before = stored.everything(engine)
        one.world.grow(3)
        _bring_up_to_date(one)

        days = one.instance.get_materialized_partitions(
            next(key for key in one.definitions.resolve_asset_graph().get_all_asset_keys() if "check_ins" in key.path)
        )
        assert days == {"2024-03-30", "2024-03-31"}
        after = stored.everything(engine)
        assert set(before["ledger_transfers"]) < set(after["ledger_transfers"])
        proof = one.definitions.resolve_job_def(f"ledger_{NAME}_verify").execute_in_process(instance=one.instance)
        assert all(checks(proof).values()), checks(proof)


@pytest.mark.long
def test_a_month_in_one_run_is_the_sum_of_its_days_derived_in_any_order(
    postgres_server: EmbeddedServer, migrated_template: str
) -> None:
    first, last = date(2024, 2, 1), date(2024, 3, 1)
    world = LedgerWorld("month", start_ns=_at(2024, 2, 1, 0, 10))
    for number in range(1, 30, 3):
        # Two blocks, then two days without any.
        world.grow(2, at_ns=_at(2024, 2, 1, 12, 0) + number * 86_400 * 10**9)
    with (
        fresh_engine(postgres_server, migrated_template) as one_engine,
        fresh_engine(postgres_server, migrated_template) as other_engine,
        replicated(one_engine, world) as one,
        replicated(other_engine, world) as other,
    ):
        one.imported()
        other.imported()

        whole = one.derived(first.isoformat(), last.isoformat())
        assert whole.success
        assert materialized(whole)["token_transfers"]["blocks"] == 20
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        for day in sorted(days, key=lambda day: day.day * 7 % 31):
            asyncio.run(derive_days(other_engine, NAME, day, day, ALL, LOG))

        at_once, in_parts = stored.everything(one_engine), stored.everything(other_engine)
        assert at_once == in_parts
        assert at_once["dc_users"]
        assert at_once["account_balances"]


def test_a_plain_token_is_followed_by_the_same_sensors_into_the_same_tables(engine: Engine) -> None:
    ledger = TokenLedger.grown(30)
    with replicated(engine, LedgerWorld(), source="icrc3", canister_id=TOKEN_CANISTER) as one:
        one.stand_in.with_token(ledger, archived=10, page=7)
        _bring_up_to_date(one)
        ledger.grow(5)
        _bring_up_to_date(one)

        assert one.instance.get_runs_count() == 4
        with engine.connect() as connection:
            kept = connection.execute(text("SELECT count(*) FROM sync.ledger_blocks")).scalar_one()
            moved = connection.execute(text("SELECT count(*) FROM sync.token_transfers")).scalar_one()
        assert kept == 35
        assert 0 < moved <= 35


@contextmanager
def _in_a_process(
    stand_in: InternetComputerStandIn, url: str, database_url: str, folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """Import in a process of its own, and wait until something is stored and something is not."""
    folder.mkdir()
    stand_in.faults.add("latency", path="/query$", seconds=0.3)
    process = subprocess.Popen(
        [sys.executable, "-m", import_run.__name__, database_url, url, str(folder)],
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        watched = connect_engine(database_url)
        deadline = time.monotonic() + 60
        while not ((position := position_of(watched, NAME)) and position.blocks):
            assert process.poll() is None, "the run ended before"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        watched.dispose()
        yield process
    finally:
        process.kill()
        process.wait()
        stand_in.faults.clear()


@pytest.mark.long
def test_given_a_kill_or_a_stop_in_the_middle_then_the_next_run_completes_the_same_rows(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    stand_in = InternetComputerStandIn(small_world(), chunk=CHUNK)
    with stand_in.running() as url, DagsterInstance.ephemeral() as instance:
        with _in_a_process(stand_in, url, database_url, tmp_path / "killed") as process:
            process.kill()
            assert process.wait(60) == -signal.SIGKILL
        killed_at = position_of(engine, NAME)
        assert killed_at is not None
        assert 0 < killed_at.blocks < 40

        with engine.begin() as connection:
            # The lease of a killed run keeps others out for a while.
            connection.execute(text("UPDATE sync.lease SET expires_at = now()"))
        with _stopped(stand_in, url, database_url, tmp_path / "stopped", killed_at.blocks) as status:
            assert status is DagsterRunStatus.CANCELED
        stopped_at = position_of(engine, NAME)
        assert stopped_at is not None
        assert killed_at.blocks < stopped_at.blocks < 40

        one = Replicated(stand_in, url, engine, instance)
        _bring_up_to_date(one)
    rows = expected()["tables"]["ledger_entries"]
    assert stored.table(engine, "ledger_entries", list(rows[0])) == rows
    told = expected()["tables"]["token_transfers"]
    assert stored.table(engine, "token_transfers", list(told[0])) == told


@contextmanager
def _stopped(
    stand_in: InternetComputerStandIn, url: str, database_url: str, folder: Path, blocks: int
) -> Iterator[DagsterRunStatus]:
    """Stop an import by SIGTERM once it has stored more than so many blocks; give how its run ended."""
    with _in_a_process(stand_in, url, database_url, folder) as process:
        watched = connect_engine(database_url)
        deadline = time.monotonic() + 60
        while (position := position_of(watched, NAME)) is None or position.blocks <= blocks:
            assert process.poll() is None, "the run ended before"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        watched.dispose()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        with DagsterInstance.local_temp(str(folder)) as instance:
            run = instance.get_run_by_id(RUN_ID)
            assert run is not None
            yield run.status


def _in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows in an order of their own, and NUL in texts as PostgreSQL can hold it."""
    return sorted(json.dumps(row, sort_keys=True).replace("\\u0000", "\\ufffd") for row in rows)


def _at(year: int, month: int, day: int, hour: int, minute: int) -> int:
    """Return a time in nanoseconds since 1970 UTC."""
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 10**9
