"""Requests to the Selling Partner API: a transport for each operation, because each has a budget of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.marketplace_port import CallLimit
from sync_pipelines.core.redaction import Redactor, TokenRedactor
from sync_pipelines.systems.amazon.errors import read_answer
from sync_pipelines.systems.amazon.tokens import LoginKeys, LoginTokens
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import DEFAULT_TIMEOUT, READ_DELAY, Transport

PEER = "amazon"
USER_AGENT = "sync-pipelines/1 (Language=Python)"
SEARCH_ORDERS, GET_ORDER, TRANSACTIONS, LISTINGS, LOGIN = (
    "searchOrders",
    "getOrder",
    "listTransactions",
    "searchListingsItems",
    "login",
)
LIMITS: Mapping[str, CallLimit] = {
    # The next page is three minutes away when the burst is used up: no run sits through that.
    SEARCH_ORDERS: CallLimit(0.0056, 20, longest_wait=1.0),
    GET_ORDER: CallLimit(0.5, 30),
    TRANSACTIONS: CallLimit(0.5, 10),
    LISTINGS: CallLimit(5.0, 5),
    LOGIN: CallLimit(None),
}
"""Default rates and bursts of the usage plans, for one seller and application."""

Params = Sequence[tuple[str, str]]


class AmazonSession:
    """Reads with one seller's consent.

    Arguments:
        transports, throttles: of each operation.
        tokens: the seller's.
        clock: the time now, aware.
    """

    def __init__(
        self,
        transports: Mapping[str, Transport],
        throttles: Mapping[str, Throttle],
        tokens: LoginTokens,
        clock: Callable[[], datetime],
    ) -> None:
        self._transports = transports
        self._throttles = throttles
        self._tokens = tokens
        self._clock = clock

    async def get(self, operation: str, path: str, params: Params = ()) -> dict[str, Any]:
        """Return the JSON object at a path.

        Raises:
            PeerUnavailable: of kind ``RATE_LIMITED``, when the budget of the operation is used up.
            PeerError: anything else, see ``errors``.
        """
        token = await self._tokens.token()
        response = await self._send(operation, path, params, token)
        if response.status_code == 403:
            # A token may be revoked ahead of its time; one more is asked for, then it is the consent or a role.
            token = await self._tokens.token(refused=token)
            response = await self._send(operation, path, params, token)
        return read_answer(PEER, operation, response, self._transports[operation].redactor)

    async def _send(self, operation: str, path: str, params: Params, token: str) -> httpx.Response:
        now = self._clock().astimezone(UTC)
        headers = {"x-amz-access-token": token, "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}"}
        try:
            return await self._transports[operation].request(
                "GET", path, params=list(params) or None, headers=headers, operation=operation
            )
        except PeerUnavailable:
            raise
        except PeerError as error:
            if error.kind is not FailureKind.RATE_LIMITED:
                raise
            raise await self._used_up(operation, error) from None

    async def _used_up(self, operation: str, error: PeerError) -> PeerUnavailable:
        """Note that Amazon counts more calls than we do. It does not say when the next one is due."""
        pause = 1 / (LIMITS[operation].rate or 1.0)
        await self._throttles[operation].wait_until(PEER, pause)
        return PeerUnavailable(
            PEER,
            FailureKind.RATE_LIMITED,
            f"Amazon's quota for {operation} is used up, also by others; the next call is due in {pause:.0f} s",
            status=error.status,
            retry_after=pause,
            operation=operation,
        )


@asynccontextmanager
async def amazon_session(
    endpoint: str,
    token_url: str,
    keys: LoginKeys,
    throttle: Callable[[str], Throttle],
    clock: Callable[[], datetime],
    *,
    timeouts: httpx.Timeout = DEFAULT_TIMEOUT,
    read_delay: float = READ_DELAY,
) -> AsyncIterator[AmazonSession]:
    """Open a session for the time of the block. Sends nothing.

    Arguments:
        endpoint: address of the seller's region.
        token_url: whole address that tokens are asked for at.
        throttle: operation -> its limit.
        clock: the time now, aware; by it tokens end.
        read_delay: seconds before a read that failed is sent again.
    """
    redactor = TokenRedactor(Redactor(), [keys.client_secret, keys.refresh_token])
    throttles = {operation: throttle(operation) for operation in LIMITS}
    async with AsyncExitStack() as stack:
        transports: dict[str, Transport] = {}
        for operation in LIMITS:
            transports[operation] = await stack.enter_async_context(
                Transport(
                    PEER,
                    token_url if operation == LOGIN else endpoint,
                    headers={"User-Agent": USER_AGENT},
                    timeout=timeouts,
                    throttle=throttles[operation],
                    redactor=redactor,
                    read_delay=read_delay,
                )
            )
        tokens = LoginTokens(transports[LOGIN], keys, clock, redactor)
        yield AmazonSession(transports, throttles, tokens, clock)
