"""Leases with fencing tokens: one run at a time works on a scope, and a zombie cannot write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sync_pipelines.core.errors import LeaseHeld, LeaseLost
from sync_pipelines.store.statements import text


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lease. ``token`` is larger than that of every earlier holder."""

    name: str
    holder: str
    token: int
    expires_at: datetime


def take(connection: Connection, name: str, holder: str, seconds: float) -> Lease:
    """Take a free or expired lease.

    Raises:
        LeaseHeld: somebody else holds it.
    """
    row = connection.execute(
        text(
            "INSERT INTO sync.lease AS held (name, holder, token, taken_at, expires_at) "
            "VALUES (:name, :holder, 1, clock_timestamp(), clock_timestamp() + make_interval(secs => :seconds)) "
            "ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, token = held.token + 1, "
            "taken_at = EXCLUDED.taken_at, expires_at = EXCLUDED.expires_at WHERE held.expires_at <= clock_timestamp() "
            "RETURNING token, expires_at"
        ),
        {"name": name, "holder": holder, "seconds": seconds},
    ).one_or_none()
    if row is not None:
        return Lease(name, holder, row.token, row.expires_at)
    held = connection.execute(
        text("SELECT holder, taken_at, expires_at FROM sync.lease WHERE name = :name"), {"name": name}
    ).one()
    raise LeaseHeld(
        f"{name} is being worked on by {held.holder} since {held.taken_at:%H:%M:%S} UTC; nothing was changed. "
        f"Wait for it to end, or until {held.expires_at:%H:%M:%S} UTC if it was killed, and run again."
    )


def is_held(connection: Connection, name: str) -> bool:
    """Say whether somebody works under a lease now."""
    found: bool = connection.execute(
        text("SELECT EXISTS (SELECT FROM sync.lease WHERE name = :name AND expires_at > clock_timestamp())"),
        {"name": name},
    ).scalar_one()
    return found


def renew(connection: Connection, lease: Lease, seconds: float) -> None:
    """Keep a lease for another while.

    Raises:
        LeaseLost: somebody else took it over.
    """
    renewed = connection.execute(
        text(
            "UPDATE sync.lease SET expires_at = clock_timestamp() + make_interval(secs => :seconds) "
            "WHERE name = :name AND token = :token AND expires_at > clock_timestamp()"
        ),
        {"name": lease.name, "token": lease.token, "seconds": seconds},
    ).rowcount
    if not renewed:
        raise lost(lease)


def fence(connection: Connection, lease: Lease) -> str:
    """Make sure within the current transaction that the lease is still ours; hold it until the commit.

    Returns the transaction's id, by which its outcome can be asked for should the connection break during the commit.

    Raises:
        LeaseLost: it is not; nothing of this transaction may be committed.
    """
    transaction = connection.execute(
        text(
            "SELECT CAST(pg_current_xact_id() AS text) FROM sync.lease "
            "WHERE name = :name AND token = :token AND expires_at > clock_timestamp() FOR SHARE"
        ),
        {"name": lease.name, "token": lease.token},
    ).scalar()
    if transaction is None:
        raise lost(lease)
    return str(transaction)


def release(connection: Connection, lease: Lease) -> None:
    """Give the lease back; does nothing when it was lost."""
    connection.execute(
        text("UPDATE sync.lease SET expires_at = clock_timestamp() WHERE name = :name AND token = :token"),
        {"name": lease.name, "token": lease.token},
    )


def lost(lease: Lease) -> LeaseLost:
    """Return the error of a run whose lease is gone."""
    return LeaseLost(
        f"{lease.holder} lost its lease on {lease.name} (it expired or another run took over) and stops writing. "
        "Whatever it left unsettled is looked at by the next run."
    )
