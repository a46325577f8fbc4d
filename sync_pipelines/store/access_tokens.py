"""Access tokens: made and shown once, found again by their label, proved by a hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from sync_pipelines.core.access import Scope
from sync_pipelines.core.errors import SyncError
from sync_pipelines.store import audit
from sync_pipelines.store.statements import text

PREFIX = "spt_"
"""Tokens begin so: scanners of leaked secrets know them by it."""
CHAIN = "access"
"""The audit log's chain."""
_TOKEN = re.compile(r"(spt_[0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_NOTHING = bytes(32)
_COLUMNS = (
    "id, label, name, hash, organization, scopes, expires_at, revoked_at, created_at, created_by, last_used_at, "
    "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()) AS is_good"
)


class TokenUnknown(SyncError):
    """There is no such token to be revoked."""


class NameTaken(SyncError):
    """A token of this name works already."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token without its secret.

    Attributes:
        label: its readable beginning.
        organization: whose connections it is for; ``None``: those of all.
        last_used_at: to the minute.
        is_good: neither expired nor revoked.
    """

    id: int
    label: str
    name: str
    organization: str | None
    scopes: tuple[Scope, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    is_good: bool


def create(
    connection: Connection,
    name: str,
    organization: str | None,
    scopes: Iterable[Scope],
    *,
    expires_at: datetime | None,
    by: str,
) -> tuple[AccessToken, str]:
    """Make a token and return it with its text, which cannot be had a second time.

    Raises:
        NameTaken: a token of this name is not revoked.
    """
    label = f"{PREFIX}{secrets.token_hex(4)}"
    token = f"{label}_{secrets.token_urlsafe(32)}"
    row = connection.execute(
        text(
            "INSERT INTO sync.access_token (label, name, hash, organization, scopes, expires_at, created_by) "
            "VALUES (:label, :name, :hash, :organization, CAST(:scopes AS text[]), :expires_at, :by) "
            f"ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING {_COLUMNS}"
        ),
        {
            "label": label,
            "name": name,
            "hash": _hash(token),
            "organization": organization,
            "scopes": sorted(set(scopes), key=list(Scope).index),
            "expires_at": expires_at,
            "by": by,
        },
    ).one_or_none()
    if row is None:
        raise NameTaken(f"there is a token named {name!r}; revoke it first or choose another name")
    made = _token(row)
    _note(connection, "token_created", made, by, organization=organization, scopes=list(made.scopes))
    return made, token


def find(connection: Connection, token: str) -> AccessToken | None:
    """Return the token that works under a text; ``None`` for one that is unknown, wrong, expired or revoked.

    The label finds the row and is no secret; what is secret is compared in constant time, and also where there is no
    row, so that labels cannot be told apart by the time of a refusal.
    """
    shape = _TOKEN.fullmatch(token)
    label = shape.group(1) if shape is not None else ""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM sync.access_token WHERE label = :label"), {"label": label}
    ).one_or_none()
    known = bytes(row.hash) if row is not None else _NOTHING
    if not hmac.compare_digest(_hash(token), known) or row is None or not row.is_good:
        return None
    return _token(row)


def touch(connection: Connection, token: AccessToken) -> None:
    """Note that a token was used; once a minute is enough, for each of these is a write."""
    connection.execute(
        text(
            "UPDATE sync.access_token SET last_used_at = clock_timestamp() WHERE id = :id "
            "AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')"
        ),
        {"id": token.id},
    )


def listed(connection: Connection, *, organization: str | None = None) -> list[AccessToken]:
    """Return all tokens, oldest first; those of one organization if it is named."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM sync.access_token "
            "WHERE CAST(:organization AS text) IS NULL OR organization = :organization ORDER BY id"
        ),
        {"organization": organization},
    )
    return [_token(row) for row in rows]


def revoke(connection: Connection, name: str, *, by: str) -> AccessToken:
    """Let a token work no more, from the next request on.

    Arguments:
        name: its name, or its label.

    Raises:
        TokenUnknown: no token of this name is unrevoked.
    """
    row = connection.execute(
        text(
            "UPDATE sync.access_token SET revoked_at = clock_timestamp(), revoked_by = :by "
            f"WHERE (name = :name OR label = :name) AND revoked_at IS NULL RETURNING {_COLUMNS}"
        ),
        {"name": name, "by": by},
    ).one_or_none()
    if row is None:
        raise TokenUnknown(f"there is no token {name!r} that is not revoked; 'sync-pipelines tokens list' shows them")
    revoked = _token(row)
    _note(connection, "token_revoked", revoked, by)
    return revoked


def _note(connection: Connection, action: str, token: AccessToken, by: str, **details: Any) -> None:
    entry = {"action": action, "success": True, "token": token.name, "label": token.label, "by": by, **details}
    audit.append(connection, CHAIN, entry, scope=token.organization, key=token.name)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _token(row: Row[Any]) -> AccessToken:
    return AccessToken(
        id=row.id,
        label=row.label,
        name=row.name,
        organization=row.organization,
        scopes=tuple(map(Scope, row.scopes)),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        created_at=row.created_at,
        created_by=row.created_by,
        last_used_at=row.last_used_at,
        is_good=row.is_good,
    )
