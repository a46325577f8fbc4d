"""Where a connection's catalog comes from: a file, or a broker's ``/v2/catalog``, read anew by each run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

import orjson

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.pipelines.deployments.catalog import Catalog, load_catalog, parse_catalog
from sync_pipelines.systems.transport import Transport

BROKER = "broker"
"""Name of the peer, for messages and for its limits."""

_OPERATION = "GET /v2/catalog"
_PASSING = frozenset({408, 425})


class CatalogSource(Protocol):
    """Gives a catalog."""

    async def catalog(self) -> Catalog:
        """Return the catalog as it is now.

        Raises:
            ConfigurationError: what is there is no usable catalog.
            PeerError: the broker could not be asked.
        """
        ...


class FileCatalog:
    """A catalog in a JSON or YAML file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def catalog(self) -> Catalog:
        """See :meth:`CatalogSource.catalog`."""
        return await asyncio.to_thread(load_catalog, self._path)


class BrokerCatalog:
    """The catalog that a service broker tells (Open Service Broker API, basic auth).

    Arguments:
        transport: bound to the broker, with its credentials and the header ``X-Broker-API-Version``; closed by the
            caller.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def catalog(self) -> Catalog:
        """See :meth:`CatalogSource.catalog`."""
        response = await self._transport.request("GET", "v2/catalog", operation=_OPERATION)
        status = response.status_code
        if not response.is_success:
            raise self._transport.error(_kind(status), _told(status), response, operation=_OPERATION)
        try:
            document = orjson.loads(response.content)
        except ValueError:
            message = f"{len(response.content)} bytes that are no JSON came as the catalog; was the answer cut?"
            raise self._transport.error(FailureKind.TRANSIENT, message, operation=_OPERATION) from None
        return parse_catalog(document, f"the broker's {_OPERATION}")


def _kind(status: int) -> FailureKind:
    if status == 401:
        return FailureKind.AUTH
    return FailureKind.TRANSIENT if status >= 500 or status in _PASSING else FailureKind.PERMANENT


def _told(status: int) -> str:
    if status == 401:
        return "the broker refuses the login; check catalog.username and catalog.password"
    if status == 412:
        # The specification's answer to a version that the broker does not speak.
        return "the broker does not speak this version of its API; set catalog.api_version"
    if status == 404:
        return "no catalog there; is this the address of a service broker?"
    return "the broker gave no catalog"
