"""Replacing what was derived from some blocks, and bringing the tables of states up to date. All in one transaction.

The blocks in question stand in the temporary table ``ledger_range``, the keys whose state may have changed in
``ledger_touched`` (kind, key). Both vanish with the transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection

from sync_pipelines.store.ledger import statuses
from sync_pipelines.store.ledger.copying import copy_rows, driver
from sync_pipelines.store.ledger.tables import COLUMNS, PROJECTIONS
from sync_pipelines.store.statements import statement, text

_PAGE = 5_000
_ANALYZE_FROM = 10_000


@dataclass(frozen=True, slots=True)
class Range:
    """Blocks whose rows are replaced.

    Attributes:
        canister: id of the ledger.
        blocks: how many there are.
        first, last: ledger positions of the first and the last one.
    """

    canister: int
    blocks: int
    first: int
    last: int


def choose_days(connection: Connection, canister: int, first_day: date, last_day: date) -> Range | None:
    """Choose the blocks of some days; ``None`` when there are none. No other derivation runs until the commit."""
    return _choose(
        connection,
        canister,
        "day BETWEEN :first_day AND :last_day",
        {"first_day": first_day, "last_day": last_day},
    )


def choose_days_from(connection: Connection, canister: int, position: int) -> Range | None:
    """Choose the blocks of all days that have one from a ledger position on; ``None`` when there are none."""
    days = "day IN (SELECT day FROM sync.ledger_blocks WHERE canister = :canister AND block_offset >= :position)"
    return _choose(connection, canister, days, {"position": position})


def leave_out_from(connection: Connection, range_: Range, position: int) -> Range:
    """Return what is left of the range without the blocks from a position on, whose days are no longer derived."""
    values = {"canister": range_.canister, "position": position}
    connection.execute(
        text("DELETE FROM sync.ledger_days WHERE canister = :canister AND day IN (SELECT day FROM ledger_range)"),
        values,
    )
    connection.execute(text("DELETE FROM ledger_range WHERE block_offset >= :position"), values)
    blocks = connection.execute(text("SELECT count(*) FROM ledger_range")).scalar_one()
    return replace(range_, blocks=blocks)


def _choose(connection: Connection, canister: int, which: str, values: Mapping[str, Any]) -> Range | None:
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('sync ledger derivation'), :canister)"), {"canister": canister}
    )
    connection.execute(
        text("CREATE TEMP TABLE ledger_range (block_offset bigint PRIMARY KEY, day date NOT NULL) ON COMMIT DROP")
    )
    connection.execute(
        text("CREATE TEMP TABLE ledger_touched (kind text, key bytea, PRIMARY KEY (kind, key)) ON COMMIT DROP")
    )
    connection.execute(
        text(
            "INSERT INTO ledger_range SELECT block_offset, day FROM sync.ledger_blocks "
            f"WHERE canister = :canister AND {which}"
        ),
        {"canister": canister, **values},
    )
    connection.execute(text("ANALYZE ledger_range"))
    found = connection.execute(
        text("SELECT count(*), min(block_offset), max(block_offset) FROM ledger_range HAVING count(*) > 0")
    ).one_or_none()
    return None if found is None else Range(canister, *found)


def touch(connection: Connection, range_: Range, projections: Collection[str]) -> None:
    """Note the keys that the rows of the range speak of."""
    for name in projections:
        for table, column in PROJECTIONS[name].touched:
            connection.execute(
                text(
                    f"INSERT INTO ledger_touched SELECT DISTINCT :kind, e.{column} FROM sync.{table} e "
                    "JOIN ledger_range USING (block_offset) WHERE e.canister = :canister ON CONFLICT DO NOTHING"
                ),
                {"kind": name, "canister": range_.canister},
            )
    if "transfers" in projections:
        connection.execute(
            text(
                "INSERT INTO ledger_touched SELECT DISTINCT 'account', convert_to(principal, 'UTF8') "
                "FROM sync.account_changes WHERE canister = :canister AND day IN (SELECT day FROM ledger_range) "
                "ON CONFLICT DO NOTHING"
            ),
            {"canister": range_.canister},
        )


def remove(connection: Connection, range_: Range, projections: Collection[str]) -> dict[str, int]:
    """Remove the rows of the range, and return how many there were per table."""
    removed = {}
    for name in projections:
        for table in PROJECTIONS[name].events:
            removed[table] = connection.execute(
                text(
                    f"DELETE FROM sync.{table} e USING ledger_range r "
                    "WHERE e.canister = :canister AND e.block_offset = r.block_offset "
                    "AND e.block_offset BETWEEN :first AND :last"
                ),
                {"canister": range_.canister, "first": range_.first, "last": range_.last},
            ).rowcount
    connection.execute(
        text(
            "DELETE FROM sync.import_errors e USING ledger_range r WHERE e.canister = :canister "
            "AND e.block_offset = r.block_offset AND e.projection = ANY (CAST(:projections AS text[]))"
        ),
        {"canister": range_.canister, "projections": list(projections)},
    )
    if "transfers" in projections:
        connection.execute(
            text(
                "DELETE FROM sync.account_changes WHERE canister = :canister AND day IN (SELECT day FROM ledger_range)"
            ),
            {"canister": range_.canister},
        )
    return removed


EntryRow = tuple[int, int, date, bytes, int, str, str, bytes, bytes]
"""block_offset, timestamp_ns, day, parent_hash, entry_index, label, operation, key, value."""


def entries(connection: Connection, range_: Range, labels: Sequence[str]) -> Iterator[EntryRow]:
    """Yield the entries of the range that have one of these labels, in the stored order.

    Some blocks at a time: whatever the planner believes of freshly loaded tables, nothing is sorted that is large.
    """
    blocks = connection.execute(
        text(
            "SELECT b.block_offset, b.timestamp_ns, b.day, b.parent_hash, b.entries "
            "FROM ledger_range r JOIN sync.ledger_blocks b ON b.block_offset = r.block_offset "
            "WHERE b.canister = :canister ORDER BY b.block_offset"
        ),
        {"canister": range_.canister},
    ).all()
    with driver(connection).cursor(binary=True) as cursor:
        for page in _pages(blocks):
            places = {block.block_offset: tuple(block)[:4] for block in page}
            cursor.execute(
                statement("ledger_entries_of_blocks").encode(), (range_.canister, list(places), list(labels))
            )
            for block_offset, *entry in cursor:
                yield (*places[block_offset], *entry)


def _pages(blocks: Sequence[Any]) -> Iterator[list[Any]]:
    page: list[Any] = []
    room = _PAGE
    for block in blocks:
        page.append(block)
        room -= block.entries
        if room <= 0:
            yield page
            page, room = [], _PAGE
    if page:
        yield page


def append(connection: Connection, tables: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    """Write rows of the columns in :data:`sync_pipelines.store.ledger.tables.COLUMNS`."""
    for table, rows in tables.items():
        copy_rows(connection, f"sync.{table}", COLUMNS[table], rows)


def analyze(connection: Connection, rows: Mapping[str, int]) -> None:
    """Renew the planner's statistics of tables that have grown by many rows: on none it believes them empty."""
    for table, count in rows.items():
        if count >= _ANALYZE_FROM:
            connection.execute(text(f"ANALYZE sync.{table}"))


def refresh(connection: Connection, range_: Range, projections: Collection[str]) -> None:
    """Make the states of the touched keys anew from all their events."""
    values = {"canister": range_.canister}
    for name in projections:
        state = PROJECTIONS[name].state
        if state is not None:
            table, column = state
            connection.execute(
                text(
                    f"DELETE FROM sync.{table} s USING ledger_touched t "
                    f"WHERE s.canister = :canister AND t.kind = :kind AND s.{column} = t.key"
                ),
                {**values, "kind": name},
            )
            connection.execute(text(statement(f"ledger_state_{name}")), values)
    if "transfers" in projections:
        connection.execute(text(statement("ledger_transfer_index")), {**values, "first": range_.first})
        connection.execute(text(statement("ledger_user_balances")), values)


def note_derived(
    connection: Connection, range_: Range, projections: Collection[str], removed: Mapping[str, int]
) -> None:
    """Note which days are derived up to which block, and the status of the tables."""
    connection.execute(
        text(
            "INSERT INTO sync.ledger_days (canister, day, projection, through, blocks) "
            "SELECT :canister, day, projection, max(block_offset), count(*) "
            "FROM ledger_range, unnest(CAST(:projections AS text[])) AS p (projection) GROUP BY day, projection "
            "ON CONFLICT (canister, day, projection) DO UPDATE "
            "SET through = EXCLUDED.through, blocks = EXCLUDED.blocks, derived_at = now()"
        ),
        {"canister": range_.canister, "projections": list(projections)},
    )
    for name in projections:
        for shown, counted in PROJECTIONS[name].shown.items():
            records = _records(connection, range_, shown, counted, removed)
            statuses.derived(connection, range_.canister, shown, name, records)


def _records(connection: Connection, range_: Range, shown: str, counted: str, removed: Mapping[str, int]) -> int:
    values = {"canister": range_.canister, "table": shown}
    if counted not in removed:
        return int(
            connection.execute(
                text(f"SELECT count(*) FROM sync.{counted} WHERE canister = :canister"), values
            ).scalar_one()
        )
    # Of a table with a row for every event only the range is counted: it has as many rows as the ledger has entries.
    before = connection.execute(
        text("SELECT total_records_synced FROM sync.sync_status WHERE canister = :canister AND table_name = :table"),
        values,
    ).scalar()
    now = connection.execute(
        text(
            f"SELECT count(*) FROM sync.{counted} e JOIN ledger_range r USING (block_offset) "
            "WHERE e.canister = :canister AND e.block_offset BETWEEN :first AND :last"
        ),
        {**values, "first": range_.first, "last": range_.last},
    ).scalar_one()
    return int(before or 0) - removed[counted] + int(now)


@dataclass(frozen=True, slots=True)
class ReplyToCheck:
    """A contract reply that was not checked yet with the provider key of its request."""

    block_offset: int
    entry_index: int
    payload: bytes
    signature: bytes
    provider_pubkey: bytes | None


def replies_to_check(connection: Connection, canister: int) -> list[ReplyToCheck]:
    """Return the touched replies whose request names another provider than they were checked with."""
    rows = connection.execute(text(statement("ledger_replies_to_check")), {"canister": canister})
    return [ReplyToCheck(*row) for row in rows]


def settle_replies(connection: Connection, canister: int, checked: Sequence[tuple[ReplyToCheck, bool | None]]) -> None:
    """Store the verdicts, and note anew what is wrong with the touched replies."""
    for reply, valid in checked:
        connection.execute(
            text(
                "UPDATE sync.contract_replies SET verified_with = :provider, signature_valid = :valid "
                "WHERE canister = :canister AND block_offset = :block_offset AND entry_index = :entry_index"
            ),
            {
                "provider": reply.provider_pubkey,
                "valid": valid,
                "canister": canister,
                "block_offset": reply.block_offset,
                "entry_index": reply.entry_index,
            },
        )
    connection.execute(text(statement("ledger_reply_errors_clear")), {"canister": canister})
    connection.execute(text(statement("ledger_reply_errors")), {"canister": canister})


def stale_days(connection: Connection, canister: int, projections: Collection[str] = ()) -> list[date]:
    """Return the days that have blocks which were not derived yet, for any of the projections; all by default."""
    rows = connection.execute(
        text(statement("ledger_stale_days")), {"canister": canister, "projections": list(projections or PROJECTIONS)}
    )
    return [day for (day,) in rows]


def state_counts(connection: Connection, canister: int, projections: Collection[str]) -> Counter[str]:
    """Return the rows of each table of states."""
    tables = [state[0] for name in projections if (state := PROJECTIONS[name].state) is not None]
    return Counter(
        {
            table: connection.execute(
                text(f"SELECT count(*) FROM sync.{table} WHERE canister = :canister"), {"canister": canister}
            ).scalar_one()
            for table in tables
        }
    )


def error_counts(connection: Connection, range_: Range, projections: Collection[str]) -> Counter[str]:
    """Return the errors that stand at the entries of the range, per kind."""
    rows = connection.execute(
        text(
            "SELECT kind, count(*) AS errors FROM sync.import_errors e JOIN ledger_range r USING (block_offset) "
            "WHERE e.canister = :canister AND e.projection = ANY (CAST(:projections AS text[])) GROUP BY kind"
        ),
        {"canister": range_.canister, "projections": list(projections)},
    )
    return Counter({row.kind: row.errors for row in rows})
