"""Takes the README's pictures from a running UI with Debian's chromium, headless.

Run as ``.venv/bin/python docs/pictures.py http://127.0.0.1:3000`` while ``make demo`` is up.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
PICTURES = {
    "asset-graph.png": ("/locations/sync_pipelines/asset-groups/offerings/lineage", "1700,640"),
    "plan-preview.png": ("/assets/offerings/plan?view=events", "1500,900"),
}
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=20000",
)


def browser() -> str | None:
    """Return the browser's path, ``None`` when it is not installed."""
    return shutil.which("chromium")


def main(url: str) -> int:
    """Take all pictures."""
    chromium = browser()
    if chromium is None:
        print("chromium is not installed; on Debian: apt-get install chromium")
        return 1
    for name, (path, size) in PICTURES.items():
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run(
                [
                    chromium,
                    *FLAGS,
                    f"--user-data-dir={profile}",
                    f"--window-size={size}",
                    f"--screenshot={IMAGES / name}",
                    url + path,
                ],
                check=True,
                timeout=120,
                capture_output=True,
            )
        print(IMAGES / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"))
