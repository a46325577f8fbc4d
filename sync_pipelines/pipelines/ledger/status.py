"""What the ledger pipeline answers to those who ask it over HTTP or on the command line, in the seed API's shapes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.ledger.importing import ImportOutcome, ImportSettings, import_ledger
from sync_pipelines.pipelines.ledger.payloads import LEGACY_LABELS, Label, known_label
from sync_pipelines.pipelines.ledger.projecting import ALL, Derived, derive_stale
from sync_pipelines.pipelines.ledger.rows import projection_of
from sync_pipelines.pipelines.ledger.source import BlockSource
from sync_pipelines.store.ledger import errors, positions, statuses
from sync_pipelines.store.ledger.statuses import TableStatus

LABEL_ALIASES: Final = {
    "ContractSignRequest": Label.CONTRACT_SIGN_REQUEST,
    "RewardDistribution": Label.REWARD_DISTRIBUTION,
}
"""Names that the API has always had for labels which are spelled otherwise in the ledger."""

_CREATED: Final = {
    "usersCreated": "dc_users",
    "profilesCreated": "provider_profiles",
    "offeringsCreated": "provider_offerings",
}


def labels_named(name: str) -> tuple[str, ...]:
    """Return the labels, as written in the ledger, that a label of the API stands for; legacy names included.

    Raises:
        ConfigurationError: nothing is derived from such a label.
    """
    label = LABEL_ALIASES.get(name) or known_label(name)
    if label is None:
        known = ", ".join([*(label.value for label in Label), *LABEL_ALIASES])
        raise ConfigurationError(f"There is no label {name}. There are: {known}.")
    return (label.value, *(old for old, successor in LEGACY_LABELS.items() if successor is label))


async def import_and_derive(
    engine: Engine,
    source: BlockSource,
    name: str,
    canister_id: str,
    *,
    label: str | None = None,
    run_id: str,
    log: logging.Logger,
    settings: ImportSettings | None = None,
) -> dict[str, Any]:
    """Import what is committed, derive the days that have new blocks, and return the reply to that.

    A block can only be stored whole, or its hash could not be proven any more. So a label restricts what is derived and
    counted, not what is read.

    Arguments:
        name: the connection's name.
        label: only this one, by its name in the ledger or in the API.

    Raises:
        ConfigurationError: the label is not known.
        Diverged, LeaseHeld, PeerError: as :func:`sync_pipelines.pipelines.ledger.importing.import_ledger`.
    """
    labels = None if label is None else labels_named(label)
    projections = ALL if labels is None else _projections(labels)
    imported = await import_ledger(engine, source, name, canister_id, run_id=run_id, log=log, settings=settings)
    _, derived = await in_thread(derive_stale, engine, name, log, projections)
    told = await in_thread(_errors, engine, imported.position.canister, ("import", *projections))
    return import_reply(imported, derived, told, label=label)


def import_reply(
    imported: ImportOutcome, derived: Derived, told: Sequence[str] = (), *, label: str | None = None
) -> dict[str, Any]:
    """Return the reply to an import.

    Arguments:
        derived: what was derived after it.
        told: the errors that stand, each in a line.
        label: the only one that was asked for.
    """
    entries = imported.entries
    if label is not None:
        entries = sum(imported.labels[written] for written in labels_named(label))
    message = "Ledger import completed" if imported.sound else f"Ledger import stopped: {imported.reason}"
    return stats_reply(message, entries, derived.created, told, label=label)


def stats_reply(
    message: str, entries: int, created: Mapping[str, int], told: Sequence[str] = (), *, label: str | None = None
) -> dict[str, Any]:
    """Return the reply to an import, from its numbers.

    Arguments:
        entries: how many were stored, of the label alone where there is one.
        created: by how many rows the tables have grown.
        told: the errors that stand, each in a line.
        label: the only one that was asked for.
    """
    stats = {
        "totalProcessed": entries,
        **{field: max(created.get(table, 0), 0) for field, table in _CREATED.items()},
        "ledgerEntriesCreated": entries,
        "errors": list(told),
    }
    return {
        "success": True,
        "data": {"message": message, "stats": stats} | ({} if label is None else {"label": label}),
    }


def status_reply(engine: Engine, name: str) -> dict[str, Any]:
    """Return how far each table of a connection is; a row ``all`` sums up what was read."""
    with engine.connect() as connection:
        rows = table_statuses(connection, name)
    told = [
        {
            "tableName": row.table_name,
            "lastSyncedBlockOffset": row.last_synced_block_offset,
            "lastSyncedAt": _time(row.last_synced_at),
            "totalRecordsSynced": row.total_records_synced,
            "syncErrors": row.sync_errors,
            "lastError": row.last_error,
        }
        for row in rows
    ]
    return {"success": True, "data": {"statuses": told, "totalTables": len(told)}}


def table_statuses(connection: Connection, name: str) -> list[TableStatus]:
    """Return the status of all tables, ``all`` first; nothing before the first import."""
    position = positions.find(connection, name)
    rows = [] if position is None else statuses.read(connection, position.canister)
    read = next((row for row in rows if row.table_name == "ledger_entries"), None)
    if position is None or read is None:
        return rows
    wrong = [row for row in rows if row.last_error is not None]
    last_error = read.last_error or (max(wrong, key=_age).last_error if wrong else None)
    total = TableStatus(
        "all",
        read.last_synced_block_offset,
        read.last_synced_at,
        read.total_records_synced,
        errors.count(connection, position.canister),
        last_error,
    )
    return [total, *rows]


def error_reply(error: str, details: str) -> dict[str, Any]:
    """Return the reply to a request that failed: what, and why."""
    return {"success": False, "error": error, "details": details}


def _projections(labels: Sequence[str]) -> tuple[str, ...]:
    projection = projection_of(labels[0])
    assert projection is not None, "every known label has one"
    return (projection,)


def _errors(engine: Engine, canister: int, projections: Sequence[str]) -> list[str]:
    with engine.connect() as connection:
        return [str(error) for error in errors.standing(connection, canister, projections)]


def _age(row: TableStatus) -> datetime:
    return row.last_synced_at or datetime.min.replace(tzinfo=UTC)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
