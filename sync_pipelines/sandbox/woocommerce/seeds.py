"""Fills shops: with the demo's records, or with many that are made up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.woocommerce.catalogue import add_term
from sync_pipelines.sandbox.woocommerce.customers import BILLING, SHIPPING
from sync_pipelines.sandbox.woocommerce.model import Coupon, Customer, Meta, Order, Product, Refund
from sync_pipelines.sandbox.woocommerce.products import field
from sync_pipelines.sandbox.woocommerce.state import DEFAULT_CATEGORY
from sync_pipelines.sandbox.woocommerce.world import ShopWorld

_SHOP = Path(__file__).parents[1] / "data" / "commerce" / "woocommerce_shop.json.gz"
_LINES = ("line_items", "shipping_lines", "fee_lines", "coupon_lines")
_YEAR_SECONDS = 365 * 24 * 3600


def seed_demo(world: ShopWorld) -> None:
    """Fill an empty shop with the demo's: 200 products, 67 variations, 150 customers, 120 orders, as they were read."""
    shop: Mapping[str, Any] = json.loads(gzip.decompress(_SHOP.read_bytes()))
    with world.guard:
        for name in shop["categories"].values():
            add_term(world, name)
        for row in shop["products"]:
            _keep_product(world, Product(**row))
        for row in shop["customers"]:
            _keep_customer(world, row)
        for row in shop["coupons"]:
            coupon = Coupon(**row)
            coupon.modified = coupon.created
            world.coupons[coupon.id] = coupon
        for row in shop["orders"]:
            _keep_order(world, row)
        last = max(
            [*world.products, *world.coupons, *(it.id for order in world.orders.values() for it in order.refunds)]
        )
        world.numbers_above("post", max(last, *world.orders))
        world.revision += 1


def seed_bulk(world: ShopWorld, *, products: int = 0, customers: int = 0, orders: int = 0) -> None:
    """Add made-up records, fast; their times are spread over the year before now, the oldest first.

    Product n has the code ``SKU-<n>``, customer n the address ``customer<n>@example.test``, each from 0; orders are
    those of the customers, with one line each.
    """
    with world.guard:
        end = world.now() - 1
        first = world.next_number("post")
        for index in range(products):
            _keep_product(world, _bulk_product(first + index, index, end - _spread(index, products)))
        start = world.next_number("user")
        for index in range(customers):
            _keep_customer(world, _bulk_customer(start + index, index, end - _spread(index, customers)))
        world.numbers_above("post", first + products)
        if products and customers:
            for index in range(orders):
                world.add_order(
                    customer_id=start + index % customers,
                    line_items=[{"product_id": first + index % products, "quantity": 1 + index % 3}],
                )
        world.pending_deliveries.clear()
        world.revision += 1


def _spread(index: int, count: int) -> int:
    return _YEAR_SECONDS * (count - index) // max(count, 1)


def _bulk_product(number: int, index: int, when: int) -> Product:
    values = {
        "name": f"Product {index:05d}",
        "slug": f"product-{index:05d}",
        "sku": f"SKU-{index}",
        "regular_price": f"{1 + index % 200}.{index % 10}0",
        "manage_stock": True,
        "stock_quantity": 1 + index % 50,
        "weight": f"0.{1 + index % 9}",
        "categories": [DEFAULT_CATEGORY],
    }
    return Product(id=number, created=when, modified=when, values=values)


def _bulk_customer(number: int, index: int, when: int) -> dict[str, Any]:
    names = {"first_name": f"First{index}", "last_name": f"Last{index}"}
    place = {"address_1": f"Street {index}", "city": "Berlin", "postcode": f"{10000 + index % 4000}", "country": "DE"}
    email = f"customer{index}@example.test"
    return {
        "id": number,
        "email": email,
        "username": f"customer{index}",
        **names,
        "created": when,
        "modified": when,
        "is_paying": False,
        "billing": {**names, **place, "email": email},
        "shipping": {**names, **place},
    }


def _keep_product(world: ShopWorld, product: Product) -> None:
    world.products[product.id] = product
    world.skus.add(field(product, "sku"), product.id)
    world.gtins.add(field(product, "global_unique_id"), product.id)
    world.slugs.add(field(product, "slug"), product.id)
    world.numbers_above("post", product.id)
    if product.parent:
        world.products[product.parent].variations.append(product.id)


def _keep_customer(world: ShopWorld, row: Mapping[str, Any]) -> None:
    customer = Customer(**row)
    customer.billing = dict.fromkeys(BILLING, "") | customer.billing
    customer.shipping = dict.fromkeys(SHIPPING, "") | customer.shipping
    customer.meta = [Meta(world.next_number("meta"), "default_password_nag", "1")]
    world.customers[customer.id] = customer
    world.emails.add(customer.email, customer.id)
    world.usernames.add(customer.username, customer.id)
    world.numbers_above("user", customer.id)


def _keep_order(world: ShopWorld, row: Mapping[str, Any]) -> None:
    refunds = [Refund(**it, created=row["modified"]) for it in row["refunds"]]
    order = Order(**{**row, "refunds": refunds})
    order.billing = dict.fromkeys(BILLING, "") | order.billing
    order.shipping = dict.fromkeys(SHIPPING, "") | order.shipping
    order.values["taken_stock"] = _taken_stock(order)
    world.orders[order.id] = order
    for kind in _LINES:
        for line in order.lines.get(kind, ()):
            world.numbers_above("item", line["id"])
            for meta in line["meta_data"]:
                world.numbers_above("meta", meta["id"])


def _taken_stock(order: Order) -> dict[int, tuple[int, int]]:
    taken = {}
    for line in order.lines.get("line_items", ()):
        pieces = next((int(meta["value"]) for meta in line["meta_data"] if meta["key"] == "_reduced_stock"), 0)
        if pieces:
            taken[line["id"]] = line["variation_id"] or line["product_id"], pieces
    return taken
