"""Takes the README's pictures from a running UI with Debian's chromium, headless.

Run as ``.venv/bin/python docs/pictures.py http://127.0.0.1:3000`` (``make pictures``) while ``make demo`` is up. The
browser is driven over its debugging websocket, because a plan's preview opens on a click.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

IMAGES = Path(__file__).parent / "images"
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
    "--remote-debugging-port=0",
)
SECONDS_TO_DRAW = 8.0

Ask = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


@dataclass(frozen=True)
class Picture:
    """A page, the size of its picture, and the text of what is clicked first."""

    path: str
    width: int
    height: int
    click: str = ""


PICTURES = {
    "asset-graph.png": Picture("/locations/sync_pipelines/asset-groups/offerings/lineage", 1700, 760),
    "plan-preview.png": Picture(
        "/assets/offerings/plan?view=partitions&partition=nordlys", 1700, 900, "[Show Markdown]"
    ),
}


async def take(ask: Ask, url: str, name: str, picture: Picture) -> None:
    """Open a page, click, and keep what is drawn."""
    size = {"width": picture.width, "height": picture.height, "deviceScaleFactor": 1, "mobile": False}
    await ask("Emulation.setDeviceMetricsOverride", **size)
    await ask("Page.navigate", url=url + picture.path)
    await asyncio.sleep(SECONDS_TO_DRAW)
    if picture.click:
        script = f"[...document.querySelectorAll('*')].filter(e => e.textContent === {json.dumps(picture.click)})"
        await ask("Runtime.evaluate", expression=f"{script}.at(-1).click()")
        await asyncio.sleep(SECONDS_TO_DRAW / 4)
    shot = await ask("Page.captureScreenshot", format="png")
    (IMAGES / name).write_bytes(base64.b64decode(shot["data"]))
    print(IMAGES / name)


def _address(port_file: Path) -> list[str]:
    """Wait until the browser has written down where it listens: port and path."""
    while not port_file.exists():
        time.sleep(0.1)
    return port_file.read_text(encoding="utf-8").split()


async def take_all(chromium: str, url: str) -> None:
    """Start the browser, take every picture, end the browser."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = await asyncio.create_subprocess_exec(
            chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.DEVNULL
        )
        try:
            port, path = await asyncio.to_thread(_address, Path(profile) / "DevToolsActivePort")
            async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
                numbers = itertools.count(1)

                async def ask(method: str, session: str = "", **params: Any) -> dict[str, Any]:
                    number = next(numbers)
                    call = {"id": number, "method": method, "params": params}
                    await socket.send(json.dumps(call | ({"sessionId": session} if session else {})))
                    while (answer := json.loads(await socket.recv())).get("id") != number:
                        pass
                    return dict(answer["result"])

                target = await ask("Target.createTarget", url="about:blank")
                attached = await ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)

                async def ask_page(method: str, **params: Any) -> dict[str, Any]:
                    return await ask(method, attached["sessionId"], **params)

                for name, picture in PICTURES.items():
                    await take(ask_page, url, name, picture)
        finally:
            browser.terminate()
            await browser.wait()


def main(url: str) -> int:
    """Take all pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed; on Debian: apt-get install chromium")
        return 1
    asyncio.run(asyncio.wait_for(take_all(chromium, url), timeout=120))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"))
