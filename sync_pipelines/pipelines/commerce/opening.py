"""Opens a shop: clients of both systems, with the limits and breakers that all runs share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine

from sync_pipelines.core.redaction import Redactor
from sync_pipelines.pipelines.commerce.connection import ShopConnection
from sync_pipelines.pipelines.connection_fields import Limits
from sync_pipelines.store.peers import PeerGate, PeerLimits
from sync_pipelines.systems.odoo import PEER as ODOO
from sync_pipelines.systems.odoo import OdooClient, OdooSession
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import READ_DELAY, TransportStats
from sync_pipelines.systems.woocommerce import PEER as WOOCOMMERCE
from sync_pipelines.systems.woocommerce import Keys, WooCommerceClient, woocommerce_transport

CONNECT_SECONDS = 5.0
"""A host that does not accept a connection by then is out of reach."""
PEERS = (WOOCOMMERCE, ODOO)
"""Names of the systems, left and right."""


@dataclass(frozen=True)
class OpenShop:
    """A shop whose systems can be talked to."""

    connection: ShopConnection
    woocommerce: WooCommerceClient
    odoo: OdooClient

    @property
    def peer_seconds(self) -> dict[str, float]:
        """Seconds spent waiting for each system."""
        return {peer: round(stats.total_seconds, 3) for peer, stats in self._stats.items()}

    @property
    def peer_requests(self) -> dict[str, int]:
        """Requests sent to each system."""
        return {peer: sum(stats.requests.values()) for peer, stats in self._stats.items()}

    @property
    def _stats(self) -> dict[str, TransportStats]:
        return {WOOCOMMERCE: self.woocommerce.stats, ODOO: self.odoo.session.stats}


@asynccontextmanager
async def open_shop(
    connection: ShopConnection,
    engine: Engine,
    *,
    throttle: Throttle | None = None,
    read_delay: float = READ_DELAY,
) -> AsyncIterator[OpenShop]:
    """Open both systems of a shop for the time of the block. Sends nothing.

    Arguments:
        engine: the store's database.
        throttle: what both systems are asked through; by default the limits and breakers that all runs share.
        read_delay: seconds before a read that failed is sent again.
    """
    shop, erp = connection.woocommerce, connection.odoo
    keys = Keys(shop.consumer_key.reveal(), shop.consumer_secret.reveal())
    redactor = Redactor([keys.key, keys.secret, erp.key.reveal()])
    async with (
        woocommerce_transport(
            shop.url,
            keys,
            auth=shop.auth,
            throttle=throttle or _gate(engine, shop.limits, shop.url),
            redactor=redactor,
            timeout=_timeout(shop.timeout_seconds),
            max_in_flight=connection.in_flight,
            read_delay=read_delay,
        ) as transport,
        OdooSession(
            erp.url,
            key=erp.key.reveal(),
            database=erp.database,
            login=erp.login,
            protocol=erp.protocol,
            lang=erp.language,
            throttle=throttle or _gate(engine, erp.limits, erp.url),
            redactor=redactor,
            timeout=_timeout(erp.timeout_seconds),
            read_delay=read_delay,
        ) as session,
    ):
        yield OpenShop(connection, WooCommerceClient(transport), OdooClient(session))


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


def _gate(engine: Engine, limits: Limits, url: str) -> PeerGate:
    # Connections to one server share its bucket and breaker; those to another have their own.
    return PeerGate(engine, PeerLimits(rate=limits.requests_per_second, burst=limits.burst), urlsplit(url).netloc)
