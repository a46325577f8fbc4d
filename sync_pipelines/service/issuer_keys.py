"""The public keys of a tokens' issuer, kept as long as it says and a while longer when it cannot be asked.

Google publishes a new key some time before it signs with it. A token whose key is not known may all the same be one of
a brand-new key, so the keys are read again for it; forged names of keys share a small budget for that.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from sync_pipelines.core.errors import SyncError

DEFAULT_AGE, LEAST_AGE, MOST_AGE = 300.0, 60.0, 86_400.0
"""Seconds that keys are used without asking again: when the issuer does not say, and the bounds of what it may say."""
STALE_SECONDS = 86_400.0
"""How much longer they are used while the issuer cannot be asked."""
PAUSE_SECONDS = 5.0
"""After a failure the issuer is left alone for so long, or every call would wait for it to fail again."""
LOOKS, LOOK_SECONDS = 3, 30.0
"""Unknown names of keys for which the issuer is asked at once; one more after so many seconds each."""
_LONGEST_REPLY = 64 * 1024
_LEAST_BITS = 2048
_TIMEOUT = httpx.Timeout(5.0, connect=3.0)
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])")
log = logging.getLogger(__name__)


class UnknownKey(SyncError):
    """The issuer has no such key."""


class KeysUnavailable(SyncError):
    """The issuer cannot be asked, and nothing usable is left of what it said before."""


class IssuerKeys:
    """The keys behind a URL (a JSON Web Key Set).

    Arguments:
        url: of the set.
        clock: seconds; only differences count.
        timeout: of one request.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], float] = time.monotonic, timeout: httpx.Timeout = _TIMEOUT
    ) -> None:
        self._url = url
        self._clock = clock
        # No redirect is followed: whoever answers is whom the settings name. A context for TLS takes long to make.
        self._client = httpx.AsyncClient(
            timeout=timeout, trust_env=False, follow_redirects=False, verify=url.startswith("https:")
        )
        self._keys: Mapping[str, PyJWK] = {}
        self._fresh_until = float("-inf")
        self._asked_again_from = float("-inf")
        self._looks, self._looks_at = float(LOOKS), clock()
        self._reading: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._reading is not None:
            self._reading.cancel()
        await self._client.aclose()

    async def key(self, kid: str) -> PyJWK:
        """Return the key of a name.

        Raises:
            UnknownKey: the issuer does not have it.
            KeysUnavailable: it cannot be said.
        """
        if self._clock() >= self._fresh_until or (kid not in self._keys and self._may_look()):
            await self._refresh()
        if self._clock() >= self._fresh_until + STALE_SECONDS:
            raise KeysUnavailable(f"the keys of the tokens' issuer cannot be read from {self._url}")
        try:
            return self._keys[kid]
        except KeyError:
            raise UnknownKey("the token's key is none of its issuer's") from None

    def _may_look(self) -> bool:
        now = self._clock()
        self._looks = min(float(LOOKS), self._looks + (now - self._looks_at) / LOOK_SECONDS)
        self._looks_at = now
        # Whoever comes while the keys are being read waits for the same answer.
        if self._reading is not None:
            return True
        if self._looks < 1:
            return False
        self._looks -= 1
        return True

    async def _refresh(self) -> None:
        """Read the keys, once for all who wait; what cannot be read leaves them as they are."""
        if self._reading is None:
            if self._clock() < self._asked_again_from:
                return
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._done)
        # One caller that goes away must not take the answer from the others.
        await asyncio.shield(self._reading)

    def _done(self, _: asyncio.Task[None]) -> None:
        self._reading = None

    async def _read(self) -> None:
        try:
            keys, age = await self._fetched()
        except (httpx.HTTPError, TimeoutError, ValueError, TypeError, PyJWTError) as error:
            self._asked_again_from = self._clock() + PAUSE_SECONDS
            log.warning("the keys at %s cannot be read: %s %s", self._url, type(error).__name__, error)
            return
        self._keys, self._fresh_until = keys, self._clock() + age

    async def _fetched(self) -> tuple[Mapping[str, PyJWK], float]:
        # The limits of httpx are between two bytes; a server that trickles would keep everybody waiting.
        async with asyncio.timeout(self._client.timeout.read), self._client.stream("GET", self._url) as reply:
            if reply.status_code != 200:
                raise ValueError(f"status {reply.status_code}")
            body = bytearray()
            async for part in reply.aiter_bytes():
                body += part
                if len(body) > _LONGEST_REPLY:
                    raise ValueError(f"the reply is longer than {_LONGEST_REPLY} bytes")
            headers = reply.headers
        keys = usable_keys(httpx.Response(200, content=bytes(body)).json())
        if not keys:
            raise ValueError("there is no usable key")
        return keys, _age(headers.get("cache-control", ""), headers.get("age", ""))


def usable_keys(document: object) -> dict[str, PyJWK]:
    """Return the RSA keys for RS256 signatures in a key set, by name. Others are left out.

    Raises:
        ValueError: it is no key set.
    """
    rows = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ValueError("the reply is no key set")
    found = {}
    for row in rows:
        if not isinstance(row, dict) or row.get("kty") != "RSA" or not isinstance(row.get("kid"), str):
            continue
        if row.get("use", "sig") != "sig" or row.get("alg", "RS256") != "RS256":
            continue
        try:
            key = PyJWK(row, algorithm="RS256")
        except PyJWTError:
            continue
        if key.key.key_size >= _LEAST_BITS:
            found[row["kid"]] = key
    return found


def _age(cache_control: str, age: str) -> float:
    told = _MAX_AGE.search(cache_control)
    if told is None:
        return DEFAULT_AGE
    passed = int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0
    return min(max(float(told.group(1)) - passed, LEAST_AGE), MOST_AGE)
