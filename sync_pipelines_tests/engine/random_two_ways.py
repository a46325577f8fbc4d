"""A random life of two systems that both are edited: one integer tells all of it.

Every edit writes a value that nobody wrote before, so that the end shows whose word it is. A record is known by its
field ``id``, which nobody edits.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.core.errors import FailureKind, SyncError
from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.core.two_way import Contest, Rule, Side
from sync_pipelines.store.conflicts import Conflict
from sync_pipelines_tests.engine.killed_runs import Killed, killed_after
from sync_pipelines_tests.engine.two_way_worlds import TwoWayWorld
from sync_pipelines_tests.engine.typed_values import TypedValues
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


@dataclass
class Life:
    """What people did to a record since both systems last agreed about everything.

    Attributes:
        fields: field -> what was typed into it.
        choices: field -> conflict that a person settled, and the value decided for.
        deleted: systems in which it was deleted.
        lenient: its end may be another one for a reason that is no fault: a person settled a conflict about it, or
            what was deleted was our own copy that no merge had seen.
    """

    fields: dict[str, TypedValues]
    choices: dict[str, tuple[str, str]] = field(default_factory=dict)
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
        self.lives: dict[str, Life] = {}
        self.values = 0
        self.story: list[str] = []
        self.wrongs: list[str] = []
        for number in range(self.dice.randint(3, 6)):
            where = self.dice.choice([Side.LEFT, Side.RIGHT, None])
            for side in Side if where is None else [where]:
                self._put(side, f"id{number}", f"n{number}", "0")

    def live(self) -> list[str]:
        """Live, come to rest, and return what is wrong."""
        self._agree()
        for _ in range(self.dice.randint(6, 14)):
            self._step()
        self._agree()
        return self.wrongs

    def _step(self) -> None:
        steps = [self._edit] * 6 + [self._run] * 4 + [self._fail] * 3 + [self._kill] * 2
        steps += [self._edit_both] * 2
        steps += [self._delete, self._create, self._rename, self._set_apart, self._gap, self._settle, self._agree]
        self.dice.choice(steps)()

    def _edit(self) -> None:
        if (row := self._pick()) is not None:
            side, key = row
            self._say(side, key, self.dice.choice(FIELDS[:-1]))

    def _edit_both(self) -> None:
        """Let people of both systems edit a field before either knows of the other."""
        if (row := self._pick()) is not None:
            side, key = row
            id_, name = self.world.side(side).rows[key].content["id"], self.dice.choice(FIELDS[:-1])
            self._say(side, key, name)
            for there in self.world.side(side.other).rows.values():
                if there.content.get("id") == id_ and not is_archived(there.content):
                    self._say(side.other, there.key, name)
                    break

    def _rename(self) -> None:
        if (row := self._pick()) is not None:
            self._say(*row, "name")

    def _say(self, side: Side, key: str, name: str) -> None:
        self.values += 1
        value = f" v{self.values} " if name == "note" else f"v{self.values}"
        target = self.world.side(side)
        content = target.rows[key].content
        life = self.lives[content["id"]]
        self._take_note_of_choices(life, name, is_edited=True)
        life.fields[name].say(side, value.strip(), _text(content, name), doubtful=self._is_in_doubt(side, key))
        target.put(key, natural_key=value if name == "name" else None, **{name: value})
        self._tell(f"{side} {key} {name}={value}")

    def _create(self) -> None:
        self.values += 1
        side = self.dice.choice(list(Side))
        self._put(side, f"new{self.values}", f"v{self.values}", f"v{self.values}")
        self._tell(f"{side} creates new{self.values}")

    def _put(self, side: Side, id_: str, name: str, value: str) -> None:
        fields = dict.fromkeys(FIELDS[:-1], value)
        self.world.put(side, f"{'w' if side is Side.LEFT else 'o'}-{id_}", name, id=id_, **fields)
        self.lives[id_] = _new_life({"name": name, **fields})

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
            if conflict.is_resolved or not conflict.can_be_settled:
                continue
            if conflict.scope == self.world.scope and self.dice.random() < 0.7:
                resolution = self.dice.choice([Resolution.ACCEPT, Resolution.REJECT])
                self.world.settle(conflict, resolution)
                for id_ in self._ids(conflict.record, conflict.item):
                    self._decide(id_, conflict, resolution)
                self._tell(f"{resolution} {conflict.kind} of {conflict.item}")

    def _decide(self, id_: str, conflict: Conflict, resolution: Resolution) -> None:
        """Note what a person decided. It does not count where somebody typed something since the conflict was found."""
        life = self.lives[id_]
        life.lenient |= conflict.kind is not Kind.DATA_MISMATCH
        rows = {side: self._by_id(side)[id_][0] for side in Side if id_ in self._by_id(side)}
        for name, contest in conflict.fields.items():
            value = contest.left if resolution is Resolution.ACCEPT else contest.right
            seen = {Side.LEFT: contest.left, Side.RIGHT: contest.right}
            if all(rows[side].get(name) in (seen[side], value) for side in rows):
                life.choices[name] = conflict.id, str(value).strip()

    def _take_note_of_choices(self, life: Life, name: str, *, is_edited: bool = False) -> None:
        """Let a decision count that was carried out; one that waits is void once somebody types something."""
        if (choice := life.choices.get(name)) is None:
            return
        waits = any(one.id == choice[0] for one in self.world.conflicts())
        if not waits:
            life.fields[name].decided(choice[1])
        if not waits or is_edited:
            del life.choices[name]

    def _is_in_doubt(self, side: Side, key: str) -> bool:
        """Say whether the engine has yet to learn whether its last write to a record arrived."""
        return bool(
            self.world.sql(
                "SELECT FROM sync.effect e JOIN sync.scope s ON s.id = e.scope_id AND s.name = :scope "
                "WHERE s.pair = :pair AND e.state IN ('intended', 'in_doubt') AND :key = e.right_key",
                scope=self.world.scope,
                pair=f"twoways_{self.world.pair.peer(side)}",
                key=key,
            )
        )

    def _agree(self) -> None:
        """Come to rest, and see that all is as it is to be; what was said until here is settled."""
        self._heal()
        self.wrongs += self._found_wrong() if self._rest() else ["it does not come to rest"]
        if not self._open() and not self.wrongs:
            rows = [row.content for side in Side for row in self.world.side(side).rows.values()]
            self.lives = {str(content["id"]): _new_life(content) for content in rows if "id" in content}
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
            is_agreed = self._is_agreed()
            self._run()
            if is_agreed and self.world.writes != before[0]:
                self.wrongs.append("both systems agreed, and a run wrote something")
            quiet = quiet + 1 if before == (self.world.writes, str([self.world.shown(side) for side in Side])) else 0
            if quiet == 2:
                return True
        return False

    def _is_agreed(self) -> bool:
        """Say whether both systems show the same of every record, and nothing waits for a person."""
        rows = {side: self._by_id(side) for side in Side}
        shown = {
            side: {id_: [{n: _text(c, n) for n in c} for c in cs] for id_, cs in rows[side].items()} for side in Side
        }
        return shown[Side.LEFT] == shown[Side.RIGHT] and not self._open()

    def _found_wrong(self) -> Iterator[str]:
        rows = {side: self._by_id(side) for side in Side}
        explained, contested, held = self._explained(), self._contested(), self._held()
        for side in Side:
            for id_, found in rows[side].items():
                if len(found) > 1:
                    yield f"{id_} is {len(found)} times in {side}"
        yield from (f"{one.id} is settled, and not carried out" for one in self._open() if one.is_resolved and not held)
        for id_ in sorted({*rows[Side.LEFT], *rows[Side.RIGHT]} - explained):
            here = {side: rows[side][id_][0] if id_ in rows[side] else None for side in Side}
            if not held:
                yield from self._wrong_about(id_, here, contested.get(id_, {}))

    def _wrong_about(self, id_: str, here: dict[Side, Any], contested: Mapping[str, Contest]) -> Iterator[str]:
        life = self.lives[id_]
        missing = [side for side in Side if here[side] is None]
        if missing:
            if not is_archived(here[missing[0].other]):
                yield f"{id_} is not in {missing[0]}, and in service across"
            return
        if life.deleted and not life.lenient and not all(is_archived(here[side]) for side in Side):
            yield f"{id_} was deleted in {sorted(life.deleted)} and is back"
        for name in (*FIELDS, "state"):
            left, right = (_text(here[side], name) for side in Side)
            if (contest := contested.get(name)) is not None:
                if (left, right) != (str(contest.left).strip(), str(contest.right).strip()):
                    yield f"{name} of {id_} is {left} and {right}, but the conflict says {contest}"
            elif left != right:
                yield f"{name} of {id_} is {left} on the left and {right} on the right"
            if name in life.fields and not life.lenient:
                yield from self._wrong_value(id_, life, name, left, contest)

    def _wrong_value(self, id_: str, life: Life, name: str, value: str, contest: Contest | None) -> Iterator[str]:
        """Compare a value that both systems show, or the conflict about it, with what people typed."""
        self._take_note_of_choices(life, name)
        rule, typed = RULES.get(name, Rule()), life.fields[name]
        if contest is not None and not typed.may_be_contested(rule):
            yield f"{name} of {id_} is contested, and is to be {typed.due(rule)}: {typed}"
        elif contest is None and value not in (due := typed.due(rule)):
            yield f"{name} of {id_} is {value}, and is to be {due or 'contested'}: {typed}"

    def _explained(self) -> set[str]:
        """Return the records of which a conflict says that a person has to look at them as a whole."""
        return {
            id_
            for conflict in self._open()
            if conflict.kind is not Kind.DATA_MISMATCH
            for id_ in self._ids(conflict.record, conflict.item)
        }

    def _contested(self) -> dict[str, dict[str, Contest]]:
        """Return the fields that people have to decide about, by record."""
        return {
            id_: conflict.fields
            for conflict in self._open()
            if conflict.kind is Kind.DATA_MISMATCH
            for id_ in self._ids(conflict.record, conflict.item)
        }

    def _open(self) -> list[Conflict]:
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


def _new_life(content: Mapping[str, Any]) -> Life:
    return Life({name: TypedValues(_text(content, name)) for name in FIELDS})


def _text(content: Mapping[str, Any], name: str) -> str:
    """Return what a system shows of a field. One of them cuts the blanks around a note."""
    return str(content.get(name)).strip()
