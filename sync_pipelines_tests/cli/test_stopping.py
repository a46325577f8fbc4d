"""Ctrl-C at the command line: what is in hand is finished, and the command says how far it came."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from sqlalchemy import text

from sync_pipelines_tests.cli.conftest import PROJECT, Installation


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
