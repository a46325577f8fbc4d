"""Two systems in memory that both may be edited, and the engine between them."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from sync_pipelines.core.conflicts import Resolution
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.two_way import Rule, Side
from sync_pipelines.engine.two_way import Synchronized, TwoWayPair, synchronize
from sync_pipelines.store import conflicts
from sync_pipelines.store.conflicts import Conflict
from sync_pipelines_tests.engine.worlds import MemoryTarget, is_archived

ORG = "org-1"


class NamedTarget(MemoryTarget):
    """A system in which the natural key is a field like any other."""

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Write the named fields; a record goes by its new name at once."""
        try:
            await super().write(current, content, fields)
        finally:
            if row := self.rows.get(current.key):
                self.replace(current.key, natural_key=str(row.content.get("name") or ""))


def _target(identity: str, prefix: str) -> NamedTarget:
    target = NamedTarget(identity)
    target._numbers = itertools.count({"w": 100, "o": 200}[prefix])
    return target


@dataclass
class TwoWayWorld:
    """A shop on the left, an ERP on the right. Records are known by the field ``name``."""

    engine: Engine
    shop: MemoryTarget = field(default_factory=lambda: _target("the shop", "w"))
    erp: MemoryTarget = field(default_factory=lambda: _target("the ERP", "o"))
    rules: Mapping[str, Rule] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("two-way worlds"))
    runs: Iterator[int] = field(default_factory=itertools.count)
    scope: str = "one.things"

    @property
    def pair(self) -> TwoWayPair:
        """The description the engine gets."""
        policies = {side: {"retired": is_archived, "quiet_seconds": 0.0} for side in Side}
        options = {"policies": policies, **self.options}
        return TwoWayPair(
            name="twoways",
            scope=self.scope,
            entity="things",
            org=ORG,
            left=self.shop,
            right=self.erp,
            peers=("shop", "erp"),
            rules=self.rules,
            natural_key=lambda content: str(content.get("name") or ""),
            **options,
        )

    def side(self, side: Side) -> MemoryTarget:
        """One of the systems."""
        return self.shop if side is Side.LEFT else self.erp

    def put(self, side: Side, key: str, name: str, **content: Any) -> None:
        """Add or change a record as staff would."""
        self.side(side).put(key, natural_key=name, name=name, **({"state": "active"} | content))

    def both(self, name: str, **content: Any) -> None:
        """Put the same record on both sides."""
        self.put(Side.LEFT, f"w-{name}", name, **content)
        self.put(Side.RIGHT, f"o-{name}", name, **content)

    def run(self, **options: Any) -> Synchronized:
        """Do one run and return what it says."""
        return asyncio.run(
            synchronize(self.engine, self.pair, run_id=f"run-{next(self.runs)}", log=self.log, **options)
        )

    def settle_down(self) -> Synchronized:
        """Run twice, and show that a third run writes nothing."""
        self.run()
        self.run()
        before = self.writes
        last = self.run()
        assert self.writes == before, "the third run writes"
        return last

    @property
    def writes(self) -> int:
        """Requests to write that were sent to either system."""
        return self.shop.writes + self.erp.writes

    def shown(self, side: Side) -> dict[str, dict[str, Any]]:
        """What a system shows, by name."""
        return {row.natural_key: dict(row.content) for row in self.side(side).rows.values()}

    def agree(self) -> bool:
        """Say whether both systems show the same."""
        return self.shown(Side.LEFT) == self.shown(Side.RIGHT)

    def conflicts(self, org: str = ORG) -> list[Conflict]:
        """The open conflicts of an organization."""
        with self.engine.begin() as connection:
            return conflicts.standing(connection, org)

    def settle(self, conflict: Conflict, resolution: Resolution, custom: Any = None, *, org: str = ORG) -> Conflict:
        """Settle a conflict as a person would."""
        with self.engine.begin() as connection:
            return conflicts.settle(connection, org, conflict.id, resolution, "ada", custom)

    def sql(self, statement: str, **values: Any) -> Any:
        """Run a statement; return its rows, or how many it touched."""
        with self.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return result.all() if result.returns_rows else result.rowcount
