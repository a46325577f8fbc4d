"""Scopes: one connection of one pair of systems; everything the engine remembers hangs on a scope's id."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.store.statements import text


@dataclass(frozen=True, slots=True)
class Scope:
    """A pair (``"offerings"``), one of its connections (``"nordlys"``), and the database's id for the two."""

    id: int
    pair: str
    name: str

    @property
    def lease(self) -> str:
        """Name of the lease that keeps two runs of this scope apart."""
        return f"{self.pair}/{self.name}"


def ensure_scope(connection: Connection, pair: str, name: str) -> Scope:
    """Return the scope, making it when it is new."""
    scope = find_scope(connection, pair, name)
    if scope is None:
        connection.execute(
            text("INSERT INTO sync.scope (pair, name) VALUES (:pair, :name) ON CONFLICT DO NOTHING"),
            {"pair": pair, "name": name},
        )
        scope = find_scope(connection, pair, name)
        assert scope is not None
    return scope


def find_scope(connection: Connection, pair: str, name: str) -> Scope | None:
    """Return the scope, ``None`` when it was never used."""
    id_ = connection.execute(
        text("SELECT id FROM sync.scope WHERE pair = :pair AND name = :name"), {"pair": pair, "name": name}
    ).scalar()
    return None if id_ is None else Scope(id_, pair, name)
