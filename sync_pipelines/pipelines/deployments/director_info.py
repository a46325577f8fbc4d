"""What a Director says of itself, kept for a while, so that a run that finds nothing new asks for the list alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.store import peer_cache
from sync_pipelines.store.scopes import Scope
from sync_pipelines.systems.bosh import Info

KEY = "/info"
"""No deployment can have this name."""
_KINDS = ("basic", "uaa")


@dataclass(frozen=True, slots=True)
class KnownInfo:
    """What is used again.

    Attributes:
        auth: ``"basic"`` or ``"uaa"``.
        uaa_url: ``None`` where the Director has to be asked.
    """

    uuid: str
    auth: str
    uaa_url: str | None


class InfoCache:
    """Keeps the answer of one Director.

    Arguments:
        url: of the Director; at another one, what was kept does not hold.
        seconds: how long an answer is used again.
    """

    def __init__(self, engine: Engine, scope: Scope, url: str, seconds: float) -> None:
        self._engine = engine
        self._scope = scope
        self._stamp = hashlib.blake2b(url.encode(), digest_size=16).hexdigest()
        self._is_https = url.startswith("https://")
        self._seconds = seconds

    async def known(self) -> KnownInfo | None:
        """Return what is kept, ``None`` when there is nothing fresh."""

        def look() -> Any:
            with self._engine.begin() as connection:
                return peer_cache.read(connection, self._scope, [KEY]).get(KEY)

        found = await in_thread(look)
        if found is None or not found.is_fresh(self._stamp, self._seconds):
            return None
        match found.document:
            case {"uuid": str(uuid), "auth": str(auth), "uaa_url": str() | None as uaa_url} if auth in _KINDS:
                return KnownInfo(uuid, auth, uaa_url)
        return None

    async def keep(self, info: Info) -> None:
        """Keep an answer. ``/info`` is open to all, so an address that a secret must not be sent to is left out."""
        uaa_url = info.uaa_url
        if uaa_url is not None and self._is_https and not uaa_url.startswith("https://"):
            uaa_url = None
        document = {"uuid": info.uuid, "auth": info.auth, "uaa_url": uaa_url}

        def put() -> None:
            with self._engine.begin() as connection:
                peer_cache.put(connection, self._scope, {KEY: (self._stamp, document)})

        await in_thread(put)
