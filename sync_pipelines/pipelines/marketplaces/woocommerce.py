"""WooCommerce as a marketplace: a shop of one's own, pulled like the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from sync_pipelines.core.marketplace_port import CallLimit, Page, Scan, Watermark
from sync_pipelines.core.marketplaces import (
    ItemError,
    Order,
    OrderItem,
    OrderStatus,
    ProblemKind,
    Product,
    ProductStatus,
    without,
)
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.connection_fields import HttpUrl, Limits
from sync_pipelines.pipelines.marketplaces.marketplace import Access, Marketplace, Opening
from sync_pipelines.settings import SecretReference
from sync_pipelines.systems import woocommerce as shop
from sync_pipelines.systems.woocommerce.collection import Collection, Kind
from sync_pipelines.systems.woocommerce.resources import ORDERS, PRODUCTS, READ_VARIATIONS
from sync_pipelines.systems.woocommerce.session import WooCommerceSession

OVERLAP = timedelta(minutes=5)
"""More than two clocks that are kept right differ by, and than a shop takes to save an order."""
SCAN_EVERY = timedelta(days=1)
"""What was deleted shows only in a list of all ids."""
PERSONAL = frozenset(
    {"billing", "shipping", "customer_id", "customer_note", "customer_ip_address", "customer_user_agent"}
    | {"transaction_id", "meta_data", "order_key"}
)
"""Fields that tell of the customer, or may: plugins keep what they like in the meta data."""

STATUSES: Mapping[str, OrderStatus] = {
    "checkout-draft": OrderStatus.NEW,
    "pending": OrderStatus.NEW,
    "processing": OrderStatus.PROCESSING,
    "on-hold": OrderStatus.ON_HOLD,
    "failed": OrderStatus.ON_HOLD,
    "completed": OrderStatus.COMPLETED,
    "cancelled": OrderStatus.CANCELED,
    "refunded": OrderStatus.REFUNDED,
}

_Read = tuple[Any, Mapping[str, Any]]
_ParsedT = TypeVar("_ParsedT")


class WooCommerceAccess(Access):
    """A shop.

    Attributes:
        url: its own address; over http exactly the one that WordPress has for itself, which is part of what is signed.
        consumer_key, consumer_secret: of a REST API key that may read.
        auth: ``auto`` is ``basic`` over https and ``oauth`` over http.
        timeout_seconds: how long each step of a request may take.
    """

    url: HttpUrl
    consumer_key: SecretReference
    consumer_secret: SecretReference
    auth: Literal["auto", "basic", "oauth"] = "auto"
    timeout_seconds: float = Field(default=60, gt=0)
    limits: Limits = Limits()

    @property
    def server(self) -> str:
        """The shop's host."""
        return urlsplit(self.url).netloc


class WooCommerceAdapter:
    """Reads a shop's orders and products. Fills in ``core.marketplace_port.Adapter``.

    A list that is read in the order of ids cannot be gone on with in the middle, so the watermark moves with the last
    page: to the latest change that was seen, but not beyond the beginning of the reading, for what changed on a page
    that was read already comes with the next run only.
    """

    def __init__(self, session: WooCommerceSession, clock: Callable[[], datetime]) -> None:
        self._session = session
        self._clock = clock

    async def orders_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Order]]:
        """Yield orders by their time of change; once a day the keys of all orders."""
        orders = Collection(self._session, "orders", _raw(ORDERS))
        async for page in self._changed(orders, watermark, _orders_of):
            yield page

    async def orders_between(self, first: datetime, last: datetime) -> AsyncIterator[Page[Order]]:
        """Yield the orders that were placed or changed in a window."""
        orders = Collection(self._session, "orders", _raw(ORDERS))
        for window in (shop.Window(first, last, created=True), shop.Window(first, last)):
            async for page in orders.pages(Sweep(), window):
                yield Page(await _orders_of(page.rows), Watermark({}, None), _malformed(page.malformed))

    async def products_since(self, watermark: Watermark | None) -> AsyncIterator[Page[Product]]:
        """Yield products by their time of change, which a change of a variation moves, too."""
        products = Collection(self._session, "products", _raw(PRODUCTS))
        currency = (await shop.WooCommerceClient(self._session.transport).settings()).currency

        async def rows(read: tuple[_Read, ...]) -> tuple[Product, ...]:
            return tuple([product for one in read for product in await self._variants(one, currency)])

        async for page in self._changed(products, watermark, rows):
            yield page

    async def check(self) -> list[str]:
        """Return what is wrong with the connection."""
        return await shop.WooCommerceClient(self._session.transport).check()

    async def _changed(
        self, collection: Collection[_Read], watermark: Watermark | None, convert: Callable[[tuple[_Read, ...]], Any]
    ) -> AsyncIterator[Page[Any]]:
        began = self._clock()
        state = {} if watermark is None else dict(watermark.state)
        before = watermark or Watermark({}, None)
        since = datetime.fromisoformat(state["since"]) if "since" in state else None
        latest, sweep = since, Sweep()
        window = None if since is None else shop.Window(since - OVERLAP)
        async for page in collection.pages(sweep, window):
            times = [parsed.modified for parsed, _ in page.rows if parsed.modified is not None]
            latest = max([*times, latest or times[0]]) if times else latest
            yield Page(await convert(page.rows), before, _malformed(page.malformed))
        if latest is not None:
            state["since"] = min(latest, began).isoformat()
        scan = None
        scanned = state.get("scanned")
        if scanned is None or datetime.fromisoformat(scanned) <= began - SCAN_EVERY:
            scan = await self._scan(collection, began)
            state["scanned"] = began.isoformat()
        yield Page((), Watermark(state, began), scan=scan)

    async def _scan(self, collection: Collection[_Read], began: datetime) -> Scan | None:
        sweep = Sweep()
        ids = await collection.ids(sweep)
        keys = tuple(map(str, sorted(ids)))
        return None if sweep.gaps else Scan(began.isoformat(), keys, ends=True, total=sweep.declared)

    async def _variants(self, read: _Read, currency: str) -> list[Product]:
        product, raw = read
        if product.type != "variable":
            return [_product(product, product, raw, "", currency)]
        found: list[Product] = []
        path = f"products/{product.id}/variations"
        variations = Collection(self._session, path, _raw(READ_VARIATIONS))
        async for page in variations.pages(Sweep()):
            found += [_product(product, one, row, str(one.id), currency) for one, row in page.rows]
        return found


def _raw(kind: Kind[_ParsedT]) -> Kind[tuple[_ParsedT, Mapping[str, Any]]]:
    """Keep the answer beside what was read of it."""
    return Kind(lambda row: (kind.parse(row), row), kind.fields, {}, context=kind.context, filters=kind.filters)


def _malformed(rows: tuple[shop.MalformedRecord, ...]) -> tuple[ItemError, ...]:
    return tuple(
        ItemError(
            ProblemKind.UNREADABLE, "" if row.record_id is None else str(row.record_id), f"{row.place}: {row.message}"
        )
        for row in rows
    )


async def _orders_of(read: tuple[_Read, ...]) -> tuple[Order, ...]:
    return tuple(order_of(order, raw) for order, raw in read)


def order_of(order: shop.Order, raw: Mapping[str, Any]) -> Order:
    """Return an order of the shop in the common form."""
    nothing = Decimal(0).quantize(order.total)
    refunded = -sum((refund.total for refund in order.refunds), nothing)
    status = STATUSES.get(order.status, OrderStatus.PROCESSING)
    fees = sum((fee.total for fee in order.fee_lines), nothing)
    return Order(
        order_key=str(order.id),
        display_number=order.number or str(order.id),
        status=status,
        raw_status=(order.status,),
        status_unmapped=order.status not in STATUSES,
        currency=order.currency,
        total=order.total,
        canceled_total=order.total - refunded if status is OrderStatus.CANCELED else nothing,
        refunded_total=refunded,
        items_total=order.total - order.total_tax - order.shipping_total - fees,
        ordered_at=order.created,
        updated_at=order.modified,
        items=tuple(_item(order, line, status) for line in order.lines),
        raw=without(raw, PERSONAL),
    )


def _item(order: shop.Order, line: shop.OrderLine, status: OrderStatus) -> OrderItem:
    return OrderItem(
        item_key=str(line.id),
        sku=line.sku or None,
        product_key=str(line.product_id) if line.product_id else None,
        variant_key=str(line.variation_id) if line.variation_id else None,
        title=line.name,
        quantity=line.quantity,
        status=status,
        currency=order.currency,
        unit_price=line.price,
        discount=line.subtotal - line.total,
        line_total=line.total,
    )


def _product(
    product: shop.Product, article: shop.Article, raw: Mapping[str, Any], variant_key: str, currency: str
) -> Product:
    return Product(
        product_key=str(product.id),
        variant_key=variant_key,
        sku=article.sku or None,
        title=product.name,
        status=_product_status(product.status, article),
        raw_status=(article.status, article.stock_status),
        currency=currency,
        price=article.price,
        stock=article.stock_quantity,
        updated_at=article.modified,
        raw=without(raw, PERSONAL),
    )


def _product_status(status: str, article: shop.Article) -> ProductStatus:
    if status == "pending":
        return ProductStatus.PENDING
    if status != "publish" or article.status != "publish":
        return ProductStatus.INACTIVE
    return ProductStatus.OUT_OF_STOCK if article.stock_status == "outofstock" else ProductStatus.ACTIVE


def _calls(access: WooCommerceAccess) -> Mapping[str, CallLimit]:
    return {"rest": CallLimit(access.limits.requests_per_second, access.limits.burst)}


@asynccontextmanager
async def _open(access: WooCommerceAccess, opening: Opening) -> AsyncIterator[WooCommerceAdapter]:
    keys = shop.Keys(access.consumer_key.reveal(), access.consumer_secret.reveal())
    async with shop.woocommerce_transport(
        access.url,
        keys,
        auth=access.auth,
        throttle=opening.throttle("rest"),
        timeout=httpx.Timeout(access.timeout_seconds, connect=5.0),
        read_delay=opening.read_delay,
    ) as transport:
        yield WooCommerceAdapter(WooCommerceSession(transport), opening.clock)


WOOCOMMERCE = Marketplace("woocommerce", "WooCommerce", WooCommerceAccess, _calls, _open)
