"""Whatever a marketplace or the way to it does during a reading: it is said, nothing is lost, one more run mends it.

A fault comes between the first page of orders and the second, and lasts until the run is over.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection
from sync_pipelines.pipelines.marketplaces.cycle import Request, run_cycle
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines.store.marketplaces import streams
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.pipelines.marketplaces.several_pages import PAGED, Paged, whole_rows

JSON = "application/json"
WAITING = ("amazon", "shopify")
"""Marketplaces whose budget is known to be small: what a run gets no turn for is left to the next one, no failure."""


@dataclass(frozen=True)
class Fault:
    """What happens to requests, in the words of the stand-ins.

    Attributes:
        told: what the operator reads of it.
        limits: whether it is a limit that was reached.
    """

    kind: str
    options: dict[str, Any]
    told: str
    limits: bool = False


FAULTS = {
    "429 with Retry-After": Fault(
        "status",
        {"status": 429, "headers": {"Retry-After": "90"}, "body": "{}", "content_type": JSON},
        "429|no request may be sent for",
        limits=True,
    ),
    "500": Fault("status", {"status": 500, "body": "{}", "content_type": JSON}, "HTTP 500"),
    "HTML 502": Fault("status", {"status": 502, "body": "<h1>Bad Gateway</h1>"}, "HTTP 502"),
    "cut body": Fault("reset_mid_body", {}, "connection|reset|body|answer"),
    "dropped connection": Fault("drop", {}, "connection|disconnected|answer"),
}


@pytest.fixture(params=PAGED)
def account(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Paged]:
    """A connected account of each marketplace, nothing pulled yet."""
    with PAGED[request.param](engine) as account:
        yield account


@pytest.fixture
def undisturbed(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Engine]:
    """A database for an import that nothing disturbs."""
    with fresh_engine(postgres_server, migrated_template) as engine:
        yield engine


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_said_while_it_lasts_and_one_more_run_brings_everything(
    account: Paged, undisturbed: Engine, fault: Fault
) -> None:
    account.spoil(fault.kind, **fault.options)

    account.cycle()

    if fault.limits and account.connection.marketplace in WAITING:
        assert account.state.last_error is None
        assert all(re.search(fault.told, why) for why in account.said())
    else:
        assert_is_said(account, fault.told)
    assert account.said()
    assert_watermarks_are_not_ahead_of_the_rows(account)
    account.standin.faults.clear()
    assert_mended_by_one_more_run(account, undisturbed)


def test_access_that_ends_between_pages_is_said_and_one_more_run_brings_everything(
    account: Paged, undisturbed: Engine
) -> None:
    account.after_first_page(account.locks_out)

    account.cycle()

    assert_is_said(account, "401|403|refused|authorize")
    assert account.state.status == "expired"
    assert_watermarks_are_not_ahead_of_the_rows(account)
    account.lets_in()
    assert_mended_by_one_more_run(account, undisturbed)


def test_a_run_that_is_killed_between_pages_is_taken_up_by_the_next(
    account: Paged, undisturbed: Engine, database_url: str
) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=pull_in_a_process, args=(database_url, account.connection)
    )
    account.with_the_second_page(process.kill)
    process.start()
    process.join()

    assert process.exitcode == -9
    assert account.state.sync_status == "in_progress"
    assert_watermarks_are_not_ahead_of_the_rows(account)
    with account.engine.begin() as connection:
        connection.execute(text("UPDATE sync.lease SET expires_at = now()"))
    assert_mended_by_one_more_run(account, undisturbed)


def pull_in_a_process(database_url: str, connection: MarketplaceConnection) -> None:
    """Run a cycle of its own."""
    engine = connect_engine(database_url)
    asyncio.run(run_cycle(engine, [connection], Request("killed"), logging.getLogger("killed")))


def assert_is_said(account: Paged, told: str) -> None:
    state = account.state
    assert (state.status, state.sync_status) != ("connected", "success")
    assert re.search(told, str(state.last_error)), state.last_error


def assert_watermarks_are_not_ahead_of_the_rows(account: Paged) -> None:
    """A stream is read through a time when all is stored that was there, and is begun when anything is."""
    with account.engine.connect() as connection:
        found = {stream: streams.read(connection, account.state.id, stream).watermark for stream in Stream}
    stored = {Stream.ORDERS: len(account.statuses()), Stream.PRODUCTS: account.stored_products}
    for stream, watermark in found.items():
        assert watermark is None or stored[stream] > 0
        assert watermark is None or watermark.through is None or stored[stream] == account.holds[stream]
    assert stored[Stream.ORDERS] < account.holds[Stream.ORDERS]


def assert_mended_by_one_more_run(account: Paged, undisturbed: Engine) -> None:
    account.rest()
    outcome = account.cycle()
    assert outcome.result["errors"] == []
    assert (account.state.status, account.state.sync_status, account.state.last_error) == ("connected", "success", None)
    assert account.said() == []

    replace(account, engine=undisturbed).cycle()

    assert whole_rows(account.engine) == whole_rows(undisturbed)
    assert len(account.statuses()) == account.holds[Stream.ORDERS]
