"""The commands on syncs that people start: the API's answers and limits, and a worker in the foreground."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from sync_pipelines.cli import main
from sync_pipelines.pipelines.commerce.orchestrator import Caller, answer
from sync_pipelines_tests.cli.conftest import PROJECT
from sync_pipelines_tests.pipelines.commerce.shop_runs import NAME, ORGANIZATION, SECRETS, row_of
from sync_pipelines_tests.pipelines.commerce.started import CUSTOMERS, WANTED, Syncs, syncs_of

QUICK = ("--rate-limit", "50", "--delay", "0")


@dataclass
class Desk:
    """Somebody at the command line, with a connections file that names the served shop."""

    syncs: Syncs

    def invoke(self, *arguments: str) -> Result:
        """Run a command in this process."""
        return CliRunner().invoke(main, ["commerce", *arguments])

    def says(self, *arguments: str) -> Any:
        """Run a command in this process with ``--json`` and return its answer, whatever was asked before."""
        self.syncs.sql("DELETE FROM sync.sync_request")
        result = self.invoke(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def api(self, action: str, **request: Any) -> int:
        """Ask as the API does, and return the HTTP status."""
        body = json.dumps({"action": action, **request})
        return answer(self.syncs.engine, Caller(ORGANIZATION, "ada", [NAME]), body).status


@pytest.fixture
def desk(engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A shop with ten customers, none of them in Odoo."""
    with syncs_of(engine) as syncs:
        for name in [name for name in os.environ if name.startswith("SYNC_")]:
            monkeypatch.delenv(name)
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        row = row_of(syncs.served.shop_url, syncs.served.odoo_url, **syncs.served.changes)
        file = tmp_path / "connections.yaml"
        file.write_text(yaml.safe_dump({"commerce": [row]}), encoding="utf-8")
        monkeypatch.setenv("SYNC_CONNECTIONS_FILE", str(file))
        monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
        monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
        yield Desk(syncs)


def test_given_a_sync_then_it_is_started_listed_paused_resumed_and_carried_out(desk: Desk) -> None:
    started = desk.says("start", *QUICK, "--batch-size", "4", "--key", "monday")
    sync_id, short = started["syncId"], started["syncId"][:13]
    assert started["status"] == "queued"
    assert desk.says("start", "--key", "monday")["syncId"] == sync_id
    assert desk.says("pause", short)["status"] == "paused"
    nothing = desk.invoke("work")
    assert (nothing.exit_code, nothing.stderr) == (0, "no sync waits for a worker\n")
    assert desk.says("resume", sync_id)["status"] == "queued"

    worked = desk.invoke("work", "nordwind")

    assert worked.exit_code == 0, worked.stderr
    lines = worked.stderr.splitlines()
    assert (lines[0], lines[-1]) == (
        f"{sync_id} (nordwind): begins",
        f"{sync_id} (nordwind): done, 10 of 10 processed",
    )
    [told] = desk.says("syncs")
    assert (told["status"], told["progress"]) == ("done", {"percentComplete": 100, "estimatedTimeRemainingMs": 0})
    assert told["queues"]["odoo"]["processed"] == CUSTOMERS
    shown = desk.invoke("syncs", "nordwind").stdout
    assert short in shown
    assert "10 of 10" in shown
    milestones = [one["action"] for one in desk.says("activity", short)]
    assert milestones[:3] == ["SYNC_PAUSED", "SYNC_RESUMED", "SYNC_STARTED"]
    assert milestones.count("BATCH_PROCESSED") == 3
    assert "outcomes" in desk.invoke("activity", short).stdout
    assert desk.syncs.is_in_odoo_once()


@pytest.mark.long
def test_given_a_worker_at_the_command_line_then_ctrl_c_finishes_what_is_in_hand_and_leaves_the_rest(
    desk: Desk,
) -> None:
    sync_id = desk.syncs.starts()
    command = [sys.executable, "-m", "sync_pipelines.cli", "commerce", "work"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        desk.syncs.at_create(3, lambda: process.send_signal(signal.SIGINT))
        _, said = process.communicate(timeout=120)

    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[0] == f"{sync_id} (nordwind): begins"
    assert f"{sync_id} (nordwind): left to the next worker" in said
    assert desk.syncs.waiting() == [sync_id]
    queue = desk.syncs.queue(sync_id)
    assert queue["processed"] == desk.syncs.creates.made < CUSTOMERS
    [told] = desk.says("work")
    assert (told["syncId"], told["status"]) == (sync_id, "done")
    assert desk.syncs.is_in_odoo_once()


def test_given_syncs_from_both_places_then_one_limit_holds_for_the_command_line_and_the_api(desk: Desk) -> None:
    for _ in range(3):
        assert desk.api("start", **WANTED) == 202
        desk.syncs.sql("DELETE FROM sync.sync_request")
    first = desk.says("start")["syncId"]
    desk.says("start")

    sixth = desk.invoke("start")
    assert (sixth.exit_code, "5 syncs of org-1 are under way" in sixth.stderr) == (1, True)
    assert desk.api("start", **WANTED) == 409
    desk.says("cancel", first)
    assert desk.invoke("start").exit_code == 0

    for number in range(8):
        assert (desk.api("status", syncId=first) == 200) if number % 2 else (desk.invoke("syncs").exit_code == 0)
    late = desk.invoke("cancel", first)
    assert (late.exit_code, "more than 10 requests in a minute; ask again in " in late.stderr) == (1, True)
    assert desk.api("status", syncId=first) == 429


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pause", "sync-00000000"], "there is no sync sync-00000000; 'sync-pipelines commerce syncs' lists"),
        (["activity", "sync-"], "there is no sync sync-;"),
        (["start", "--batch-size", "201"], "syncConfig.batchSize: "),
        (["start", "--entity", "orders"], "nordwind does not synchronize orders; it does customers"),
        (["start", "elsewhere"], "no shop is named 'elsewhere'; there is nordwind"),
        (["work", "elsewhere"], "no shop is named 'elsewhere'; there is nordwind"),
    ],
)
def test_given_a_mistake_then_it_is_said_what_is_wrong(desk: Desk, arguments: list[str], said: str) -> None:
    result = desk.invoke(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr


def test_given_a_sync_that_is_over_then_it_cannot_be_steered_and_what_is_of_another_organization_does_not_exist(
    desk: Desk,
) -> None:
    sync_id = desk.says("start")["syncId"]
    desk.says("cancel", sync_id)
    assert "a sync that is cancelled cannot pause" in desk.invoke("pause", sync_id).stderr

    desk.syncs.sql("UPDATE sync.sync_orchestration SET org_id = 'org-2', status = 'queued'")
    assert "there is no sync" in desk.invoke("cancel", sync_id).stderr
    assert desk.says("syncs") == desk.says("work") == []
