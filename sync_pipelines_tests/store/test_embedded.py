"""The embedded server: made, shared, recovered, stopped, and refused with a reason."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.store.embedded import EmbeddedServer, ensure_running, status, stop
from sync_pipelines.store.postgres_binaries import find_binaries

_START = """
import sys
from pathlib import Path
from sync_pipelines.store.embedded import ensure_running
server = ensure_running(Path(sys.argv[1]), durable=False)
server.ensure_database("shared")
with server.connect("shared") as connection:
    print(connection.execute("SELECT pg_postmaster_start_time()").fetchone()[0])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "postgres"
    yield folder
    stop(folder)


def _postmaster(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


def _ask(server: EmbeddedServer, question: str, database: str = "postgres") -> object:
    with server.connect(database) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]


def test_a_new_server_speaks_utf8_and_utc_and_listens_on_its_socket_only(postgres_server: EmbeddedServer) -> None:
    answers = {
        name: _ask(postgres_server, f"SELECT current_setting('{name}')")
        for name in ("server_encoding", "timezone", "listen_addresses")
    }
    assert answers == {"server_encoding": "UTF8", "timezone": "UTC", "listen_addresses": ""}


def test_the_socket_is_closed_to_other_users(postgres_server: EmbeddedServer) -> None:
    assert stat.S_IMODE(postgres_server.socket_dir.stat().st_mode) == 0o700


def test_asking_again_finds_the_running_server(postgres_server: EmbeddedServer) -> None:
    before = _postmaster(postgres_server.folder)
    assert ensure_running(postgres_server.folder) == postgres_server
    assert _postmaster(postgres_server.folder) == before


def test_ctrl_c_in_our_terminal_does_not_reach_the_server(postgres_server: EmbeddedServer) -> None:
    assert os.getsid(_postmaster(postgres_server.folder)) != os.getsid(0)


def test_several_processes_that_start_it_at_once_share_one_server(folder: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", _START, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    started = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(started) == 1


def test_after_sigkill_of_the_server_the_next_start_recovers_the_data(folder: Path) -> None:
    server = ensure_running(folder)
    with server.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(_postmaster(folder), signal.SIGKILL)

    assert _ask(ensure_running(folder), "SELECT answer FROM kept") == 42


def test_a_process_number_left_by_a_reboot_is_not_taken_for_the_server(folder: Path) -> None:
    ensure_running(folder, durable=False)
    left = (folder / "data" / "postmaster.pid").read_text().splitlines()
    stop(folder)
    (folder / "data" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *left[1:]]) + "\n")

    assert status(folder) is None
    assert _ask(ensure_running(folder, durable=False), "SELECT 1") == 1


def test_an_interrupted_first_start_is_begun_anew(folder: Path) -> None:
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("15\n")
    assert _ask(ensure_running(folder, durable=False), "SELECT 1") == 1


@pytest.mark.parametrize("name", ["x" * 120, 'it\'s a "$HOME", with ümlaut'], ids=["too long for a socket", "odd"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    server = ensure_running(tmp_path / name / "postgres", durable=False)
    assert _ask(server, "SELECT 1") == 1
    assert stop(server.folder)
    assert server.socket_dir.is_relative_to(server.folder) or not server.socket_dir.exists()


def test_the_server_that_came_with_pip_works_in_a_closed_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = importlib.util.find_spec("pgserver")
    if wheel is None or wheel.origin is None:
        pytest.skip("no pgserver wheel for this Python")
    monkeypatch.setenv("SYNC_POSTGRES_BIN", str(Path(wheel.origin).parent / "pginstall" / "bin"))
    folder.parent.chmod(0o700)
    assert str(_ask(ensure_running(folder, durable=False), "SELECT version()")).startswith("PostgreSQL 16")


def test_stop_says_whether_there_was_a_server(folder: Path) -> None:
    assert not stop(folder)
    ensure_running(folder, durable=False)
    assert stop(folder)
    assert status(folder) is None
    assert not stop(folder)


def test_data_of_a_version_that_is_not_installed_is_refused_with_the_versions(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 9, but .* Install PostgreSQL 9"):
        ensure_running(folder)


def _fake_binaries(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for program in ("initdb", "pg_ctl", "postgres"):
        (folder / program).write_text(f'#!/bin/sh\necho "{program} (PostgreSQL) {version}"\n')
        (folder / program).chmod(0o755)
    return folder


def test_a_server_on_the_path_comes_first(tmp_path: Path) -> None:
    fake = _fake_binaries(tmp_path / "bin", "17.2")
    found = find_binaries({"PATH": f"{fake}:/usr/bin:/bin"})
    assert (found.folder, found.major) == (fake, 17)


def test_too_old_a_server_on_the_path_is_passed_over(tmp_path: Path) -> None:
    fake = _fake_binaries(tmp_path / "bin", "13.9")
    assert find_binaries({"PATH": f"{fake}:/usr/bin:/bin"}).major >= 14


def test_the_version_of_the_data_outweighs_the_order(tmp_path: Path) -> None:
    other = find_binaries().major
    fake = _fake_binaries(tmp_path / "bin", "99.1")
    assert find_binaries({"PATH": f"{fake}:/usr/bin:/bin"}, major=other).major == other


@pytest.mark.parametrize(
    ("version", "said"),
    [(None, "no initdb, pg_ctl and postgres"), ("12.1", "No PostgreSQL 14 or newer on this machine .found: 12 in")],
    ids=["nothing there", "too old"],
)
def test_a_wrong_postgres_folder_is_named(tmp_path: Path, version: str | None, said: str) -> None:
    named = tmp_path / "named"
    if version:
        _fake_binaries(named, version)
    with pytest.raises(ConfigurationError, match=said) as refused:
        find_binaries({"SYNC_POSTGRES_BIN": str(named)})
    assert "SYNC_POSTGRES_BIN" in str(refused.value)
