"""How a request proves which keys it comes with: Basic over https, one-legged OAuth 1.0a over http.

Over http the shop looks at OAuth alone and takes a Basic header for no key at all. It remembers every nonce, so each
exchange is signed anew.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx

SIGNATURE_METHOD = "HMAC-SHA256"
_PREFIX = "oauth_"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Keys:
    """A REST API key of the shop: ``ck_...`` and ``cs_...``."""

    key: str = field(repr=False)
    secret: str = field(repr=False)


class OneLeggedOAuth(httpx.Auth):
    """Signs the query of each request.

    The address of the request has to be the shop's own (``home_url``): that is what the shop signs on its side.

    Arguments:
        keys: the secret never leaves this process.
        clock: seconds since 1970; the shop accepts 15 minutes to either side.
        nonce: gives a text that was never given before.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._nonce = nonce

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request with a fresh signature in its query."""
        # A redirect repeats the query with the signature of the request that was redirected.
        params = [(name, value) for name, value in request.url.params.multi_items() if not name.startswith(_PREFIX)]
        params += [
            ("oauth_consumer_key", self._keys.key),
            ("oauth_nonce", self._nonce()),
            ("oauth_signature_method", SIGNATURE_METHOD),
            ("oauth_timestamp", str(int(self._clock()))),
        ]
        params.append(("oauth_signature", signature(request.method, request.url, params, self._keys.secret)))
        yield httpx.Request(
            request.method,
            request.url.copy_with(params=params),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )


def signature(method: str, url: httpx.URL, params: Iterable[tuple[str, str]], secret: str) -> str:
    """Return the base64 signature of a request. Its JSON body is not part of it.

    Arguments:
        url: address of the request; its query is not looked at.
        params: the whole query, decoded, without the signature.
        secret: the consumer secret; there is no token secret, so the key ends with ``&``.
    """
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in params)
    normalized = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join((method.upper(), _encoded(_address(url)), _encoded(normalized)))
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), base.encode(), hashlib.sha256)).decode()


def _address(url: httpx.URL) -> str:
    port = "" if url.port in (None, _DEFAULT_PORTS.get(url.scheme)) else f":{url.port}"
    return f"{url.scheme}://{url.host}{port}{url.raw_path.partition(b'?')[0].decode('ascii')}"


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")
