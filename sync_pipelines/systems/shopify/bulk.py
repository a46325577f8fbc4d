"""Bulk operations: a whole list as a file, for first readings and long gaps. They cost nothing of the budget.

The file has one record a line, those of lists inside on lines of their own that name their parent; nothing is said of
the order. It is sorted on disk, so that the records can be had like pages: ascending by their time of change.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.shopify.listing import Node, Range
from sync_pipelines.systems.shopify.resources import Resource
from sync_pipelines.systems.shopify.session import PEER, ShopifySession
from sync_pipelines.systems.transport import Transport

START = """mutation SyncBulkStart($query: String!) {
  bulkOperationRunQuery(query: $query) { bulkOperation { id status } userErrors { field message } }
}"""
STATE = """query SyncBulkState($id: ID!) {
  node(id: $id) { ... on BulkOperation { id status errorCode objectCount url } }
}"""
PIECE = 8 * 1024 * 1024
"""Bytes of the file fetched at once: the file of a large shop is larger than what a transport takes in one answer."""
ROWS_AT_ONCE = 200
CANCEL = """mutation SyncBulkCancel($id: ID!) {
  bulkOperationCancel(id: $id) { bulkOperation { id status } userErrors { field message } }
}"""
_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
LONGEST = 3600.0
_OVER = frozenset({"COMPLETED", "FAILED", "CANCELED", "EXPIRED"})


class BulkReader:
    """Reads one list of a shop in bulk.

    Arguments:
        sleep: how to wait between two looks; given by tests.
        piece: bytes fetched at once.
    """

    def __init__(
        self,
        session: ShopifySession,
        resource: Resource,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        piece: int = PIECE,
    ) -> None:
        self._session = session
        self._resource = resource
        self._sleep = sleep
        self._piece = piece

    async def start(self, wanted: Range) -> str | None:
        """Start an operation and return its id; ``None`` when the shop does not take one now.

        A shop lets an app have few at a time. Whoever gets none reads page by page.
        """
        document = self._resource.bulk_query(wanted.search)
        answer = (await self._session.query(START, {"query": document})).get("bulkOperationRunQuery") or {}
        operation = answer.get("bulkOperation")
        return None if answer.get("userErrors") or not operation else str(operation["id"])

    async def finished(self, operation_id: str) -> Node | None:
        """Wait for an operation; ``None`` when it came to nothing, and pages have to do.

        One that takes too long is canceled: it would hold one of the few places of the app.
        """
        waited, looks = 0.0, 0
        while waited < LONGEST:
            state = (await self._session.query(STATE, {"id": operation_id})).get("node")
            if not isinstance(state, dict) or state.get("status") in _OVER:
                return state if state and state["status"] == "COMPLETED" else None
            pause = _PAUSES[min(looks, len(_PAUSES) - 1)]
            await self._sleep(pause)
            waited, looks = waited + pause, looks + 1
        await self.cancel(operation_id)
        return None

    async def cancel(self, operation_id: str) -> None:
        """End an operation that nobody waits for any more. Of one that is over nothing changes."""
        await self._session.query(CANCEL, {"id": operation_id})

    async def pages(self, finished: Node) -> AsyncIterator[list[Node]]:
        """Yield the records of a finished operation with their lists inside, ascending by their time of change.

        Raises:
            PeerError: the file is not whole, or not as described.
        """
        # A list without a record has no file.
        if finished.get("url") is None:
            return
        with (
            tempfile.TemporaryDirectory(prefix="shopify-bulk-") as folder,
            closing(_Sorted(Path(folder) / "lines", self._resource.inner)) as lines,
        ):
            async for text in self._lines(str(finished["url"])):
                await asyncio.to_thread(self._add, lines, text)
            expected = finished.get("objectCount")
            if expected is not None and int(expected) != lines.count:
                raise self._broken(f"it has {lines.count} records, and {expected} were announced")
            while page := await asyncio.to_thread(lines.next_page):
                yield page

    async def _lines(self, url: str) -> AsyncIterator[list[bytes]]:
        """Yield the lines of the file piece by piece. The file lies elsewhere: the token is not sent there."""
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        rest, begin = b"", 0
        async with Transport(PEER, base, redactor=self._session.transport.redactor) as storage:
            while True:
                span = {"Range": f"bytes={begin}-{begin + self._piece - 1}"}
                answer = await storage.request("GET", path, headers=span, operation="GET bulk file")
                if answer.status_code not in (200, 206):
                    raise storage.error(FailureKind.TRANSIENT, "the file of a bulk operation cannot be fetched")
                *whole, rest = (rest + answer.content).split(b"\n")
                yield whole
                begin += len(answer.content)
                if answer.status_code == 200 or _is_end(answer.headers.get("Content-Range", ""), begin):
                    break
                if not answer.content:
                    raise self._broken("a piece of it is empty")
        yield [rest] if rest else []

    def _add(self, lines: _Sorted, text: list[bytes]) -> None:
        try:
            lines.add([line for line in text if line.strip()])
        except (ValueError, KeyError, TypeError) as error:
            raise self._broken(f"a line cannot be read: {error}") from None

    def _broken(self, why: str) -> Exception:
        return self._session.transport.error(
            FailureKind.TRANSIENT, f"the file of a bulk operation for {self._resource.name} is not usable: {why}"
        )


def _is_end(content_range: str, position: int) -> bool:
    size = content_range.rpartition("/")[2]
    return size.isdecimal() and position >= int(size)


class _Sorted:
    """Lines of a file, found by parent and in the order of their time of change."""

    def __init__(self, path: Path, inner: str) -> None:
        self.count = 0
        self._inner = inner
        self._at = 0
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE line (place INTEGER PRIMARY KEY, parent TEXT, id TEXT, at TEXT, body BLOB)"
        )
        self._order: list[tuple[int, str]] | None = None

    def add(self, lines: list[bytes]) -> None:
        rows = []
        for line in lines:
            record = json.loads(line)
            self.count += 1
            rows.append((record.get("__parentId"), record["id"], record.get("updatedAt"), line))
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO line (parent, id, at, body) VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def next_page(self) -> list[Node]:
        if self._order is None:
            self._database.execute("CREATE INDEX line_parent ON line (parent, place)")
            self._order = self._database.execute(
                "SELECT place, id FROM line WHERE parent IS NULL ORDER BY at, place"
            ).fetchall()
        page = self._order[self._at : self._at + ROWS_AT_ONCE]
        self._at += len(page)
        return [self._whole(place, gid) for place, gid in page]

    def _whole(self, place: int, gid: str) -> Node:
        (body,) = self._database.execute("SELECT body FROM line WHERE place = ?", (place,)).fetchone()
        inside = self._database.execute("SELECT body FROM line WHERE parent = ? ORDER BY place", (gid,))
        return {**_record(body), self._inner: {"nodes": [_record(row[0]) for row in inside]}}

    def close(self) -> None:
        self._database.close()


def _record(body: bytes) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(body, parse_float=Decimal)
    record.pop("__parentId", None)
    return record
