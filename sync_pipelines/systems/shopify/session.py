"""Queries to one shop: tokens, the version that answers, the budget, and errors in answers with status 200."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import httpx

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.shopify import errors
from sync_pipelines.systems.shopify.tokens import Tokens
from sync_pipelines.systems.throttle import NoThrottle, Throttle
from sync_pipelines.systems.transport import LONGEST_WAIT, READ_DELAY, Transport

PEER = "shopify"
VERSION_HEADER = "X-Shopify-API-Version"
TOKEN_HEADER = "X-Shopify-Access-Token"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_LEAST_WAIT = 0.1
_WAITS = 8
"""Times that one query waits for the budget; who is refused more often competes with another app's appetite."""
_OPERATION = re.compile(r"\b(query|mutation)\s+(\w+)")


def shopify_transport(
    base_url: str,
    *,
    throttle: Throttle | None = None,
    secrets: tuple[str, ...] = (),
    timeout: httpx.Timeout = TIMEOUT,
    read_delay: float = READ_DELAY,
) -> Transport:
    """Return a transport to a shop, ``https://<shop>.myshopify.com``. To be closed by the caller."""
    return Transport(
        PEER, base_url, throttle=throttle, timeout=timeout, redactor=Redactor(secrets), read_delay=read_delay
    )


class TooCostly(PeerError):
    """A single query may not cost that much, however full the bucket: fewer records have to be asked for."""


class ShopifySession:
    """Sends queries below ``/admin/api/<version>/``. Everything it sends is a read.

    Arguments:
        transport: to the shop; closed by whoever made it.
        version: ``YYYY-MM``. A retired one is answered by the oldest that is left, without an error; such an answer
            is refused.
        throttle: the transport's, which is told how long the budget is used up.
        sleep: how to wait; given by tests.
    """

    def __init__(
        self,
        transport: Transport,
        tokens: Tokens,
        version: str,
        *,
        throttle: Throttle | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.transport = transport
        self._tokens = tokens
        self._version = version
        self._throttle: Throttle = throttle or NoThrottle()
        self._sleep = sleep

    async def query(self, document: str, variables: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the data of a query, waiting for the budget when it has to.

        Numbers with a fraction are ``Decimal``.

        Raises:
            TooCostly: the query asks for too much at once.
            PeerUnavailable: of kind ``RATE_LIMITED``: the budget stays used up.
            PeerError: any error, also one that came beside data: a list in parts would look like a whole one.
        """
        found = _OPERATION.search(document)
        operation = f"{found[1]} {found[2]}" if found else "query"
        body = {"query": document, "variables": dict(variables or {})}
        for _ in range(_WAITS):
            answer = await self._send(operation, body)
            failures = answer.get("errors")
            if not failures:
                data = answer.get("data")
                if not isinstance(data, Mapping):
                    raise self.transport.error(
                        FailureKind.TRANSIENT, "the answer holds neither data nor errors", operation=operation
                    )
                return data
            rows = failures if isinstance(failures, list) else [{"message": str(failures)}]
            kind, message = errors.of_errors(rows)
            if errors.MAX_COST_EXCEEDED in errors.codes(rows):
                raise TooCostly(PEER, kind, self.transport.redactor.text(message), operation=operation)
            if kind is not FailureKind.RATE_LIMITED:
                raise self.transport.error(kind, message, operation=operation)
            await self._wait(operation, answer)
        raise PeerUnavailable(
            PEER, FailureKind.RATE_LIMITED, "the query budget stays used up by others", operation=operation
        )

    async def _wait(self, operation: str, answer: Mapping[str, Any]) -> None:
        """Wait until the bucket holds what the query costs, and let all other runs wait, too."""
        seconds = _seconds_until_affordable(answer)
        if seconds > LONGEST_WAIT:
            raise PeerUnavailable(
                PEER, FailureKind.RATE_LIMITED, f"the query budget is used up for {seconds:.0f} s", operation=operation
            )
        await self._throttle.wait_until(PEER, seconds)
        await self._sleep(seconds)

    async def _send(self, operation: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        path = f"/admin/api/{self._version}/graphql.json"
        token = await self._tokens.current(self.transport)
        answer = await self._post(path, body, token, operation)
        if answer.status_code == 401 and self._tokens.refused(token):
            token = await self._tokens.current(self.transport)
            answer = await self._post(path, body, token, operation)
        if answer.status_code != 200:
            kind, message = errors.of_status(answer.status_code)
            raise self.transport.error(kind, message, answer, operation=operation)
        self._check_version(answer, operation)
        try:
            document = json.loads(answer.content, parse_float=Decimal)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self.transport.error(FailureKind.TRANSIENT, "the answer is not JSON", answer, operation=operation)
        return document

    async def _post(self, path: str, body: Mapping[str, Any], token: str, operation: str) -> httpx.Response:
        headers = {TOKEN_HEADER: token}
        try:
            return await self.transport.request(
                "POST", path, json=body, headers=headers, write=False, operation=operation
            )
        except PeerError as error:
            # The transport has waited and tried again; what is left is for the next run, and no failure.
            if error.kind is not FailureKind.RATE_LIMITED or isinstance(error, PeerUnavailable):
                raise
            raise PeerUnavailable(
                PEER, error.kind, error.message, status=error.status, retry_after=error.retry_after, operation=operation
            ) from None

    def _check_version(self, answer: httpx.Response, operation: str) -> None:
        answered = answer.headers.get(VERSION_HEADER)
        if answered == self._version:
            return
        if answered is None:
            message = f"the answer does not say its version ({VERSION_HEADER}); is a proxy in between?"
        else:
            message = (
                f"version {self._version} was asked for and {answered} answered: {self._version} is retired or not "
                "out yet; set api_version to a supported one"
            )
        raise self.transport.error(FailureKind.PERMANENT, message, operation=operation)


def _seconds_until_affordable(answer: Mapping[str, Any]) -> float:
    try:
        cost = answer["extensions"]["cost"]
        status = cost["throttleStatus"]
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(_LEAST_WAIT, missing / float(status["restoreRate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 1.0
