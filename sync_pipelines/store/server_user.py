"""Who runs the embedded server. PostgreSQL refuses root, so root hands the work to an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sync_pipelines.core.errors import ConfigurationError

_CAPABILITY = "+dac_override"


@dataclass(frozen=True)
class ServerUser:
    """Runs programs as the user who owns the data.

    Attributes:
        uid: numeric user id of the server processes.
        gid: their group id.
        switch: whether this process is another user and must switch.
    """

    uid: int
    gid: int
    switch: bool

    def make_data_folder(self, folder: Path) -> None:
        """Make ``folder`` with mode 0700 for the server's user; an existing one must be that user's.

        Raises:
            ConfigurationError: it is a link, or belongs to somebody else.
        """
        self._make(folder, self.uid)

    def make_socket_folder(self, folder: Path) -> None:
        """Make the folder of the socket, mode 0700. Whoever may enter it is trusted by the server.

        It stays root's where the server can reach it all the same: another process of ``nobody`` or ``postgres`` must
        not get at a server that passes closed folders.

        Raises:
            ConfigurationError: it is a link, or belongs to somebody else.
        """
        self._make(folder, 0 if self.switch and _prefix(self.uid, self.gid) else self.uid)

    def _make(self, folder: Path, owner: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.is_symlink():
            raise ConfigurationError(f"{folder} is a symbolic link: remove it, or set SYNC_HOME to another folder.")
        if self.switch and folder.stat().st_uid == 0:
            os.chown(folder, owner, self.gid)
        found = folder.stat().st_uid
        if found != owner:
            raise ConfigurationError(
                f"{folder} belongs to user {found}, but the database needs it as user {owner}. "
                "Run as its owner, remove the folder, or set SYNC_HOME to another folder."
            )
        folder.chmod(0o700)

    def run(self, command: list[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run ``command`` in its own session, so that a Ctrl-C in the terminal does not reach it.

        Returns the finished process with its output; the return code is the caller's to judge.
        """
        prefix = _prefix(self.uid, self.gid) if self.switch else ()
        plain_switch = self.switch and not prefix
        return subprocess.run(
            [*prefix, *command],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            user=self.uid if plain_switch else None,
            group=self.gid if plain_switch else None,
            extra_groups=[] if plain_switch else None,
        )

    def require_access(self, program: Path, folder: Path) -> None:
        """Make sure the server's user reaches its program and its data.

        Raises:
            ConfigurationError: a folder above one of them is closed to that user and the kernel grants no way around.
        """
        if not self.switch:
            return
        for test, path in (("-x", program), ("-w", folder)):
            try:
                reached = self.run(["test", test, str(path)], cwd=Path("/")).returncode == 0
            except OSError:
                reached = False
            if not reached:
                raise ConfigurationError(
                    f"PostgreSQL does not run as root, and user {self.uid} cannot reach {path}. "
                    "Run as an ordinary user, set SYNC_HOME to a folder that is open to others, "
                    "or name a server in SYNC_DATABASE_URL."
                )


def server_user(folder: Path) -> ServerUser:
    """Who runs the database in ``folder``: ourselves; for root the data's owner, else ``postgres`` or ``nobody``."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid(), switch=False)
    for place in (folder, folder.parent):
        if place.exists() and place.stat().st_uid != 0:
            return ServerUser(place.stat().st_uid, place.stat().st_gid, switch=True)
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(account.pw_uid, account.pw_gid, switch=True)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody. "
        "Run as an ordinary user, or name a server in SYNC_DATABASE_URL."
    )


@lru_cache(maxsize=8)
def _prefix(uid: int, gid: int) -> tuple[str, ...]:
    """Command words that switch the user yet keep the right to pass folders with mode 0700, such as ``/root``.

    The only capability kept is dac_override. ``no_setuid_fixup`` is needed because ``access(2)``, with which pg_ctl
    checks its own program, otherwise ignores the capability of a user other than root. Empty when the kernel or the
    container refuses; then a plain switch of the user has to do.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    prefix = (
        setpriv,
        f"--reuid={uid}",
        f"--regid={gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        f"--inh-caps={_CAPABILITY}",
        f"--ambient-caps={_CAPABILITY}",
        f"--bounding-set=-all,{_CAPABILITY}",
    )
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if tried.returncode == 0 else ()
