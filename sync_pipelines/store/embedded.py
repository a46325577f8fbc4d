"""The embedded PostgreSQL server: made, started, found again and stopped in one folder.

Layout of the folder: ``data/`` (the cluster), ``run/`` (the socket), ``log``, ``lock``. The server listens on a unix
socket only, and trusts whoever may enter the socket's folder, which is closed to other users. It runs in a session of
its own: it outlives the process that started it, whether that ends by Ctrl-C or SIGKILL, until :func:`stop`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.store.postgres_binaries import find_binaries
from sync_pipelines.store.postmaster import PORT, answers, clear_remains, is_postmaster, read_postmaster_file
from sync_pipelines.store.server_user import ServerUser, server_user

SUPERUSER = "sync"
_START_SECONDS = 120
# A socket's path must fit 104 bytes on macOS and 108 on Linux, its final NUL included.
_LONGEST_SOCKET_PATH = 103

# Memory and write-ahead log for a million records at once: the indexes of both sides stay in memory, and a bulk load is
# not stopped by checkpoints, each of which makes the pages after it be logged whole. Both are only used when needed.
# Nobody's disk turns any more, so a page by index costs about what the next page costs.
_SETTINGS: dict[str, str | int | float] = {
    "listen_addresses": "",
    "port": PORT,
    "unix_socket_permissions": "0700",
    "cluster_name": "sync-pipelines",
    "max_connections": 200,
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "random_page_cost": 1.1,
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_NOT_DURABLE: dict[str, str | int | float] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class EmbeddedServer:
    """A running embedded server.

    Attributes:
        folder: what :func:`ensure_running` was given.
        socket_dir: folder of the unix socket.
        port: number in the socket's name; nothing listens on TCP.
    """

    folder: Path
    socket_dir: Path
    port: int = PORT

    def url(self, database: str, driver: str = "psycopg") -> str:
        """SQLAlchemy URL of ``database`` on this server, for ``psycopg`` (ours) or ``psycopg2`` (Dagster's)."""
        return URL.create(
            f"postgresql+{driver}",
            username=SUPERUSER,
            database=database,
            query={"host": str(self.socket_dir), "port": str(self.port)},
        ).render_as_string()

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """An autocommit connection for administration."""
        return psycopg.connect(
            host=str(self.socket_dir), port=self.port, user=SUPERUSER, dbname=database, autocommit=True
        )

    def ensure_database(self, name: str) -> None:
        """Create the database ``name`` unless it exists; safe when several processes ask at once."""
        with self.connect() as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                try:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    return


def ensure_running(folder: Path, *, durable: bool = True) -> EmbeddedServer:
    """The server of ``folder``: the running one, or one that is made and started now.

    Any number of processes may call this at once. A server that was killed, or did not survive a reboot, is recovered.

    Arguments:
        folder: where its data lives; made when it is missing.
        durable: ``False`` gives up safety against a power cut for speed; for tests. Counts when the server starts.

    Raises:
        ConfigurationError: no usable PostgreSQL, no right to use the folder, or the server does not start (the message
            ends with the last lines of its log).
    """
    folder = folder.absolute()
    running = status(folder)
    if running is not None:
        return running
    user = server_user(folder)
    user.make_data_folder(folder)
    with _lock(folder):
        running = status(folder)
        if running is not None:
            return running
        version_file = folder / "data" / "PG_VERSION"
        made_by = int(version_file.read_text()) if version_file.is_file() else None
        binaries = find_binaries(major=made_by)
        user.require_access(binaries.folder / "postgres", folder)
        if made_by is None:
            _initialise(binaries.folder, folder, user, durable)
        return _start(binaries.folder, folder, user, durable)


def status(folder: Path) -> EmbeddedServer | None:
    """The server of ``folder`` when it runs and accepts connections, else ``None``. Starts nothing."""
    folder = folder.absolute()
    postmaster = read_postmaster_file(folder)
    if postmaster is None or not is_postmaster(postmaster.pid, folder):
        return None
    if not postmaster.ready or not answers(postmaster.socket_dir):
        return None
    return EmbeddedServer(folder, postmaster.socket_dir)


def stop(folder: Path) -> bool:
    """Stop the server of ``folder``, ending its open connections.

    Returns whether one was running.

    Raises:
        ConfigurationError: it did not stop within the time.
    """
    folder = folder.absolute()
    if not (folder / "data" / "PG_VERSION").is_file():
        return False
    user = server_user(folder)
    with _lock(folder):
        postmaster = read_postmaster_file(folder)
        if postmaster is None or not is_postmaster(postmaster.pid, folder):
            return False
        binaries = find_binaries(major=int((folder / "data" / "PG_VERSION").read_text()))
        stopped = user.run(
            [str(binaries.folder / "pg_ctl"), "stop", "-D", "data", "-m", "fast", "-w", "-t", str(_START_SECONDS)],
            cwd=folder,
        )
        if stopped.returncode != 0:
            raise ConfigurationError(f"The embedded PostgreSQL in {folder} does not stop.\n{_log_end(folder)}")
        if not postmaster.socket_dir.is_relative_to(folder):
            with suppress(OSError):
                postmaster.socket_dir.rmdir()
        return True


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _initialise(binaries: Path, folder: Path, user: ServerUser, durable: bool) -> None:
    """Make the cluster next to its final place and move it there, so that an interrupted initdb leaves nothing half."""
    making = folder / "data.new"
    for locale in ("C.UTF-8", "C"):
        user.run(["rm", "-rf", "data.new"], cwd=folder)
        made = user.run(
            [
                str(binaries / "initdb"),
                *("-D", "data.new", "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", f"--locale={locale}"),
                *(() if durable else ("--no-sync",)),
            ],
            cwd=folder,
        )
        if made.returncode == 0:
            with (making / "postgresql.conf").open("a", encoding="utf-8") as configuration:
                configuration.write("\ninclude_if_exists = 'sync_pipelines.conf'\n")
            making.rename(folder / "data")
            return
    raise ConfigurationError(f"initdb of {binaries} failed in {folder}: {made.stderr.strip() or made.stdout.strip()}")


def _start(binaries: Path, folder: Path, user: ServerUser, durable: bool) -> EmbeddedServer:
    socket_dir = _socket_folder(folder, user)
    _write_settings(folder, socket_dir, durable, user)
    clear_remains(folder, socket_dir)
    # Relative names: pg_ctl hands them to a shell, which would expand a "$" in the project's path.
    command = [str(binaries / "pg_ctl"), "start", "-D", "data", "-l", "log", "-w", "-t", str(_START_SECONDS)]
    user.run(command, cwd=folder)
    running = status(folder)
    if running is not None:
        return running
    raise ConfigurationError(
        f"The embedded PostgreSQL in {folder} does not start. Its log ends:\n{_log_end(folder)}\n"
        "Mend the cause, or name another server in SYNC_DATABASE_URL."
    )


def _write_settings(folder: Path, socket_dir: Path, durable: bool, user: ServerUser) -> None:
    quoted_list = '"' + str(socket_dir).replace('"', '""') + '"'
    settings = _SETTINGS | {"unix_socket_directories": quoted_list} | ({} if durable else _NOT_DURABLE)
    escape = str.maketrans({"\\": "\\\\", "'": "''"})
    lines = [f"{name} = '{str(value).translate(escape)}'" for name, value in settings.items()]
    path = folder / "data" / "sync_pipelines.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if user.switch:
        os.chown(path, user.uid, user.gid)


def _socket_folder(folder: Path, user: ServerUser) -> Path:
    """``run/`` in the folder; a private folder under the temporary one when that path does not do for a socket."""
    digest = hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()
    short = f"sync-pipelines-{os.geteuid()}-{digest}"
    for candidate in (folder / "run", Path(tempfile.gettempdir()) / short, Path("/tmp") / short):
        fits = len(os.fsencode(candidate / f".s.PGSQL.{PORT}")) <= _LONGEST_SOCKET_PATH
        # A client reads a comma in a host as a list of hosts.
        if fits and "," not in str(candidate):
            user.make_socket_folder(candidate)
            return candidate
    raise ConfigurationError(f"No folder with a path short enough for a socket; set SYNC_HOME (now {folder.parent}).")


def _log_end(folder: Path) -> str:
    try:
        return "\n".join((folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
    except OSError:
        return "(no log)"
