"""Records that were given up, as conflicts: a system refuses them, or failed as often as is allowed."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, text

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.core.errors import Cause, FailureKind
from sync_pipelines.core.two_way import Side
from sync_pipelines.engine.two_way import TwoWayPair
from sync_pipelines.store import conflicts, states
from sync_pipelines.store.conflicts import Found
from sync_pipelines.store.merged_records import Scopes
from sync_pipelines.store.states import DeadLetter

KINDS = (Kind.RETRY_EXHAUSTED, Kind.DUPLICATE_KEY, Kind.VALIDATION_ERROR)
"""A taken key shows here where only its system can tell: a trashed holder, a barcode, who came first in a race."""


def try_settled(store: Connection, pair: TwoWayPair, scopes: Scopes) -> int:
    """Give records another chance that a person decided about. Returns how many there were."""
    tried = 0
    for side, letters in _letters(store, pair).items():
        by_record = {_record(pair, side, letter.key): letter.key for letter in letters}
        for record, found in conflicts.settled(store, scopes.pair, list(by_record)).items():
            states.reprocess(store, scopes.of(side), [by_record[record]], found[0].resolved_by or "")
            conflicts.close(store, scopes.pair, [record], "tried again", kinds=KINDS)
            tried += 1
    return tried


def note_given_up(store: Connection, pair: TwoWayPair, scopes: Scopes) -> int:
    """Let every record that is given up stand as a conflict, and close those that are not any more.

    Returns how many stand.
    """
    found: list[Found] = []
    for side, letters in _letters(store, pair).items():
        names = _natural_keys(store, scopes, [letter.key for letter in letters])
        found += [
            Found(
                record=_record(pair, side, letter.key),
                item=names.get(letter.key, letter.key),
                kind=_kind(letter),
                reason=f"given up in {pair.peer(side)}: {letter.last_error}",
                given_up=True,
            )
            for letter in letters
        ]
    over = _open_records(store, pair, scopes) - {one.record for one in found}
    conflicts.close(store, scopes.pair, over, "it was written", kinds=KINDS)
    for kind in KINDS:
        others = [other for other in KINDS if other is not kind]
        conflicts.close(
            store, scopes.pair, [one.record for one in found if one.kind is kind], f"it is {kind} now", kinds=others
        )
    conflicts.note(store, scopes.pair, pair.org, pair.entity, found)
    return len(found)


def _letters(store: Connection, pair: TwoWayPair) -> Mapping[Side, list[DeadLetter]]:
    return {side: states.letters(store, f"{pair.name}_{pair.peer(side)}", scope=pair.scope) for side in Side}


def _record(pair: TwoWayPair, side: Side, key: str) -> str:
    # Apart from the merged record itself, whose conflicts are the merge's business.
    return f"{pair.peer(side)}:{key}"


def _kind(letter: DeadLetter) -> Kind:
    if letter.cause is Cause.DUPLICATE_KEY:
        return Kind.DUPLICATE_KEY
    return Kind.VALIDATION_ERROR if letter.failure_kind is FailureKind.PERMANENT else Kind.RETRY_EXHAUSTED


def _natural_keys(store: Connection, scopes: Scopes, keys: list[str]) -> dict[str, str]:
    rows = store.execute(
        text(
            "SELECT key, natural_key FROM sync.merged WHERE scope_id = :scope_id AND key = ANY (CAST(:keys AS text[]))"
        ),
        {"scope_id": scopes.pair.id, "keys": keys},
    )
    return {row.key: row.natural_key for row in rows}


def _open_records(store: Connection, pair: TwoWayPair, scopes: Scopes) -> set[str]:
    standing = conflicts.standing(store, pair.org, scope=scopes.pair)
    prefixes = tuple(f"{pair.peer(side)}:" for side in Side)
    return {one.record for one in standing if one.given_up and one.record.startswith(prefixes)}
