"""Two processes over one connection: they take turns, and one paused past its lease writes nothing any more."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sync_pipelines_tests.pipelines.offerings import paused_run, waiting_run
from sync_pipelines_tests.pipelines.offerings.children import child, wait_until
from sync_pipelines_tests.pipelines.offerings.market import TERMINATED, Market
from sync_pipelines_tests.pipelines.offerings.paused_run import LOST

LEASE_SECONDS = 2.0


def _create(market: Market) -> str:
    return market.offer(name="VM")


def _update(market: Market) -> str:
    offering_id = market.offer(name="VM")
    market.reconcile()
    market.chain.update_offering(offering_id, {"name": "renamed"})
    return offering_id


def _archive(market: Market) -> str:
    offering_id = market.offer(name="VM")
    market.reconcile()
    market.chain.update_offering(offering_id, {"state": TERMINATED})
    return offering_id


@pytest.mark.long
@pytest.mark.parametrize("prepare", [_create, _update, _archive])
def test_given_a_run_paused_past_its_lease_right_after_its_intent_then_it_sends_no_write_when_it_wakes(
    market: Market, tmp_path: Path, database_url: str, prepare: Callable[[Market], str]
) -> None:
    offering_id = prepare(market)
    before = len(market.writes)
    with child(paused_run, market, tmp_path, database_url, str(LEASE_SECONDS)) as zombie:
        wait_until(lambda: _is_stopped(zombie), zombie)
        assert market.rows("SELECT state FROM sync.effect ORDER BY id DESC LIMIT 1") == [("intended",)]
        assert len(market.writes) == before
        time.sleep(LEASE_SECONDS)
        for _ in range(2):
            market.reconcile()
            market.let_time_pass()
        market.reconcile()
        written = list(market.writes)
        remembered = market.rows("SELECT * FROM sync.record_state, sync.base, sync.audit_head, sync.effect")

        zombie.send_signal(signal.SIGCONT)
        said, _ = zombie.communicate(timeout=60)

    assert zombie.returncode == LOST
    assert "lost its lease" in said
    assert market.writes == written, "the zombie wrote"
    assert market.rows("SELECT * FROM sync.record_state, sync.base, sync.audit_head, sync.effect") == remembered
    assert len(market.waldur.world.by_backend_id(offering_id)) == 1
    assert market.synced(offering_id)
    assert market.audit_is_intact()
    assert market.writes_of(market.reconcile()) == 0


def test_given_two_processes_at_once_then_they_take_turns_and_the_second_finds_nothing_to_do(
    market: Market, tmp_path: Path, database_url: str
) -> None:
    offerings = [market.offer(name=f"VM {number}") for number in range(4)]
    market.waldur.faults.add("latency", method="POST", seconds=0.2)
    with (
        child(waiting_run, market, tmp_path, database_url, "first") as first,
        child(waiting_run, market, tmp_path, database_url, "second") as second,
    ):
        told = [process.communicate(timeout=60)[0].strip() for process in (first, second)]

    assert (first.returncode, second.returncode) == (0, 0)
    assert sorted(told) == ["0 writes", "4 writes"]
    assert market.writes.count("create") == 4
    assert all(market.synced(offering_id) for offering_id in offerings)
    ((overlaps,),) = market.rows(
        "SELECT count(*) FROM sync.effect a JOIN sync.effect b ON a.run_id < b.run_id AND a.intended_at < b.settled_at "
        "AND b.intended_at < a.settled_at"
    )
    assert overlaps == 0


def _is_stopped(process: subprocess.Popen[str]) -> bool:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0] == "T"
