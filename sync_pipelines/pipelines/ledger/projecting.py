"""Projections: tables derived from the raw entries, a range of days at a time.

Each derivation replaces the rows of its days in one transaction and makes the states of the touched keys anew from
all their events. So days can be derived in any order and as often as one likes: the tables come out the same.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby

from sqlalchemy import Connection, Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.ledger.reputation import replay
from sync_pipelines.pipelines.ledger.rows import BlockPlace, Rows, StoredEntry, labels_of, rows_of_block
from sync_pipelines.pipelines.ledger.signatures import verify
from sync_pipelines.store.ledger import days, derivation, positions, reputations
from sync_pipelines.store.ledger.days import HeldDay
from sync_pipelines.store.ledger.derivation import EntryRow, Range
from sync_pipelines.store.ledger.tables import PROJECTIONS
from sync_pipelines.store.outage import outages_in_words

ALL = tuple(PROJECTIONS)
"""Names of all projections."""
CHUNK_ENTRIES = 200_000
"""Days are derived together, in one transaction, until they have so many entries: a stop waits for it at most."""
_ROWS = 20_000
"""Rows held in memory until they are written."""


@dataclass
class Derived:
    """What a derivation did.

    Attributes:
        blocks: blocks it was made from.
        entries: entries that were decoded.
        rows: rows written per table of events.
        created: by how many rows each table of states has grown; negative when it has shrunk.
        errors: errors noted per kind.
    """

    blocks: int = 0
    entries: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    created: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: Derived) -> None:
        """Take in what another derivation did."""
        self.blocks += other.blocks
        self.entries += other.entries
        for mine, theirs in ((self.rows, other.rows), (self.created, other.created), (self.errors, other.errors)):
            mine.update(theirs)


def derive(engine: Engine, name: str, first_day: date, last_day: date, projections: Collection[str] = ALL) -> Derived:
    """Derive the rows of some days (UTC, of block time, both included) from the entries stored by now.

    Arguments:
        name: the connection's name.
        projections: which ones, names of :data:`ALL`.

    Raises:
        ConfigurationError: there is no such projection, or nothing was ever imported for the connection.
        DatabaseUnavailable: the database cannot be used; nothing was changed.
    """
    _known(projections)
    with outages_in_words(engine), engine.begin() as connection:
        canister = _canister(connection, name)
        chosen = derivation.choose_days(connection, canister, first_day, last_day)
        if chosen is None:
            return Derived()
        return replace(connection, chosen, projections)


def derive_stale(
    engine: Engine, name: str, log: logging.Logger, projections: Collection[str] = ALL
) -> tuple[list[date], Derived]:
    """Derive every day that has blocks which were not derived yet; neighboring days together, up to a limit.

    Returns those days, and what was done.

    Raises:
        ConfigurationError, DatabaseUnavailable: as :func:`derive`.
    """
    _known(projections)
    with outages_in_words(engine), engine.begin() as connection:
        canister = _canister(connection, name)
        stale = derivation.stale_days(connection, canister, projections)
        held = days.held(connection, canister, stale[0], stale[-1]) if stale else []
    total = Derived()
    wanted = frozenset(stale)
    for group in day_groups([one for one in held if one.day in wanted], neighbors=True):
        first, last = group[0].day, group[-1].day
        log.info("deriving %s to %s", first, last)
        total.add(derive(engine, name, first, last, projections))
    return stale, total


def day_groups(held: Iterable[HeldDay], *, neighbors: bool = False) -> Iterator[list[HeldDay]]:
    """Yield days that are to be derived in one transaction: as many as have :data:`CHUNK_ENTRIES` entries.

    Arguments:
        held: days, in order.
        neighbors: begin a new group where days are left out.
    """
    group: list[HeldDay] = []
    for one in held:
        full = sum(each.entries for each in group) + one.entries > CHUNK_ENTRIES
        if group and (full or (neighbors and one.day - group[-1].day > timedelta(days=1))):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def replace(connection: Connection, chosen: Range, projections: Collection[str] = ALL) -> Derived:
    """Replace the rows of the chosen blocks within the current transaction."""
    before = derivation.state_counts(connection, chosen.canister, projections)
    derivation.touch(connection, chosen, projections)
    removed = derivation.remove(connection, chosen, projections)
    return derive_chosen(connection, chosen, projections, removed, before)


def derive_chosen(
    connection: Connection,
    chosen: Range,
    projections: Collection[str],
    removed: dict[str, int],
    before: Counter[str],
) -> Derived:
    """Write the rows of chosen blocks, whose former rows were touched and removed, and refresh what depends on them.

    Arguments:
        removed: how many rows were removed per table.
        before: rows per table of states, before anything was removed.
    """
    done = Derived(chosen.blocks)
    rows = Rows()
    for block, entries in _blocks(chosen, derivation.entries(connection, chosen, labels_of(projections))):
        rows_of_block(rows, block, entries)
        done.entries += len(entries)
        if rows.count >= _ROWS:
            _write(connection, chosen, rows, done)
    _write(connection, chosen, rows, done)
    derivation.analyze(connection, done.rows)
    derivation.touch(connection, chosen, projections)
    if "contracts" in projections:
        _check_replies(connection, chosen.canister)
    if "reputation" in projections and (removed["reputation_changes"] or removed["reputation_agings"] or _rep(done)):
        _replay_reputations(connection, chosen)
    derivation.refresh(connection, chosen, projections)
    derivation.note_derived(connection, chosen, projections, removed)
    done.errors = derivation.error_counts(connection, chosen, projections)
    done.created = derivation.state_counts(connection, chosen.canister, projections)
    done.created.subtract(before)
    return done


def _write(connection: Connection, chosen: Range, rows: Rows, done: Derived) -> None:
    taken = rows.take(chosen.canister)
    derivation.append(connection, taken)
    taken.pop("import_errors", None)
    done.rows.update({table: len(written) for table, written in taken.items()})


def _blocks(chosen: Range, rows: Iterator[EntryRow]) -> Iterator[tuple[BlockPlace, list[StoredEntry]]]:
    for (offset, timestamp_ns, day, parent_hash), group in groupby(rows, key=lambda row: row[:4]):
        place = BlockPlace(chosen.canister, offset, timestamp_ns, day, parent_hash)
        yield place, [StoredEntry(*row[4:]) for row in group]


def _check_replies(connection: Connection, canister: int) -> None:
    """Check replies with the provider key of their request, which may stand in a block of another day."""
    checked = []
    for reply in derivation.replies_to_check(connection, canister):
        key = reply.provider_pubkey
        checked.append((reply, None if key is None else verify(key, reply.payload, reply.signature)))
    derivation.settle_replies(connection, canister, checked)


def _rep(done: Derived) -> int:
    return done.rows["reputation_changes"] + done.rows["reputation_agings"]


def _replay_reputations(connection: Connection, chosen: Range) -> None:
    """Replay from the beginning, or only what follows when nothing before has changed."""
    through = reputations.replayed_through(connection, chosen.canister)
    goes_on = through is not None and chosen.first > through
    known = reputations.stored(connection, chosen.canister) if goes_on else {}
    after = through if goes_on and through is not None else -1
    last = chosen.last

    def noted() -> Iterable[reputations.ReputationEvent]:
        nonlocal last
        for event in reputations.events(connection, chosen.canister, after):
            last = max(last, event.block_offset)
            yield event

    replay(known, noted())
    reputations.store(connection, chosen.canister, known, last)


def _known(projections: Collection[str]) -> None:
    unknown = sorted(set(projections) - set(ALL))
    if unknown:
        raise ConfigurationError(f"There is no projection {unknown[0]}. There are: {', '.join(ALL)}.")


def _canister(connection: Connection, name: str) -> int:
    position = positions.find(connection, name)
    if position is None:
        raise ConfigurationError(
            f"Nothing was imported for the connection {name} yet. Run `sync-pipelines ledger import` first."
        )
    return position.canister
