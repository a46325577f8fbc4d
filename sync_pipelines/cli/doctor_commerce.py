"""The doctor at a shop: its WooCommerce, its Odoo, and whether they fit the connection."""

from __future__ import annotations

from sqlalchemy import Engine

from sync_pipelines.cli.finding import Finding
from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.commerce.connection import EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.opening import OpenShop, open_shop
from sync_pipelines.pipelines.commerce.orders.odoo_side import services_of
from sync_pipelines.pipelines.commerce.pairs import order_settings
from sync_pipelines.pipelines.commerce.stock_location import location_of
from sync_pipelines.systems.throttle import NoThrottle


async def examine_shop(connection: ShopConnection, engine: Engine, name: str) -> list[Finding]:
    """Try both systems.

    Arguments:
        name: what the connection is called in the findings.
    """
    # Past the shared breakers: a dead URL found here must not stop runs, and an open breaker must not hide the cause.
    async with open_shop(connection, engine, throttle=NoThrottle()) as opened:
        found = [*await _woocommerce(opened, f"{name}: woocommerce"), *await _odoo(opened, f"{name}: odoo")]
    return found


async def _woocommerce(opened: OpenShop, check: str) -> list[Finding]:
    connection = opened.connection
    try:
        problems = await opened.woocommerce.check()
    except SyncError as error:
        problems = [str(error)]
    if problems:
        return [Finding(check, False, problem) for problem in problems]
    try:
        told = await opened.woocommerce.settings()
    except SyncError as error:
        # The key may well do without the right to see the settings; then nobody can compare them.
        return [Finding(check, True, f"{connection.woocommerce.url}; its settings cannot be compared: {error}")]
    meant = {
        "currency": (told.currency, connection.currency),
        "price_digits": (told.price_decimals, connection.price_digits),
        "woocommerce.weight_unit": (told.weight_unit, connection.woocommerce.weight_unit),
    }
    wrong = [
        Finding(check, False, f"{field} is {configured}, but the shop has {actual}; correct the connection")
        for field, (actual, configured) in meant.items()
        if actual != configured
    ]
    if told.prices_include_tax:
        wrong.append(
            Finding(check, False, "the shop enters prices with tax; they would be compared with Odoo's without tax")
        )
    return wrong or [Finding(check, True, f"{connection.woocommerce.url}, prices in {told.currency}")]


async def _odoo(opened: OpenShop, check: str) -> list[Finding]:
    connection, client = opened.connection, opened.odoo
    try:
        version = await client.session.version()
        problems = await client.problems()
        if not problems and EntityType.INVENTORY in connection.entities:
            await location_of(client, connection.stock.location_id)
        if not problems and EntityType.ORDERS in connection.entities:
            await services_of(client, order_settings(connection))
    except SyncError as error:
        problems = [str(error)]
    if problems:
        return [Finding(check, False, problem) for problem in problems]
    return [Finding(check, True, f"{connection.odoo.url}, Odoo {version.text}")]
