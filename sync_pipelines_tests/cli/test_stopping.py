"""Ctrl-C at the command line: what is in hand is finished, and the command says how far it came."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from sync_pipelines.sandbox.openbao import OpenBaoProxy
from sync_pipelines_tests.cli.conftest import PROJECT, Deployed, Installation

INSTANCE = "6fced11d-2bd8-41e6-847a-8387cdde8d51"


@pytest.mark.long
def test_given_ctrl_c_while_changes_are_applied_then_the_command_says_how_many_were_done_and_ends_with_130(
    installation: Installation,
) -> None:
    world = installation.waldur.world
    installation.waldur.faults.add("latency", method="POST", seconds=0.3)
    command = [sys.executable, "-m", "sync_pipelines.cli", "reconcile", "offerings"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 90
        while not world.mutations and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert "stopped by SIGINT" in said
    assert "changes done" in said
    assert "Traceback" not in said
    with installation.engine.connect() as connection:
        states = set(connection.execute(text("SELECT state FROM sync.effect")).scalars())
        runs = connection.execute(text("SELECT status FROM runs")).scalars().all()
    assert states == {"settled"}
    assert runs == ["CANCELED"]


@pytest.mark.long
@pytest.mark.parametrize(("signals", "code", "success"), [(1, 0, True), (2, 130, False)])
def test_given_ctrl_c_while_an_instance_is_restored_then_it_is_finished_and_the_audit_log_tells_what_became_of_it(
    deployed: Deployed, signals: int, code: int, success: bool
) -> None:
    world = deployed.installation
    before = deployed.entry(INSTANCE)
    world.agree("lab")
    vault = world.document["deployments"][0]["vault"]
    proxy = OpenBaoProxy(vault["url"])
    with proxy.running() as url:
        vault["url"] = url
        world.configure()
        proxy.faults.add("latency", method="POST", path="/data/", seconds=0.7)
        command = [sys.executable, "-m", "sync_pipelines.cli", "deployments", "restore", "lab", INSTANCE, "--yes"]
        with subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            deadline = time.monotonic() + 90
            while not any(one.method == "POST" for one in proxy.requests) and time.monotonic() < deadline:
                time.sleep(0.02)
            for _ in range(signals):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
            _, said = process.communicate(timeout=60)

    assert process.returncode == code, said
    assert (deployed.entry(INSTANCE) == before) is success
    last = world.answer("why", INSTANCE)["audit"][-1]
    assert (last["action"], last["success"]) == ("restore", success)
    assert success or last["error"].startswith("stopped by SIGINT")
