"""Who may call the scheduler's route."""

from __future__ import annotations

import hmac
import logging

from starlette.datastructures import Headers

from sync_pipelines.core.errors import SyncError
from sync_pipelines.service.google_token import TokenRefused, verify
from sync_pipelines.service.issuer_keys import IssuerKeys
from sync_pipelines.service.settings import SchedulerSettings

SECRET_HEADER = "x-scheduler-secret"
_SHOWN = 200
log = logging.getLogger(__name__)


class NotTheScheduler(SyncError):
    """A call did not show what the policy asks for. What was wrong is in the log, and not for the caller."""

    def __init__(self) -> None:
        super().__init__("Unauthorized scheduler request")


class SchedulerGate:
    """Lets the scheduler in, and nobody else.

    Headers named ``X-CloudScheduler...`` prove nothing: everybody can send them.

    Arguments:
        settings: ``None`` lets nobody in.
    """

    def __init__(self, settings: SchedulerSettings | None) -> None:
        self._settings = settings
        self._keys = IssuerKeys(settings.keys_url) if settings is not None and settings.policy.wants_token else None

    async def close(self) -> None:
        """Close the connections to the tokens' issuer."""
        if self._keys is not None:
            await self._keys.close()

    async def admit(self, headers: Headers) -> str:
        """Return who calls.

        Raises:
            NotTheScheduler: the call does not show what it must.
            KeysUnavailable: its token cannot be judged now.
        """
        settings = self._settings
        if settings is None:
            raise self._refused("the scheduler's authentication is not set up (SCHEDULER_...)")
        if settings.skip:
            return "anybody (SKIP_SCHEDULER_AUTH)"
        # The secret comes first: without it, nobody makes us ask Google for keys.
        if settings.policy.wants_secret and not self._knows_secret(settings, headers):
            raise self._refused("the secret is missing or wrong")
        if self._keys is None:
            return "the scheduler's secret"
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise self._refused("there is no bearer token")
        try:
            return await verify(token.strip(), settings, self._keys)
        except TokenRefused as error:
            raise self._refused(str(error)) from None

    def _knows_secret(self, settings: SchedulerSettings, headers: Headers) -> bool:
        expected = settings.secret.reveal() if settings.secret is not None else ""
        given = headers.getlist(SECRET_HEADER)
        # A header is bytes, latin-1 in ASGI; compared as bytes, whatever they are.
        return len(given) == 1 and hmac.compare_digest(given[0].encode("latin-1"), expected.encode("latin-1"))

    def _refused(self, why: str) -> NotTheScheduler:
        log.warning("a call of the scheduler's route was refused: %s", why[:_SHOWN])
        return NotTheScheduler()
