"""Who may use the API: Basic and keys in the query over TLS, OAuth 1.0a over plain HTTP."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from sync_pipelines.sandbox.woocommerce.errors import ApiError
from sync_pipelines.sandbox.woocommerce.model import ApiKey

DEMO_KEY = ApiKey("ck_" + "1d" * 20, "cs_" + "2e" * 20)
"""The key of the demo's administrator."""

_OAUTH = ("oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method")
_WINDOW_SECONDS = 15 * 60
_READS = frozenset({"GET", "HEAD"})
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of its sender.

    Attributes:
        is_secure: whether it came over TLS.
        address: the address that a signature covers, without the query.
        authorization: the header of that name.
        query: decoded parameters; of one that is sent twice the last counts.
    """

    method: str
    is_secure: bool
    address: str
    authorization: str
    query: Mapping[str, str]


class AccessControl:
    """The keys of a shop, and the nonces it has seen.

    Attributes:
        keys: by consumer key.
        now: Unix seconds that time stamps of signatures are compared with; the machine's, not the shop's.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.keys: dict[str, ApiKey] = {DEMO_KEY.consumer_key: DEMO_KEY}
        self.now = now
        self._nonces: dict[tuple[str, str], int] = {}

    def add(self, key: ApiKey) -> ApiKey:
        """Let a key in."""
        self.keys[key.consumer_key] = key
        return key

    def revoke(self, consumer_key: str) -> None:
        """Take a key away."""
        del self.keys[consumer_key]

    def holder(self, shown: Shown) -> ApiKey | None:
        """Return the key of a request, ``None`` for a visitor.

        A visitor is whoever shows nothing, shows an unknown key by Basic, or uses Basic without TLS: the shop then does
        not even look (recorded).

        Raises:
            ApiError: 401 for a secret or signature that does not fit, and for a key that may not do such a thing.
        """
        key = (self._by_secret(shown) if shown.is_secure else None) or self._by_signature(shown)
        if key is not None:
            _check_permissions(key, shown.method)
        return key

    def _by_secret(self, shown: Shown) -> ApiKey | None:
        name, secret = _basic(shown.authorization)
        if not name:
            name, secret = shown.query.get("consumer_key", ""), shown.query.get("consumer_secret", "")
        key = self.keys.get(name)
        if key is not None and not hmac.compare_digest(key.consumer_secret.encode(), secret.encode()):
            raise refused("Consumer secret is invalid.")
        return key

    def _by_signature(self, shown: Shown) -> ApiKey | None:
        parameters = {**shown.query, **_oauth_header(shown.authorization)}
        missing = [name for name in _OAUTH if not parameters.get(name)]
        if len(missing) == len(_OAUTH):
            return None
        if missing:
            raise refused(f"Missing OAuth parameters {', '.join(missing)}")
        key = self.keys.get(parameters["oauth_consumer_key"])
        if key is None:
            raise refused("Consumer key is invalid.")
        algorithm = {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"}.get(parameters["oauth_signature_method"])
        if algorithm is None:
            raise refused("Invalid signature - signature method is invalid.")
        given = unquote(parameters["oauth_signature"].replace(" ", "+"))
        if not hmac.compare_digest(signature(shown, parameters, key.consumer_secret, algorithm), given.encode()):
            raise refused("Invalid signature - provided signature does not match.")
        self._check_nonce(key, parameters["oauth_timestamp"], parameters["oauth_nonce"])
        return key

    def _check_nonce(self, key: ApiKey, stamp: str, nonce: str) -> None:
        now = self.now()
        if not stamp.isdigit() or abs(now - int(stamp)) > _WINDOW_SECONDS:
            raise refused("Invalid timestamp.")
        self._nonces = {seen: when for seen, when in self._nonces.items() if now - when <= _WINDOW_SECONDS}
        if (key.consumer_key, nonce) in self._nonces:
            raise refused("Invalid nonce - nonce has already been used.")
        self._nonces[key.consumer_key, nonce] = int(stamp)


def signature(shown: Shown, parameters: Mapping[str, str], secret: str, algorithm: str) -> bytes:
    """Return the signature that a request must carry, as base64."""
    signed = sorted((name, value) for name, value in parameters.items() if name != "oauth_signature")
    pairs = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in signed)
    base = "&".join([shown.method, quote(shown.address, safe="~"), quote(pairs, safe="~")])
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), base.encode(), algorithm))


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def _oauth_header(header: str) -> dict[str, str]:
    if not header.startswith("OAuth "):
        return {}
    return {name: unquote(value) for name, value in re.findall(r'(oauth_[a-z_-]*)="([^"]*)"', header)}


def _check_permissions(key: ApiKey, method: str) -> None:
    for allowed, methods in (("read", _READS), ("write", _WRITES)):
        if method in methods and key.permissions not in (allowed, "read_write"):
            raise refused(f"The API key provided does not have {allowed} permissions.")


def refused(message: str) -> ApiError:
    """Return the refusal of credentials."""
    return ApiError(401, "woocommerce_rest_authentication_error", message, hides_methods=True)
