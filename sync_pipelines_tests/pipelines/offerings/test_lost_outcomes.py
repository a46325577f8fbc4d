"""Calls whose outcome is not known: the run is killed, the reply is lost, or a 500 hides whether it was done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from sync_pipelines.core.errors import LeaseHeld
from sync_pipelines.core.lifecycle import State
from sync_pipelines.sandbox.faults import ArmedFault
from sync_pipelines_tests.pipelines.offerings.market import (
    CATEGORIES,
    CHAIN_ID,
    CUSTOMERS,
    OWNERS,
    PROVIDER,
    STAFF,
    Market,
    price_list,
)

CREATE = r"^/api/marketplace-provider-offerings/$"
STEPS = {"create": CREATE, "prices": r"/update_prices/$", "activate": r"/activate/$"}
PRICES = {"cpu_hour": Decimal("0.05"), "gpu_hour": Decimal("1.25")}


@pytest.fixture
def offering_id(market: Market) -> str:
    """An offering on the chain that Waldur does not have yet."""
    return market.offer(prices=price_list({"cpu/hour": "50000", "gpu/hour": "1250000"}))


@contextmanager
def _child(market: Market, folder: Path, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    file = folder / "connections.yaml"
    waldur = {"url": market.waldur_url, "token": "env:OWNER", "staff_token": "env:STAFF"}
    file.write_text(
        yaml.safe_dump(
            {
                "offerings": [
                    {
                        "name": "nordlys",
                        "provider": PROVIDER,
                        "chain": {"rpc_url": market.chain_url, "chain_id": CHAIN_ID},
                        "waldur": {**waldur, "customer_uuid": CUSTOMERS[PROVIDER]},
                        "category_map": CATEGORIES,
                    }
                ]
            }
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sync_pipelines_tests.pipelines.offerings.killed_run", database_url],
        env={**os.environ, "SYNC_CONNECTIONS_FILE": str(file), "OWNER": OWNERS[PROVIDER], "STAFF": STAFF},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(fault: ArmedFault, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not fault.fired:
        assert process.poll() is None, "the run ended before the call"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("step", ["create", "activate"])
def test_given_a_run_killed_between_a_call_and_its_settlement_then_the_next_ends_with_one_offering(
    market: Market, offering_id: str, step: str, tmp_path: Path, database_url: str
) -> None:
    fault = market.waldur.faults.add("hang_after_commit", method="POST", path=STEPS[step], times=1, seconds=600)
    with _child(market, tmp_path, database_url) as process:
        _wait_for(fault, process)
        _until_committed(market, step)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert market.rows("SELECT state FROM sync.effect") == [("intended",)]

    with pytest.raises(LeaseHeld, match="by killed since"):
        market.reconcile()
    market.let_time_pass()
    market.reconcile()

    _is_complete(market, offering_id)
    assert market.writes.count("create") == 1
    assert market.rows("SELECT state FROM sync.effect WHERE state IN ('intended', 'in_doubt')") == []
    assert market.writes_of(market.reconcile()) == 0


def test_given_a_run_killed_before_its_create_arrived_then_it_is_created_once_and_only_after_the_quiet_time(
    market: Market, offering_id: str, tmp_path: Path, database_url: str
) -> None:
    fault = market.waldur.faults.add("hang", method="POST", path=CREATE, times=1, seconds=600)
    with _child(market, tmp_path, database_url) as process:
        _wait_for(fault, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with market.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sync.lease SET expires_at = now() - interval '1 s'")

    first = market.reconcile()
    assert (market.writes, first.plan.counts["waiting"]) == ([], 1)
    assert "the reply to an earlier create was lost" in market.state(offering_id).reason

    market.let_time_pass()
    market.reconcile()
    _is_complete(market, offering_id)
    assert market.writes.count("create") == 1


def _until_committed(market: Market, write: str) -> None:
    deadline = time.monotonic() + 10
    while write not in market.writes:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        *(("error_after_commit", step) for step in STEPS),
        *(("drop_after_commit", step) for step in STEPS),
        ("truncated_body", "create"),
        ("login_page", "create"),
    ],
)
def test_given_a_lost_reply_then_the_target_is_looked_at_and_nothing_is_done_twice(
    market: Market, offering_id: str, kind: str, step: str
) -> None:
    market.waldur.faults.add(kind, method="POST", path=STEPS[step], times=1)

    market.reconcile()
    market.let_time_pass()
    market.reconcile()

    _is_complete(market, offering_id)
    assert market.writes.count("create") == 1
    assert market.writes_of(market.reconcile()) == 0


@pytest.mark.parametrize("step", STEPS)
def test_given_a_500_that_was_rolled_back_then_the_retry_does_it_once(
    market: Market, offering_id: str, step: str
) -> None:
    market.waldur.faults.add("status", method="POST", path=STEPS[step], status=500, times=1)

    market.reconcile()
    assert market.state(offering_id).state is State.RETRYING
    assert market.waldur.world.by_backend_id(offering_id) == [] if step == "create" else True
    market.reconcile()
    market.let_time_pass()
    market.reconcile()

    _is_complete(market, offering_id)
    assert market.writes.count("create") == 1


def test_given_a_client_that_gives_up_waiting_then_what_was_done_is_found(market: Market, offering_id: str) -> None:
    impatient = market.connection(waldur={"timeout_seconds": 1})
    market.waldur.faults.add("hang_after_commit", method="POST", path=CREATE, times=1, seconds=30)

    market.reconcile(impatient)
    market.let_time_pass()
    market.reconcile(impatient)

    _is_complete(market, offering_id)
    assert market.writes.count("create") == 1


def test_given_a_message_broker_that_is_down_then_every_500_is_seen_through(market: Market, offering_id: str) -> None:
    market.waldur.world.broker_stop()

    market.reconcile()
    market.let_time_pass()
    market.reconcile()

    _is_complete(market, offering_id)
    assert market.writes == ["create", "update_prices", "activate"]


def test_given_a_database_that_is_down_then_nothing_is_done_and_later_everything(
    market: Market, offering_id: str
) -> None:
    market.reconcile()
    market.chain.update_offering(offering_id, {"state": 2})
    fault = market.waldur.faults.add("status", method="POST", status=500)
    market.reconcile()
    assert market.offering(offering_id).state == "Active"

    market.waldur.faults.remove(fault)
    market.let_time_pass()
    market.reconcile()
    assert market.offering(offering_id).state == "Paused"


def _is_complete(market: Market, offering_id: str) -> None:
    made = market.offering(offering_id)
    assert (made.state, made.prices()) == ("Active", PRICES)
    assert len(made.plans) == 1
    assert market.synced(offering_id)
    assert market.letters() == []
    assert market.audit_is_intact()
