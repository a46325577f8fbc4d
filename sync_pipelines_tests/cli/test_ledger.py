"""The commands on ledgers: they are replicated, and the commands for reconciled pairs say so."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from sync_pipelines.cli import main
from sync_pipelines.pipelines.ledger.importing import import_ledger
from sync_pipelines.pipelines.ledger.opening import open_ledger
from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, LedgerWorld
from sync_pipelines.store import audit
from sync_pipelines_tests.cli.conftest import Installation
from sync_pipelines_tests.ledgers import LEDGER_DATA, damaged_world, small_world
from sync_pipelines_tests.pipelines.ledger.dagster_runs import connection_of

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Ledgers:
    """A database, a canister, and a connections file that names it as ``dc``.

    Attributes:
        document: content of the file; :meth:`configure` writes it.
    """

    world: LedgerWorld
    engine: Engine
    file: Path
    document: dict[str, Any] = field(default_factory=dict)

    def configure(self) -> None:
        """Write the connections file."""
        self.file.write_text(yaml.safe_dump(self.document), encoding="utf-8")

    def invoke(self, *arguments: str) -> Result:
        """Run a command in this process."""
        return CliRunner().invoke(main, arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own, as its user does; needed for what starts Dagster runs."""
        command = [sys.executable, "-m", "sync_pipelines.cli", *arguments]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def ledgers(engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledgers]:
    """The small ledger's canister, nothing imported yet."""
    stand_in = InternetComputerStandIn(small_world())
    with stand_in.running() as url:
        for name in [name for name in os.environ if name.startswith("SYNC_") or name in ("CANISTER_ID", "ENVIRONMENT")]:
            monkeypatch.delenv(name)
        file = tmp_path / "connections.yaml"
        monkeypatch.setenv("SYNC_CONNECTIONS_FILE", str(file))
        monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
        monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
        one = {"name": "dc", "url": url, "canister_id": stand_in.world.canister_id, "max_retries": 0}
        ledgers = Ledgers(stand_in.world, engine, file, {"ledger": [one]})
        ledgers.configure()
        yield ledgers


@pytest.mark.long
def test_an_import_of_one_label_is_told_for_each_ledger_and_one_that_is_damaged_is_a_failure(ledgers: Ledgers) -> None:
    file = "corrupt/altered_value.ledger"
    with InternetComputerStandIn(damaged_world(file, _end_of(file))).running() as url:
        ledgers.document["ledger"].append(ledgers.document["ledger"][0] | {"name": "bad", "url": url})
        ledgers.configure()
        ended = ledgers.run("ledger", "import", "ProvProfile", "--batch-size", "50", "--json")

    good, bad = json.loads(ended.stdout)
    assert ended.returncode == 1, ended.stderr
    assert (good["connection"], good["success"], good["data"]["label"]) == ("dc", True, "ProvProfile")
    stats = good["data"]["stats"]
    assert (stats["usersCreated"], stats["profilesCreated"], stats["offeringsCreated"]) == (0, 6, 0)
    assert 0 < stats["totalProcessed"] == stats["ledgerEntriesCreated"] < 20
    assert all("profile" in error or "payload" in error or "signature" in error for error in stats["errors"])
    assert bad["data"]["message"].startswith("Ledger import stopped: ")
    assert "bad: stopped before the block at position " in ended.stderr

    told = json.loads(ledgers.invoke("ledger", "status", "--connection", "dc", "--json").stdout)
    rows = {row["tableName"]: row for row in told["data"]["statuses"]}
    assert (told["success"], told["data"]["totalTables"]) == (True, len(rows))
    assert list(rows) == ["all", "ledger_entries", "provider_profiles"]
    assert rows["all"]["totalRecordsSynced"] == rows["ledger_entries"]["totalRecordsSynced"] == 467
    assert "provider_profiles" in ledgers.invoke("ledger", "status").stdout

    proved = ledgers.invoke("ledger", "verify", "--connection", "dc", "--json")
    (found,) = json.loads(proved.stdout)
    assert (found["blocks"], found["entries"], found["transfers"]) == (40, 467, 0)


def _import(ledgers: Ledgers) -> None:
    """Import without Dagster."""
    connection = connection_of(ledgers.document["ledger"][0]["url"])

    async def work() -> None:
        async with open_ledger(connection, ledgers.engine) as opened:
            log = logging.getLogger("tests")
            await import_ledger(ledgers.engine, opened.source, "dc", connection.canister_id, run_id="before", log=log)

    asyncio.run(work())


@pytest.mark.long
def test_a_rewritten_ledger_is_replaced_only_by_a_resync_that_was_looked_at_first(ledgers: Ledgers) -> None:
    _import(ledgers)
    ledgers.world.rewrite_tail(3, then=5)

    dry = ledgers.invoke("ledger", "resync", "--dry-run", "--json")
    plan = json.loads(dry.stdout)
    assert (dry.exit_code, plan["kept"], plan["superseded_blocks"]) == (0, 37, 3)
    assert "37 blocks are common; 3 blocks with" in ledgers.invoke("ledger", "resync", "--dry-run").stdout
    unasked = ledgers.invoke("ledger", "resync")
    assert (unasked.exit_code, "give --yes" in unasked.stderr) == (1, True)
    assert _stored(ledgers) == (40, 0)

    done = ledgers.run("ledger", "resync", "--yes", "--json")

    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert (reply["success"], reply["data"]["message"]) == (True, "Ledger import completed")
    stats = reply["data"]["stats"]
    assert (stats["usersCreated"] >= 10, stats["offeringsCreated"] >= 90, stats["errors"] != []) == (True, True, True)
    assert _stored(ledgers) == (42, 3)
    proved = ledgers.invoke("ledger", "verify")
    assert (proved.exit_code, "sound" in proved.stdout) == (0, True), proved.stderr
    with ledgers.engine.begin() as connection:
        connection.execute(text("UPDATE sync.ledger_entries SET value = value || 'x' WHERE label = 'RepAge'"))
    broken = ledgers.invoke("ledger", "verify")
    assert (broken.exit_code, "hash at " in broken.stderr) == (1, True)
    assert "nothing has to be replaced" in ledgers.invoke("ledger", "resync", "--dry-run").stdout
    with ledgers.engine.connect() as connection:
        (entry,) = [item.entry for item in audit.entries(connection, "ledger")]
        assert audit.verify(connection, "ledger").intact
    assert (entry["action"], entry["common_blocks"], entry["superseded_blocks"]) == ("ledger_resync", 37, 3)


def _end_of(file: str) -> int:
    """Return where the canister says that a damaged ledger ends."""
    listed = json.loads((LEDGER_DATA / "corrupt" / "manifest.json").read_text("utf-8"))
    rows = listed["files"] if isinstance(listed, dict) else listed
    (end,) = [row["end_position"] for row in rows if file.endswith(row["file"])]
    return int(end)


def _stored(ledgers: Ledgers) -> tuple[int, int]:
    """Return how many blocks are stored, and how many were kept apart."""
    with ledgers.engine.connect() as connection:
        counted = (
            connection.execute(text(f"SELECT count(*) FROM sync.{table}")).scalar_one()
            for table in ("ledger_blocks", "ledger_superseded_blocks")
        )
        blocks, superseded = counted
    return blocks, superseded


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("reconcile", "ledger"), "there is no enabled connection under 'offerings' or 'deployments'"),
        (("why", "anything"), "a ledger is replicated and not reconciled: 'sync-pipelines ledger import'"),
        (("ledger", "status", "--connection", "other"), "no ledger is named 'other'; there are dc (ggi4a-"),
        (("ledger", "import", "Nonsense"), "There is no label Nonsense. There are: ProvRegister"),
        (("ledger", "verify"), "Nothing was imported for the connection dc yet"),
        (("ledger", "resync", "--dry-run"), "Nothing was imported for the connection dc yet"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_to_do_instead(
    ledgers: Ledgers, arguments: tuple[str, ...], told: str
) -> None:
    answer = ledgers.invoke(*arguments)
    assert answer.exit_code == 1
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    "arguments", [("status",), ("import",), ("import", "ProvProfile"), ("verify",), ("resync", "--dry-run")]
)
def test_without_a_connections_file_it_is_told_how_to_make_one_and_no_database_is_started(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("SYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(main, ("ledger", *arguments))
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "there is no connections file: set SYNC_CONNECTIONS_FILE" in answer.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("size", ["0", "-5", "1000001", "many"])
def test_a_batch_size_that_makes_no_sense_is_wrong_usage(ledgers: Ledgers, size: str) -> None:
    answer = ledgers.invoke("ledger", "import", "--batch-size", size)
    assert (answer.exit_code, "Invalid value for '--batch-size'" in answer.stderr) == (2, True)


def test_as_long_as_days_wait_to_be_derived_verify_says_that_it_proved_the_chain_alone(ledgers: Ledgers) -> None:
    _import(ledgers)
    told = ledgers.invoke("ledger", "verify")
    assert (told.exit_code, "sound" in told.stdout) == (0, True)
    assert "3 days not derived yet; until then only the chain is proved" in told.stderr
    (found,) = json.loads(ledgers.invoke("ledger", "verify", "--json").stdout)
    assert found["underived_days"] == ["2023-12-31", "2024-01-01", "2024-01-04"]


@pytest.mark.long
def test_given_ctrl_c_during_an_import_then_it_ends_with_130_and_the_next_one_goes_on(ledgers: Ledgers) -> None:
    slow = InternetComputerStandIn(small_world())
    fault = slow.faults.add("latency", path="/query$", seconds=60)
    with slow.running() as url:
        ledgers.document["ledger"][0]["url"] = url
        ledgers.configure()
        command = [sys.executable, "-m", "sync_pipelines.cli", "ledger", "import"]
        with subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            deadline = time.monotonic() + 90
            while not slow.replica.requests and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            printed, said = process.communicate(timeout=60)
        slow.faults.remove(fault)

        assert (process.returncode, printed) == (130, ""), said
        assert "Traceback" not in said
        with ledgers.engine.connect() as connection:
            assert connection.execute(text("SELECT status FROM runs")).scalars().all() == ["CANCELED"]
            assert connection.execute(text("SELECT count(*) FROM sync.lease WHERE expires_at > now()")).scalar() == 0
        _import(ledgers)
    assert _stored(ledgers) == (40, 0)


def test_beside_reconciled_pairs_a_ledger_is_named_by_its_own_commands(
    installation: Installation, ledgers: Ledgers
) -> None:
    installation.document["ledger"] = ledgers.document["ledger"]
    installation.configure()
    os.environ["SYNC_CONNECTIONS_FILE"] = str(installation.file)

    assert installation.invoke("plan", "list").exit_code == 0
    for word in ("ledger", "dc", "ledger/dc"):
        answer = installation.invoke("reconcile", word, "--plan")
        assert (answer.exit_code, "a ledger is replicated and not reconciled" in answer.stderr) == (1, True)
    assert "nothing was imported yet" in installation.invoke("ledger", "status").stderr


def test_the_doctor_asks_the_canister(ledgers: Ledgers) -> None:
    healthy = {one["check"]: one for one in json.loads(ledgers.invoke("doctor", "--json").stdout)["checks"]}
    assert healthy["settings"]["ok"]
    assert "40 blocks up to position " in healthy["ledger/dc: canister"]["detail"]
    assert "would be imported" in healthy["ledger/dc: replica"]["detail"]

    ledgers.document["ledger"][0] |= {"url": "http://127.0.0.1:9", "live": True}
    ledgers.configure()
    ill = ledgers.invoke("doctor", "--json")
    found = {one["check"]: one for one in json.loads(ill.stdout)["checks"]}
    assert (ill.exit_code, found["ledger/dc: canister"]["ok"]) == (1, False)


def test_several_ledgers_are_told_of_as_a_list_and_one_has_to_be_chosen_for_a_resync(ledgers: Ledgers) -> None:
    first = ledgers.document["ledger"][0]
    ledgers.document["ledger"].append(first | {"name": "eu", "canister_id": "tlvs5-oqaaa-aaaas-aaabq-cai"})
    ledgers.configure()

    told = json.loads(ledgers.invoke("ledger", "status", "--json").stdout)
    assert [(one["connection"], one["data"]["totalTables"]) for one in told] == [("dc", 0), ("eu", 0)]
    answer = ledgers.invoke("ledger", "resync", "--dry-run")
    assert "there are 2 ledgers; give --connection with one of dc, eu" in answer.stderr
    by_id = ledgers.invoke("ledger", "status", "--connection", "tlvs5-oqaaa-aaaas-aaabq-cai", "--json")
    assert json.loads(by_id.stdout)["success"]
