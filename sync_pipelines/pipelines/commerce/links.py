"""What the store knows of a shop before an entity is read: which records belong together, and who the guests are."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text

from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.pipelines.commerce.connection import NAME, EntityType, ShopConnection
from sync_pipelines.pipelines.commerce.linked import Linked
from sync_pipelines.pipelines.commerce.opening import OpenShop
from sync_pipelines.pipelines.commerce.products.mapping import TEMPLATE
from sync_pipelines.pipelines.commerce.values import email_key
from sync_pipelines.store.merged_records import Scopes

_LINKS = text(
    # What a run has just made stands in the base of its side until the next merge takes it over.
    "SELECT coalesce(m.left_key, l.right_key) AS shop_key, coalesce(m.right_key, r.right_key) AS odoo_key, "
    "m.content->>'sku' AS sku FROM sync.merged m JOIN sync.scope s ON s.id = m.scope_id "
    "LEFT JOIN sync.scope ls ON ls.pair = 'commerce_woocommerce' AND ls.name = s.name "
    "LEFT JOIN sync.base l ON l.scope_id = ls.id AND l.left_key = m.key "
    "LEFT JOIN sync.scope rs ON rs.pair = 'commerce_odoo' AND rs.name = s.name "
    "LEFT JOIN sync.base r ON r.scope_id = rs.id AND r.left_key = m.key "
    "WHERE s.pair = :pair AND s.name = :scope AND m.gone IS NULL"
)
_ORDERS = "FROM sync.record r JOIN sync.scope s ON s.id = r.scope_id AND s.pair = 'commerce_woocommerce' "
_GUESTS = text(
    f"SELECT DISTINCT r.content->'customer'->>'email' AS email {_ORDERS}"
    "WHERE s.name = :orders AND r.side = 'right' AND r.content->'customer'->>'id' IS NULL "
    "AND r.content->'customer'->>'email' IS NOT NULL"
)
_WAS_READ = text(
    "SELECT EXISTS (SELECT FROM sync.snapshot p JOIN sync.scope s ON s.id = p.scope_id "
    "WHERE s.pair = 'commerce_woocommerce' AND s.name = :orders AND p.side = 'right')"
)
_WAITING = text(
    f"SELECT r.natural_key {_ORDERS}"
    "WHERE s.name = :orders AND r.side = 'right' AND r.withheld IS NOT NULL ORDER BY r.natural_key"
)
_ADOPT = text(
    "INSERT INTO sync.merged (scope_id, natural_key, left_key, right_key, content) "
    "SELECT :scope_id, l.natural_key, l.key, min(r.key), '{}' FROM sync.record r "
    "JOIN sync.record l ON l.scope_id = :left_scope AND l.side = 'right' AND l.key = r.meta->>'shop_id' "
    "WHERE r.scope_id = :right_scope AND r.side = 'right' AND r.withheld IS NULL "
    "AND l.withheld IS NULL AND l.invalid IS NULL "
    "AND NOT EXISTS (SELECT FROM sync.merged m WHERE m.scope_id = :scope_id AND m.left_key = l.key) "
    "AND NOT EXISTS (SELECT FROM sync.merged m WHERE m.scope_id = :scope_id AND m.right_key = r.key) "
    "GROUP BY l.natural_key, l.key HAVING count(*) = 1"
)


def linked_of(engine: Engine, connection: ShopConnection) -> Linked:
    """Return the links of customers and products, as the runs before made them."""
    with engine.connect() as store:
        customers = store.execute(_LINKS, _scope(connection, EntityType.CUSTOMERS)).all()
        products = store.execute(_LINKS, _scope(connection, EntityType.PRODUCTS)).all()
    return Linked(
        partners={int(row.shop_key): int(row.odoo_key) for row in customers if row.shop_key and row.odoo_key},
        variants={
            row.sku: int(row.odoo_key)
            for row in products
            if row.sku and row.odoo_key and not row.odoo_key.startswith(TEMPLATE)
        },
    )


def waiting_orders(engine: Engine, connection: ShopConnection) -> list[str]:
    """Return the natural keys of the orders that waited for a link when they were read last.

    They do not move in the shop when their customer or product is linked at last.
    """
    with engine.connect() as store:
        return list(store.execute(_WAITING, {"orders": connection.scope(EntityType.ORDERS)}).scalars())


async def guests_of(engine: Engine, opened: OpenShop) -> frozenset[str]:
    """Return the e-mail addresses of orders without a customer: their partners in Odoo are no customers of the shop.

    They are known from the orders that were read last; the shop is asked before the first time.
    """
    connection = opened.connection
    if EntityType.ORDERS not in connection.entities:
        return frozenset()
    known = await in_thread(_known_guests, engine, connection)
    if known is not None:
        return known
    found: set[str] = set()
    async for page in opened.woocommerce.orders.pages(Sweep(), fields=("status", "customer_id", "billing")):
        found |= {email_key(order.billing.email) for order in page.rows if not order.customer_id}
    return frozenset(found - {""})


def adopt_by_reference(store: Connection, scopes: Scopes) -> int:
    """Link customers with the partners that carry their reference, before e-mail addresses are looked at.

    The two are the same, whatever they say: an address that was changed in one system must not make a second customer.

    Returns:
        How many were linked.
    """
    return store.execute(_ADOPT, scopes.ids).rowcount


def _known_guests(engine: Engine, connection: ShopConnection) -> frozenset[str] | None:
    orders = {"orders": connection.scope(EntityType.ORDERS)}
    with engine.connect() as store:
        if not store.execute(_WAS_READ, orders).scalar_one():
            return None
        return frozenset(store.execute(_GUESTS, orders).scalars())


def _scope(connection: ShopConnection, entity: EntityType) -> dict[str, str]:
    return {"pair": NAME, "scope": connection.scope(entity)}
