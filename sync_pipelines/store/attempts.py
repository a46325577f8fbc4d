"""What has to be known of a record before an attempt at it begins."""

from __future__ import annotations

from collections.abc import Sequence
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
            a record that is withheld or invalid.
    """

    state: State | None
    failures: int
    in_doubt: bool
    left: bytes | None


def standings(connection: Connection, scope: Scope, keys: Sequence[str]) -> dict[str, Standing]:
    """Return where records stand, by their keys."""
    rows = connection.execute(text(statement("standings")), {"scope_id": scope.id, "keys": list(keys)})
    return {
        row.key: Standing(None if row.state is None else State(row.state), row.failures, row.in_doubt, row.left_digest)
        for row in rows
    }
