"""What becomes of one merged record, given what both systems show of it and what people decided."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row

from sync_pipelines.core.conflicts import Kind, Resolution
from sync_pipelines.core.records import Content
from sync_pipelines.core.trees import same
from sync_pipelines.core.two_way import Agreement, Choice, Merged, Side, View, merge_two_ways
from sync_pipelines.store import merged_records
from sync_pipelines.store.conflicts import Conflict, Found
from sync_pipelines.store.merged_records import Update

if TYPE_CHECKING:
    from sync_pipelines.engine.two_way import TwoWayPair


@dataclass(slots=True)
class Merges:
    """What a merge came to.

    Attributes:
        looked_at: merged records about which something had to be decided.
        new: records that were merged for the first time.
        changed: merged records whose content is another one now.
        taken: system -> fields whose change was taken over from it.
        overruled: fields in which one system's change gave way to the owner of the field.
        gone: records deleted in one system, which the other is to follow.
        forgotten: records that neither system has any more.
        conflicts: conflicts found, by kind.
        closed: conflicts that are over.
    """

    looked_at: int = 0
    new: int = 0
    changed: int = 0
    taken: Counter[Side] = field(default_factory=Counter)
    overruled: int = 0
    gone: int = 0
    forgotten: int = 0
    conflicts: Counter[Kind] = field(default_factory=Counter)
    closed: int = 0

    def add(self, other: Merges) -> None:
        """Count what a part of the merge came to."""
        for name in ("looked_at", "new", "changed", "overruled", "gone", "forgotten", "closed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.taken.update(other.taken)
        self.conflicts.update(other.conflicts)


@dataclass(slots=True)
class Batch:
    """What a transaction writes.

    Attributes:
        updates: merged records that are not as they were.
        dropped: keys of those that neither system has.
        found: conflicts that stand.
        over: why -> keys of records whose conflicts are over.
        apart: why -> keys of records that are not synced for now; what people settled about them stays.
        unlinked: systems and merged records that are to be created there anew.
    """

    updates: list[Update] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    over: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    apart: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unlinked: list[tuple[Side, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides about one record at a time.

    Attributes:
        sealed: systems that were read beyond doubt: what they do not show is not there.
        batch, merges: where the decisions go.
    """

    pair: TwoWayPair
    sealed: frozenset[Side]
    batch: Batch
    merges: Merges

    def decide(self, row: Row[Any], settled: Sequence[Conflict]) -> None:
        """Decide about a row of ``merged_rows.sql``.

        Arguments:
            settled: what people decided about the record, and was not carried out yet.
        """
        if strange := row.left_invalid or row.right_invalid:
            self.batch.found.append(Found(row.key, row.natural_key, Kind.VALIDATION_ERROR, strange))
            self._keep(row, withheld=strange, gone=_still_gone(row))
            return
        if apart := row.left_withheld or row.right_withheld:
            self._keep(row, withheld=apart, gone=_still_gone(row))
            self.batch.apart[f"not synced: {apart}"].append(row.key)
            return
        known = [side for side in Side if _key(row, side) is not None]
        absent = [side for side in known if _fingerprint(row, side) is None]
        # What we created and no listing has shown yet nobody can have deleted.
        lost = [side for side in absent if _merged_fingerprint(row, side) is not None or row.gone == side]
        if absent == known:
            if self.sealed.issuperset(known):
                self.batch.dropped.append(row.key)
                self.batch.over["neither system has it any more"].append(row.key)
                self.merges.forgotten += 1
        elif not lost:
            self._merge(row, settled)
        elif self.sealed.issuperset(lost):
            self._follow(row, lost[0], settled)

    def _merge(self, row: Row[Any], settled: Sequence[Conflict], *, without: Side | None = None) -> None:
        views = {side: View({}) if side is without else _view(row, side) for side in Side}
        result = merge_two_ways(
            row.content or None,
            views[Side.LEFT],
            views[Side.RIGHT],
            self.pair.rules,
            alike=self.pair.alike,
            choices=_choices(settled),
            lenient={side: self.pair.lenient_in(side) for side in Side},
        )
        self.merges.changed += not same(result.content, row.content)
        self.merges.taken.update(result.taken.values())
        self.merges.overruled += len(result.overruled)
        natural_key = self.pair.natural_key(result.content) or row.natural_key
        if result.contests:
            self.batch.found.append(self._mismatch(row.key, natural_key, result))
        else:
            self.batch.over["both systems agree"].append(row.key)
        self._keep(
            row,
            natural_key=natural_key,
            content=result.content,
            left_agreed=result.left,
            right_agreed=result.right,
            contested=sorted(result.contests),
            **({f"{without}_key": None} if without else {}),
        )

    def _follow(self, row: Row[Any], lost: Side, settled: Sequence[Conflict]) -> None:
        """Let a record go that one system deleted, unless the other one changed it since."""
        view = _view(row, lost.other)
        shown = _fingerprint(row, lost.other)
        choice = next(
            (
                one.resolution
                for one in settled
                if one.kind is Kind.MANUAL_REVIEW and one.data.get("seen") == _hex(shown)
            ),
            None,
        )
        if choice is (Resolution.REJECT if lost is Side.LEFT else Resolution.ACCEPT):
            # As if it had never been there: it is created anew.
            self._merge(row, (), without=lost)
            self.batch.unlinked.append((lost, row.key))
            return
        edited = self._edited(row, lost, view)
        if edited and choice is None:
            reason = (
                f"deleted in {self.pair.peer(lost)}, but {', '.join(edited)} changed in "
                f"{self.pair.peer(lost.other)} since both agreed"
            )
            self.batch.found.append(Found(row.key, row.natural_key, Kind.MANUAL_REVIEW, reason, seen=_hex(shown)))
            self._keep(row, withheld=reason)
            return
        self.merges.gone += row.gone != lost
        heard = {name: Agreement(row.content[name], value) for name, value in view.now.items() if name in row.content}
        agreed = {f"{lost.other}_agreed": {**view.agreed, **heard}} if edited else {}
        self._keep(row, gone=lost, **agreed)
        self.batch.over[f"deleted in {self.pair.peer(lost)}"].append(row.key)

    def _edited(self, row: Row[Any], lost: Side, view: View) -> list[str]:
        """Return what the system that still has a record changed since both agreed."""
        following = row.gone == lost
        if following and (not self.pair.follows_in(lost.other) or self.pair.shows_retired(lost.other, view.now)):
            # It shows our own retirement, or follows nothing anyway.
            return []
        return sorted(name for name in view.now if view.speaks(name))

    def _mismatch(self, key: str, natural_key: str, result: Merged) -> Found:
        names = ", ".join(sorted(result.contests))
        reason = f"{names} changed in {self.pair.peers[0]} and in {self.pair.peers[1]}, and differently"
        return Found(key, natural_key, Kind.DATA_MISMATCH, reason, result.contests)

    def _keep(self, row: Row[Any], **changes: Any) -> None:
        """Store a record as it was found but for some changes, with what both systems show noted as looked at."""
        found: dict[str, Any] = {
            "key": row.key,
            "natural_key": row.natural_key,
            "left_key": row.left_key,
            "right_key": row.right_key,
            "content": row.content,
            "left_agreed": row.left_agreed,
            "right_agreed": row.right_agreed,
            # What a system lost it did show: without this it would count as never seen there.
            "left_fingerprint": row.left_fingerprint or row.left_merged,
            "right_fingerprint": row.right_fingerprint or row.right_merged,
            "contested": row.contested,
            "gone": None,
            "withheld": None,
        }
        after = found | changes
        if not _as_found(row, after):
            self.batch.updates.append(Update(**after))


def _as_found(row: Row[Any], after: Mapping[str, Any]) -> bool:
    return (
        after["left_fingerprint"] == row.left_merged
        and after["right_fingerprint"] == row.right_merged
        and all(after[name] == getattr(row, name) for name in ("natural_key", "left_key", "right_key", "gone"))
        and after["withheld"] == row.withheld
        and list(after["contested"]) == list(row.contested)
        and all(same(after[name], getattr(row, name)) for name in ("content", "left_agreed", "right_agreed"))
    )


def _view(row: Row[Any], side: Side) -> View:
    """Return what a system says, with what its last reconcile settled counted as agreed on."""
    now: Content = getattr(row, f"{side}_content") or {}
    agreed: dict[str, Agreement] = merged_records.agreements(getattr(row, f"{side}_agreed"))
    told: Content = getattr(row, f"{side}_told") or {}
    shown: Content = getattr(row, f"{side}_shown") or {}
    for name, value in told.items():
        if name in shown and name in row.content and same(row.content[name], value):
            agreed[name] = Agreement(value, shown[name])
    if getattr(row, f"{side}_retired"):
        # What we made of it when we retired it is no news, should the record come back across.
        _hear(agreed, row.content, {name: value for name, value in shown.items() if name not in told})
    elif getattr(row, f"{side}_begun"):
        # Created, and not written in full: what it shows of the rest are defaults, and nobody's word.
        _hear(agreed, row.content, {n: value for n, value in now.items() if n not in told and n not in agreed})
    return View(now, agreed)


def _hear(agreed: dict[str, Agreement], merged: Content, shown: Content) -> None:
    agreed.update({name: Agreement(merged[name], value) for name, value in shown.items() if name in merged})


def _choices(settled: Sequence[Conflict]) -> dict[str, Choice]:
    return {
        name: Choice((conflict.resolved_data or {})[name], contest.left, contest.right)
        for conflict in settled
        for name, contest in conflict.fields.items()
    }


def _still_gone(row: Row[Any]) -> Side | None:
    return Side(row.gone) if row.gone is not None and _fingerprint(row, Side(row.gone)) is None else None


def _hex(digest: bytes | None) -> str:
    return "" if digest is None else bytes(digest).hex()


def _key(row: Row[Any], side: Side) -> str | None:
    found: str | None = getattr(row, f"{side}_key")
    return found


def _fingerprint(row: Row[Any], side: Side) -> bytes | None:
    found: bytes | None = getattr(row, f"{side}_fingerprint")
    return found


def _merged_fingerprint(row: Row[Any], side: Side) -> bytes | None:
    found: bytes | None = getattr(row, f"{side}_merged")
    return found
