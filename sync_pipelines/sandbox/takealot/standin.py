"""A seller account to run tests and demos against."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.types import ASGIApp

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.exchange import Answer
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.request_log import RequestLog
from sync_pipelines.sandbox.rewriting import set_member
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.takealot.admin import administered
from sync_pipelines.sandbox.takealot.application import ROOT, takealot_application
from sync_pipelines.sandbox.takealot.seeds import bulk_world, demo_world
from sync_pipelines.sandbox.takealot.world import TakealotWorld


class TakealotStandIn:
    """A strict stand-in of the Marketplace API v1.

    Attributes:
        world: its state; tests read and change it directly.
        faults: switchable HTTP faults in front of it.
        app: the ASGI application with request log, faults and routes of administration.
    """

    def __init__(self, world: TakealotWorld | None = None) -> None:
        self.world = world or bulk_world(orders=0, offers=0)
        self.faults = FaultInjector(takealot_application(self.world), Envelope())
        self.app: ASGIApp = administered(RequestLog(self.faults, self.world.requests), self.world)

    @classmethod
    def demo(cls, clock: Clock | None = None) -> TakealotStandIn:
        """With the account of the demo, whose data is moved to the clock's time."""
        return cls(demo_world(clock))

    @contextlib.contextmanager
    def running(self, *, port: int = 0) -> Iterator[str]:
        """Serve on loopback; gives the base URL with its version."""
        with serve(self.app, port=port) as url:
            yield url + ROOT.rstrip("/")


class Envelope:
    """How rows travel: ``{"items": [...], "count": ...}``."""

    def rows(self, answer: Answer) -> list[Any] | None:
        """Return the items of a list."""
        document = json.loads(answer.body) if answer.status == 200 else {}
        rows: list[Any] | None = document.get("items")
        return rows

    def total(self, answer: Answer) -> int | None:
        """Return the count, which only a first page has."""
        count: int | None = json.loads(answer.body).get("count")
        return count

    def rebuilt(self, answer: Answer, rows: Sequence[Any], total: int | None) -> Answer:
        """Return the answer with other items and another count."""
        document = json.loads(answer.body) | {"items": list(rows)}
        if total is not None:
            document["count"] = total
        return answer.with_body(json.dumps(document).encode())

    def with_field(self, row: Any, name: str, value: Any) -> Any:
        """Return the item with a member set or left out."""
        return set_member(row, name, value)
