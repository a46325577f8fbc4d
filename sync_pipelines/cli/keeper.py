"""``python -m sync_pipelines.cli.keeper``: ends what the demo started when the demo itself was killed.

The demo writes what it starts into the keeper's stdin, a line each: ``group PID`` or ``postgres FOLDER``. It ends with
``done``. When the pipe closes without that, the demo was killed, and the keeper ends everything in its place.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from sync_pipelines.cli.process_groups import end

GRACE_SECONDS = 10.0


def main() -> None:
    """Watch until the pipe closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: list[int] = []
    folders: list[Path] = []
    for line in sys.stdin:
        match line.rstrip("\n").partition(" "):
            case ("group", _, pid):
                groups.append(int(pid))
            case ("postgres", _, folder):
                folders.append(Path(folder))
            case ("done", _, _):
                return
    end(groups, grace_seconds=GRACE_SECONDS)
    for folder in folders:
        from sync_pipelines.store.embedded import stop

        stop(folder)


if __name__ == "__main__":
    main()
