"""The replayed reputations, and the events they are replayed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from sync_pipelines.store.ledger.copying import copy_rows, driver
from sync_pipelines.store.statements import statement, text


class ReputationEvent(NamedTuple):
    """A change of one key's reputation by ``amount`` e9s; without a key, an aging of all by ``amount`` millionths."""

    block_offset: int
    pubkey: bytes | None
    amount: int


def replayed_through(connection: Connection, canister: int) -> int | None:
    """Return the ledger position of the last block that the stored reputations include, ``None`` for none."""
    through: int | None = connection.execute(
        text("SELECT reputation_through FROM sync.ledger_position WHERE canister = :canister"), {"canister": canister}
    ).scalar()
    return through


def stored(connection: Connection, canister: int) -> dict[bytes, int]:
    """Return the reputation of every key."""
    rows = connection.execute(
        text("SELECT pubkey, reputation FROM sync.reputations WHERE canister = :canister"), {"canister": canister}
    )
    return {bytes(pubkey): int(reputation) for pubkey, reputation in rows}


def events(connection: Connection, canister: int, after: int) -> Iterator[ReputationEvent]:
    """Yield the changes and agings of the blocks behind a ledger position, in the stored order."""
    with driver(connection).cursor("ledger_reputation", binary=True) as cursor:
        cursor.itersize = 5_000
        cursor.execute(statement("ledger_reputation_events").encode(), {"canister": canister, "after": after})
        for block_offset, pubkey, amount in cursor:
            yield ReputationEvent(block_offset, pubkey, int(amount))


def store(connection: Connection, canister: int, reputations: Mapping[bytes, int], through: int) -> None:
    """Replace all reputations, and bring those of registered keys with them.

    Arguments:
        through: ledger position of the last block they include.
    """
    values = {"canister": canister}
    connection.execute(text("DELETE FROM sync.reputations WHERE canister = :canister"), values)
    rows = ((canister, pubkey, reputation) for pubkey, reputation in reputations.items())
    copy_rows(connection, "sync.reputations", ("canister", "pubkey", "reputation"), rows)
    connection.execute(
        text(
            "UPDATE sync.dc_users u SET reputation = coalesce(n.reputation, 0) FROM sync.dc_users o "
            "LEFT JOIN sync.reputations n ON n.canister = o.canister AND n.pubkey = o.pubkey "
            "WHERE o.canister = :canister AND u.canister = o.canister AND u.pubkey = o.pubkey "
            "AND u.reputation <> coalesce(n.reputation, 0)"
        ),
        values,
    )
    connection.execute(
        text("UPDATE sync.ledger_position SET reputation_through = :through WHERE canister = :canister"),
        {**values, "through": through},
    )
