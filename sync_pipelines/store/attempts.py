"""What has to be known of a record before an attempt at it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.core.lifecycle import State
from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement, text


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a record stands.

    Attributes:
        state: ``None`` when it was never seen.
        failures: failed attempts in a row.
        in_doubt: a create of it may still be running at the peer: nothing may be created until that is over.
        left: its newest fingerprint at the source, ``None`` when it is not there; empty, and so equal to nothing, for
            a record that is withheld or invalid, or when another record at the source has the natural key of one that
            was never linked and is to be retired.
        linked: it is linked with a record at the target.
    """

    state: State | None
    failures: int
    in_doubt: bool
    left: bytes | None
    linked: bool = False


def standings(connection: Connection, scope: Scope, records: Mapping[str, str | None]) -> dict[str, Standing]:
    """Return where records stand, by their keys.

    Arguments:
        records: key -> natural key of those that are to be retired, ``None`` for the others.
    """
    rows = connection.execute(
        text(statement("standings")),
        {"scope_id": scope.id, "keys": list(records), "retired": list(records.values())},
    )
    return {
        row.key: Standing(
            None if row.state is None else State(row.state), row.failures, row.in_doubt, row.left_digest, row.linked
        )
        for row in rows
    }
