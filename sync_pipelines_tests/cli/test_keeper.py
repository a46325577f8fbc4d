"""The keeper ends what a killed demo leaves, children of children included."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sync_pipelines.cli.process_groups import end, is_alive

PROJECT = Path(__file__).resolve().parents[2]
WITH_A_CHILD = "import subprocess; print('up', flush=True); subprocess.run(['sleep', '60'])"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@contextmanager
def _running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def group() -> Iterator[subprocess.Popen[bytes]]:
    """A process group of two that would last for a minute."""
    with _running(WITH_A_CHILD) as process:
        yield process


@pytest.fixture
def keeper() -> Iterator[subprocess.Popen[str]]:
    """A keeper that was told of nothing yet."""
    command = [sys.executable, "-m", "sync_pipelines.cli.keeper"]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, text=True) as process:
        yield process


def test_when_the_pipe_breaks_the_keeper_ends_the_group(
    group: subprocess.Popen[bytes], keeper: subprocess.Popen[str]
) -> None:
    assert keeper.stdin is not None
    keeper.stdin.write(f"group {group.pid}\n")
    keeper.stdin.close()
    assert keeper.wait(30) == 0
    assert not is_alive(group.pid)


def test_when_the_demo_ends_well_the_keeper_touches_nothing(
    group: subprocess.Popen[bytes], keeper: subprocess.Popen[str]
) -> None:
    assert keeper.stdin is not None
    keeper.stdin.write(f"group {group.pid}\ndone\n")
    keeper.stdin.close()
    assert keeper.wait(30) == 0
    assert is_alive(group.pid)
    end([group.pid], grace_seconds=10)
    assert not is_alive(group.pid)


def test_a_group_that_does_not_listen_is_killed_at_once_when_in_a_hurry() -> None:
    started = time.monotonic()
    with _running(DEAF) as group:
        end([group.pid], grace_seconds=60, hurry=lambda: True)
        assert not is_alive(group.pid)
    assert time.monotonic() - started < 20
