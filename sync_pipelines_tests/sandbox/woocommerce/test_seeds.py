"""The demo's shop and shops of any size."""

from __future__ import annotations

from collections import Counter

import httpx

from sync_pipelines.sandbox.woocommerce import ShopWorld, WooCommerceStandIn, seed_bulk, seed_demo
from sync_pipelines.sandbox.woocommerce.products import field


def test_given_the_demo_then_it_holds_what_was_read_of_the_real_shop() -> None:
    world = WooCommerceStandIn.demo().world
    assert Counter(product.type for product in world.products.values()) == {
        "simple": 178,
        "variable": 22,
        "variation": 67,
    }
    assert (len(world.customers), len(world.orders)) == (151, 120)
    assert sum(order.customer_id == 0 for order in world.orders.values()) == 15
    assert sum(bool(order.refunds) for order in world.orders.values()) == 3
    assert field(world.products[14], "name") == "Salt &amp; pepper set, walnut"
    assert field(world.products[184], "stock_quantity") == -3
    assert world.products[221].parent in world.products


def test_given_the_demo_when_something_is_added_then_its_number_is_new(world: ShopWorld, client: httpx.Client) -> None:
    seed_demo(world)
    assert world.add_product(name="New").id == 402
    assert world.add_customer(email="new@example.test").id == 152
    assert client.get("/orders", params={"search": "zelda.hazelby129@mail.example.test"}).headers["X-WP-Total"] != "0"


def test_given_ten_thousand_products_when_paged_through_then_each_is_told_once_and_made_once(
    world: ShopWorld, client: httpx.Client
) -> None:
    seed_bulk(world, products=10_000, customers=10_000)
    query = {"orderby": "id", "order": "asc", "per_page": "100", "_fields": "id,sku"}
    seen: list[int] = []
    for page in (1, 2, 99, 100):
        answer = client.get("/products", params={**query, "page": str(page)})
        seen += [row["id"] for row in answer.json()]
    assert (len(seen), len(set(seen)), answer.headers["X-WP-TotalPages"]) == (400, 400, "100")
    shown = [product for product in world.products.values() if product.texts]
    assert len(shown) == 400
    assert client.get("/customers", params={"per_page": "1"}).headers["X-WP-Total"] == "10000"


def test_given_made_up_orders_then_they_belong_to_made_up_customers(world: ShopWorld) -> None:
    seed_bulk(world, products=5, customers=3, orders=4)
    assert [order.customer_id for order in world.orders.values()] == [2, 3, 4, 2]
    assert not world.pending_deliveries
