"""A random life of two systems that both are edited: one integer tells all of it.

Every edit writes a value that nobody wrote before, so that the end shows whose word it is. A record is known by its
field ``id``, which nobody edits.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, event

from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.core.errors import FailureKind, SyncError
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.two_way import Rule, Side
from sync_pipelines_tests.engine.two_way_worlds import TwoWayWorld
from sync_pipelines_tests.engine.worlds import Fault, breaker_open, is_archived, lost_reply, refused, rolled_back

FIELDS = ("price", "color", "stock", "note", "name")
RULES = {"price": Rule(Side.LEFT), "color": Rule(Side.RIGHT), "stock": Rule(Side.LEFT, one_way=True)}
FAULTS: tuple[Fault, ...] = (
    lost_reply,
    rolled_back,
    breaker_open,
    refused(FailureKind.TRANSIENT),
    refused(FailureKind.PERMANENT),
)
MOST_RUNS = 14
"""Until everything has come to rest, once nothing fails any more."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@dataclass
class Life:
    """What people did to a record since both systems last agreed about everything.

    Attributes:
        said: (field, system) -> the last value that was typed there.
        deleted: systems in which it was deleted.
        lenient: its end may be another one for a reason that is no fault: a person settled a conflict about it, or
            what was deleted was our own copy that no merge had seen.
    """

    said: dict[tuple[str, Side], str] = field(default_factory=dict)
    deleted: set[Side] = field(default_factory=set)
    lenient: bool = False


class RandomLife:
    """A world, and what happened to it."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.dice = random.Random(seed)
        self.world = TwoWayWorld(engine, rules=RULES, scope=f"seed{seed}.things")
        guard = GuardLimits(enabled=self.dice.random() < 0.2, ignore_up_to=1)
        policies = {"retired": is_archived, "quiet_seconds": 0.0, "guard": guard, "lenient_fields": frozenset({"note"})}
        self.world.options["policies"] = dict.fromkeys(Side, policies)
        self.world.erp.cleaned.add("note")
        self.lives: dict[str, Life] = defaultdict(Life)
        self.values = 0
        self.story: list[str] = []
        for number in range(self.dice.randint(3, 6)):
            where = self.dice.choice([Side.LEFT, Side.RIGHT, None])
            for side in Side if where is None else [where]:
                self._put(side, f"id{number}", f"n{number}", "0")

    def live(self) -> list[str]:
        """Live, come to rest, and return what is wrong."""
        self._agree()
        for _ in range(self.dice.randint(6, 14)):
            self._step()
        self._heal()
        if not self._rest():
            return ["it does not come to rest"]
        return self._wrongs()

    def _step(self) -> None:
        steps = [self._edit] * 6 + [self._run] * 4 + [self._fail] * 3 + [self._kill] * 2
        steps += [self._delete, self._create, self._rename, self._set_apart, self._gap, self._settle, self._agree]
        self.dice.choice(steps)()

    def _edit(self) -> None:
        if (row := self._pick()) is not None:
            side, key = row
            self._say(side, key, self.dice.choice(FIELDS[:-1]))

    def _rename(self) -> None:
        if (row := self._pick()) is not None:
            self._say(*row, "name")

    def _say(self, side: Side, key: str, name: str) -> None:
        self.values += 1
        value = f" v{self.values} " if name == "note" else f"v{self.values}"
        target = self.world.side(side)
        target.put(key, natural_key=value if name == "name" else None, **{name: value})
        self.lives[target.rows[key].content["id"]].said[name, side] = value
        self._tell(f"{side} {key} {name}={value}")

    def _create(self) -> None:
        self.values += 1
        side = self.dice.choice(list(Side))
        self._put(side, f"new{self.values}", f"v{self.values}", f"v{self.values}")
        self.lives[f"new{self.values}"] = Life()
        self._tell(f"{side} creates new{self.values}")

    def _put(self, side: Side, id_: str, name: str, value: str) -> None:
        fields = dict.fromkeys(FIELDS[:-1], value)
        self.world.put(side, f"{'w' if side is Side.LEFT else 'o'}-{id_}", name, id=id_, **fields)

    def _delete(self) -> None:
        if (row := self._pick()) is not None:
            side, key = row
            life = self.lives[self.world.side(side).rows[key].content["id"]]
            seen = self.world.sql(
                f"SELECT FROM sync.merged m JOIN sync.scope s ON s.id = m.scope_id AND s.name = :scope "
                f"WHERE {side}_key = :key AND {side}_fingerprint IS NOT NULL",
                scope=self.world.scope,
                key=key,
            )
            life.deleted.add(side)
            life.lenient |= not seen
            self.world.side(side).remove(key)
            self._tell(f"{side} deletes {key}{'' if seen else ' (never merged)'}")

    def _set_apart(self) -> None:
        if (row := self._pick()) is not None:
            side, key = row
            self.world.side(side).replace(key, **{self.dice.choice(["withheld", "invalid"]): "for now"})
            self._tell(f"{side} {key} is set apart")

    def _gap(self) -> None:
        target = self.world.side(self.dice.choice(list(Side)))
        target.gaps = [] if target.gaps else ["a page is missing"]
        self._tell(f"{target.identity} has gaps: {target.gaps}")

    def _fail(self) -> None:
        if (row := self._pick()) is not None:
            side, key = row
            fault, operation = self.dice.choice(FAULTS), self.dice.choice(["create", "write", "write", "retire"])
            name = self.world.side(side).rows[key].natural_key
            self.world.side(side.other).script(operation, name, fault)
            self._tell(f"the next {operation} of {name} in {side.other} meets {getattr(fault, '__qualname__', fault)}")

    def _kill(self) -> None:
        after = self.dice.randint(1, 120)
        with killed_after(self.world.engine, after):
            try:
                self._run()
            except Killed:
                self._tell(f"killed at statement {after}")
        self.world.sql("UPDATE sync.lease SET expires_at = clock_timestamp()")

    def _settle(self) -> None:
        for conflict in self.world.conflicts():
            if conflict.scope == self.world.scope and not conflict.is_resolved and self.dice.random() < 0.7:
                resolution = self.dice.choice([Resolution.ACCEPT, Resolution.REJECT])
                self.world.settle(conflict, resolution)
                for id_ in self._ids(conflict.record, conflict.item):
                    self.lives[id_].lenient |= conflict.kind is not Kind.DATA_MISMATCH
                self._tell(f"{resolution} {conflict.kind} of {conflict.item}")

    def _agree(self) -> None:
        """Come to rest; what was said until here is settled."""
        self._heal()
        if self._rest() and not self._open() and not self._wrongs():
            self.lives.clear()
            self._tell("all agree")

    def _run(self) -> None:
        writes = self.world.writes
        try:
            self.world.run()
            self._tell(f"run: {self.world.writes - writes} writes")
        except SyncError as error:
            self._tell(f"run: {error}")

    def _heal(self) -> None:
        for side in Side:
            target = self.world.side(side)
            target.gaps = []
            target.scripts.clear()
            for key in target.rows:
                target.replace(key, withheld=None, invalid=None)
        self._tell("healed")

    def _rest(self) -> bool:
        quiet = 0
        for _ in range(MOST_RUNS):
            self.world.sql("UPDATE sync.record_state SET next_retry_at = now() WHERE state = 'retrying'")
            self.world.sql("UPDATE sync.effect SET quiet_until = now() WHERE quiet_until IS NOT NULL")
            self.world.sql("UPDATE sync.record_state SET state = 'pending', failures = 0 WHERE state = 'dead_lettered'")
            self.world.sql("UPDATE sync.dead_letter SET state = 'reprocessed' WHERE state = 'open'")
            before = self.world.writes, str([self.world.shown(side) for side in Side])
            self._run()
            quiet = quiet + 1 if before == (self.world.writes, str([self.world.shown(side) for side in Side])) else 0
            if quiet == 2:
                return True
        return False

    def _wrongs(self) -> list[str]:
        return list(self._found_wrong())

    def _found_wrong(self) -> Iterator[str]:
        rows = {side: self._by_id(side) for side in Side}
        explained, held = self._explained(), self._held()
        for side in Side:
            for id_, found in rows[side].items():
                if len(found) > 1:
                    yield f"{id_} is {len(found)} times in {side}"
        for id_ in sorted({*rows[Side.LEFT], *rows[Side.RIGHT]} - explained):
            here = {side: rows[side][id_][0] if id_ in rows[side] else None for side in Side}
            yield from self._wrong_about(id_, here, held)

    def _wrong_about(self, id_: str, here: dict[Side, Any], held: bool) -> Iterator[str]:
        life = self.lives[id_]
        missing = [side for side in Side if here[side] is None]
        if missing:
            other = here[missing[0].other]
            if not is_archived(other) and not held:
                yield f"{id_} is not in {missing[0]}, and in service across"
            return
        if life.deleted and not life.lenient and not held and not all(is_archived(here[side]) for side in Side):
            yield f"{id_} was deleted in {sorted(life.deleted)} and is back"
        for name in (*FIELDS, "state"):
            left, right = (str(here[side].get(name)).strip() for side in Side)
            if left != right and not held:
                yield f"{name} of {id_} is {left} on the left and {right} on the right"
            said = {side: life.said[name, side].strip() for side in Side if (name, side) in life.said}
            if name == "stock":
                said.pop(Side.RIGHT, None)
            if said and not life.lenient and not held and left not in said.values():
                yield f"{name} of {id_} is {left}, but people said {said}"

    def _explained(self) -> set[str]:
        return {id_ for conflict in self._open() for id_ in self._ids(conflict.record, conflict.item)}

    def _open(self) -> list[Any]:
        return [one for one in self.world.conflicts() if one.scope == self.world.scope]

    def _ids(self, record: str, item: str) -> set[str]:
        keys = self.world.sql(
            "SELECT left_key, right_key FROM sync.merged WHERE key = :record OR natural_key = :item "
            "AND scope_id = (SELECT id FROM sync.scope WHERE pair = 'twoways' AND name = :scope)",
            record=record,
            item=item,
            scope=self.world.scope,
        )
        known = {key for row in keys for key in row}
        return {
            str(row.content.get("id"))
            for side in Side
            for row in self.world.side(side).rows.values()
            if row.key in known or row.natural_key == item
        }

    def _held(self) -> bool:
        return bool(
            self.world.sql(
                "SELECT FROM sync.plan p JOIN sync.scope s ON s.id = p.scope_id AND s.name = :scope "
                "WHERE p.state = 'held'",
                scope=self.world.scope,
            )
        )

    def _by_id(self, side: Side) -> dict[str, list[Any]]:
        found = defaultdict(list)
        for row in self.world.side(side).rows.values():
            found[str(row.content.get("id"))].append(row.content)
        return found

    def _pick(self) -> tuple[Side, str] | None:
        side = self.dice.choice(list(Side))
        rows = self.world.side(side).rows
        keys = sorted(key for key, row in rows.items() if "id" in row.content and not is_archived(row.content))
        return (side, self.dice.choice(keys)) if keys else None

    def _tell(self, line: str) -> None:
        self.story.append(line)


@contextmanager
def killed_after(engine: Engine, statements: int) -> Iterator[None]:
    """Let the process die before one of its next statements: from then on it says nothing more to the database."""
    left = statements

    def count(_connection: Connection, cursor: Any, *_: object) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            # SQLAlchemy leaves it to the garbage collector here, and the driver warns of that at any later time.
            cursor.close()
            raise Killed

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)
