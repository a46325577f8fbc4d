"""Requests to Vault with a token that is kept alive: logged in, renewed, and told apart from a policy that says no."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import DEFAULT_TIMEOUT, MAX_IN_FLIGHT, READ_DELAY, Transport
from sync_pipelines.systems.vault.documents import write_json
from sync_pipelines.systems.vault.errors import read_answer, unexpected_shape
from sync_pipelines.systems.vault.paths import PEER, folder_path

# A storage that fails shows as 500, so the breaker has to count it.
_BREAKING_STATUSES = frozenset({500, 502, 503, 504})
_JSON = {"Content-Type": "application/json"}
_RENEW_AT = 2 / 3
"""Part of a lease after which it is renewed."""
_RENEWED_ENOUGH = 1 / 2
"""A renewal that gives less than this part of the first lease has come up against the token's last day."""
_NEW_SECRET_ID = (
    "the role id is wrong, or the secret id is wrong, expired or used up (secret_id_num_uses); issue a new secret id"
)


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token that somebody issued."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppRole:
    """An AppRole login.

    Attributes:
        mount: where the method is enabled, below ``auth/``.
    """

    role_id: str = field(repr=False)
    secret_id: str = field(repr=False)
    mount: str = "approle"


Credentials = StaticToken | AppRole


@dataclass(frozen=True, slots=True)
class _Lease:
    """A token and its times, in seconds of the session's clock; ``None`` when it does not end."""

    token: str = field(repr=False)
    renewable: bool = False
    granted: float = 0.0
    renew_at: float | None = None
    ends_at: float | None = None


def vault_transport(
    base_url: str,
    *,
    namespace: str | None = None,
    throttle: Throttle | None = None,
    timeout: httpx.Timeout = DEFAULT_TIMEOUT,
    max_in_flight: int = MAX_IN_FLIGHT,
    verify: Any = True,
    read_delay: float = READ_DELAY,
) -> Transport:
    """Return a transport for a Vault server. To be closed by the caller.

    Arguments:
        base_url: address of the server, with or without ``/v1`` at its end.
        namespace: sent with every request when given.
        verify: whether certificates are checked, or the SSL context with a private CA to check them with.
        read_delay: seconds before a read that failed is sent again.
    """
    return Transport(
        PEER,
        base_url.rstrip("/").removesuffix("/v1"),
        headers={"X-Vault-Namespace": namespace} if namespace else {},
        timeout=timeout,
        max_in_flight=max_in_flight,
        throttle=throttle,
        verify=verify,
        read_delay=read_delay,
        breaking_statuses=_BREAKING_STATUSES,
    )


class VaultSession:
    """Reads and writes with one identity. The token is fetched or looked up at the first request.

    Arguments:
        transport: closed by whoever made it. The session sets its redactor, as it learns tokens on the way.
        credentials: a token, or an AppRole to log in with; each login takes one use of the secret id.
        secrets: further values to be masked in error texts.
        clock: seconds that only go up; given by tests.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        *,
        secrets: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._clock = clock
        self._lock = asyncio.Lock()
        self._lease: _Lease | None = None
        self._secrets = {*secrets, *_known_secrets(credentials)}
        self._mask()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        write: bool,
    ) -> dict[str, Any] | None:
        """Send a request below ``/v1/`` and return its JSON object, ``None`` for an answer without one.

        A 403 that comes from a dead token is sent once more with a new one: a refused request had no effect.

        Arguments:
            path: percent-encoded, see :mod:`sync_pipelines.systems.vault.paths`.
            body: a JSON object to send.
            write: whether the request can change something.

        Raises:
            PeerError: classified by :mod:`sync_pipelines.systems.vault.errors`; of kind auth when there is no token to
                be had.
        """
        token = await self._token()
        content = None if body is None else write_json(body)
        response = await self._send(method, path, token, params, content, write)
        if response.status_code == 403 and (new := await self._replaced(token)) is not None:
            response = await self._send(method, path, new, params, content, write)
        return read_answer(f"{method} /v1/{path}", response, write=write, redactor=self._transport.redactor)

    async def _send(
        self,
        method: str,
        path: str,
        token: str | None,
        params: Mapping[str, str] | None,
        content: bytes | None,
        write: bool,
    ) -> httpx.Response:
        headers = {"X-Vault-Token": token} if token else {}
        if content is not None:
            headers |= _JSON
        return await self._transport.request(
            method, f"/v1/{path}", params=params, content=content, headers=headers, write=write, follow=False
        )

    async def _token(self) -> str:
        lease = self._lease
        if lease is not None and (lease.renew_at is None or self._clock() < lease.renew_at):
            return lease.token
        async with self._lock:
            lease = self._lease
            if lease is None:
                self._lease = await self._first()
            elif lease.renew_at is not None and self._clock() >= lease.renew_at:
                self._lease = await self._prolonged(lease)
            return self._lease.token if self._lease else ""

    async def _first(self) -> _Lease:
        if isinstance(self._credentials, AppRole):
            return await self._login(self._credentials)
        token = self._credentials.token
        answer = await self._own("GET", "auth/token/lookup-self", token)
        if answer.status_code == 403 and _is_policy(answer):
            # Without the policy "default" a token may not even look at itself.
            return _Lease(token)
        if answer.status_code == 403:
            raise self._dead("GET /v1/auth/token/lookup-self")
        data = self._member("GET /v1/auth/token/lookup-self", answer, "data")
        return self._leased(token, data, "ttl", granted=_seconds(data.get("creation_ttl")))

    async def _login(self, role: AppRole) -> _Lease:
        path = f"auth/{folder_path(role.mount)}/login"
        operation = f"POST /v1/{path}"
        answer = await self._own("POST", path, None, {"role_id": role.role_id, "secret_id": role.secret_id})
        if answer.status_code in (400, 403, 404):
            try:
                read_answer(operation, answer, write=False, redactor=self._transport.redactor)
            except PeerError as refusal:
                mend = _NEW_SECRET_ID if answer.status_code == 400 else f"is AppRole enabled at auth/{role.mount}/?"
                raise self._auth_error(f"the login was refused: {refusal.message} - {mend}", operation) from None
        auth = self._member(operation, answer, "auth")
        token = auth.get("client_token")
        if not isinstance(token, str) or not token:
            raise unexpected_shape(operation, "a login without a token", write=False)
        self._secrets.add(token)
        self._mask()
        return self._leased(token, auth, "lease_duration")

    async def _prolonged(self, lease: _Lease) -> _Lease:
        """Return a lease that lasts longer: renewed, or a new login. If neither can be had, the old one to its end."""
        now = self._clock()
        is_over = lease.ends_at is None or lease.ends_at <= now
        try:
            renewed = await self._renewed(lease) if lease.renewable and not is_over else None
            if renewed is not None:
                return renewed
            if isinstance(self._credentials, AppRole):
                return await self._login(self._credentials)
        except PeerError as error:
            if is_over:
                raise
            if error.kind is not FailureKind.AUTH:
                # The server is out of order for the moment; the next request tries again.
                return lease
        return _Lease(lease.token, ends_at=lease.ends_at)

    async def _renewed(self, lease: _Lease) -> _Lease | None:
        """Return the renewed lease, ``None`` when the token has come up against its last day."""
        answer = await self._own("POST", "auth/token/renew-self", lease.token, {})
        if 400 <= answer.status_code < 500:
            return None
        auth = self._member("POST /v1/auth/token/renew-self", answer, "auth")
        renewed = self._leased(lease.token, auth, "lease_duration")
        return renewed if renewed.granted >= lease.granted * _RENEWED_ENOUGH else None

    async def _replaced(self, refused: str) -> str | None:
        """Return another token when the refused one is dead, ``None`` when it lives and a policy said no."""
        async with self._lock:
            if self._lease is not None and self._lease.token != refused:
                return self._lease.token
            answer = await self._own("GET", "auth/token/lookup-self", refused)
            if answer.status_code != 403 or _is_policy(answer):
                return None
            if isinstance(self._credentials, StaticToken):
                raise self._dead("GET /v1/auth/token/lookup-self")
            self._lease = None
            self._lease = await self._login(self._credentials)
            return self._lease.token

    async def _own(self, method: str, path: str, token: str | None, body: Any = None) -> httpx.Response:
        """Send a request about the token itself. Its failures never leave a record in doubt."""
        content = None if body is None else write_json(body)
        try:
            return await self._send(method, path, token, None, content, method != "GET")
        except PeerError as error:
            if error.kind is FailureKind.AMBIGUOUS:
                error.kind = FailureKind.TRANSIENT
            raise

    def _member(self, operation: str, answer: httpx.Response, name: str) -> Mapping[str, Any]:
        found = (read_answer(operation, answer, write=False, redactor=self._transport.redactor) or {}).get(name)
        if not isinstance(found, dict):
            raise unexpected_shape(operation, f"no object {name!r}", write=False)
        return found

    def _leased(self, token: str, data: Mapping[str, Any], ttl_name: str, *, granted: float = 0.0) -> _Lease:
        ttl = _seconds(data.get(ttl_name))
        if not ttl:
            return _Lease(token)
        now, whole = self._clock(), max(granted, ttl)
        # An older token's time counts from its beginning, so that many short sessions together keep it alive.
        renew_at = now + ttl - whole * (1 - _RENEW_AT)
        return _Lease(token, bool(data.get("renewable")), whole, renew_at, now + ttl)

    def _dead(self, operation: str) -> PeerError:
        return self._auth_error("the token is wrong, expired or revoked; issue a new one", operation)

    def _auth_error(self, message: str, operation: str) -> PeerError:
        return PeerError(PEER, FailureKind.AUTH, self._transport.redactor.text(message), operation=operation)

    def _mask(self) -> None:
        self._transport.redactor = Redactor(self._secrets)


def _known_secrets(credentials: Credentials) -> tuple[str, ...]:
    if isinstance(credentials, StaticToken):
        return (credentials.token,)
    return credentials.role_id, credentials.secret_id


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int) and value > 0 else 0.0


def _is_policy(answer: httpx.Response) -> bool:
    """Whether a 403 speaks of the policies: "1 error occurred: * permission denied".

    A dead token gets "permission denied" alone, or from Vault "2 errors occurred: ... * invalid token".
    """
    return b"1 error occurred" in answer.content
