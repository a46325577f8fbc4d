"""Which records a comparison has to look at: kept up to date by what writes, so that nobody has to read them all."""

from __future__ import annotations

from sqlalchemy import Connection

from sync_pipelines.store.scopes import Scope
from sync_pipelines.store.statements import statement, text

MOST = 100_000
"""Records that may differ before it is cheaper to join everything than to look them up one by one."""


def narrow(connection: Connection, scope: Scope, *, anew: bool = False, most: int = MOST) -> bool:
    """Bring ``sync.unequal`` up to date for a comparison of the whole scope.

    Where it is not known which records differ, this finds out, once: it reads every record of the scope. From then on
    triggers note every key that is written to, and only those are looked at.

    Call with the scope's lease: what another one writes meanwhile would not be noted.

    Arguments:
        anew: find out again, whatever was noted.
        most: give up when there are so many.

    Returns whether ``sync.unequal`` holds every record that differs; if not, the three trees have to be joined.
    """
    of_scope = {"scope_id": scope.id}
    if known(connection, scope) and not anew:
        connection.execute(text(statement("unequal_settled")), of_scope)
        left = connection.execute(text("SELECT count(*) FROM sync.unequal WHERE scope_id = :scope_id"), of_scope)
        if left.scalar_one() < most:
            return True
    connection.execute(text("DELETE FROM sync.unequal_known WHERE scope_id = :scope_id"), of_scope)
    connection.execute(text("DELETE FROM sync.unequal WHERE scope_id = :scope_id"), of_scope)
    found = connection.execute(text(statement("unequal_all")), {**of_scope, "most": most})
    if found.scalar_one() >= most:
        return False
    connection.execute(text("INSERT INTO sync.unequal_known (scope_id) VALUES (:scope_id)"), of_scope)
    return True


def known(connection: Connection, scope: Scope) -> bool:
    """Return whether ``sync.unequal`` holds every record of the scope that differs."""
    return bool(
        connection.execute(
            text("SELECT EXISTS (SELECT FROM sync.unequal_known WHERE scope_id = :scope_id)"), {"scope_id": scope.id}
        ).scalar_one()
    )


def let_go(connection: Connection, scope: Scope) -> None:
    """Note nothing in the rest of this transaction: it writes so much that the next comparison has to join all."""
    connection.execute(
        text(
            "WITH gone AS (DELETE FROM sync.unequal_known WHERE scope_id = :scope_id) "
            "SELECT set_config('sync.noting', 'off', true)"
        ),
        {"scope_id": scope.id},
    )
