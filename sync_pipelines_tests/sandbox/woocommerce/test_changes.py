"""What changes, what moves its time, and what stays, when the API or the staff change a shop."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.woocommerce import ApiError, ShopWorld
from sync_pipelines.sandbox.woocommerce.product_lists import products_found
from sync_pipelines.sandbox.woocommerce.products import field
from sync_pipelines_tests.sandbox.woocommerce.conftest import NOON


def found(client: httpx.Client, path: str, **query: Any) -> list[int]:
    rows = client.get(path, params={**query, "_fields": "id"}).json()
    return [row["id"] for row in rows]


def test_given_an_edit_of_the_staff_then_the_time_moves_and_the_window_shows_it(
    world: ShopWorld, client: httpx.Client
) -> None:
    first, second = world.add_product(name="A", sku="A"), world.add_product(name="B", sku="B")
    world.clock.advance(60)
    world.edit_product(second.id, regular_price="9.90")
    window = {"modified_after": "2026-11-22T12:00:30", "dates_are_gmt": "true"}
    assert found(client, "/products", **window) == [second.id]
    assert (first.modified, second.modified) == (NOON, NOON + 60)


def test_given_a_change_half_an_hour_ago_when_a_zone_meets_the_gmt_flag_then_east_of_greenwich_it_is_lost(
    world: ShopWorld, client: httpx.Client
) -> None:
    product = world.add_product(name="A")
    right = {"modified_after": "2026-11-22T11:30:00", "dates_are_gmt": "true"}
    wrong = {"modified_after": "2026-11-22T11:30:00Z", "dates_are_gmt": "true"}
    assert found(client, "/products", **right) == [product.id]
    assert found(client, "/products", **wrong) == []


def test_given_a_shop_at_greenwich_then_the_same_mistake_goes_unnoticed() -> None:
    world = ShopWorld(zone="UTC", clock=Clock(standing_at=NOON))
    product = world.add_product(name="A")
    wrong = {"modified_after": "2026-11-22T11:30:00Z", "dates_are_gmt": True}
    assert products_found(world, wrong) == [product]


def test_given_a_changed_stock_of_a_variation_then_its_parent_moves_too(world: ShopWorld) -> None:
    parent = world.add_product(name="Shirt", type="variable", attributes=[_size("S", "M")])
    child = world.add_variation(parent.id, sku="S-S", manage_stock=True, stock_quantity=3, attributes=[_choice("S")])
    world.clock.advance(5)
    world.edit_product(child.id, stock_quantity=2)
    assert (child.modified, parent.modified) == (NOON + 5, NOON + 5)


def _size(*options: str) -> dict[str, Any]:
    return {"name": "Size", "variation": True, "options": list(options)}


def _choice(option: str) -> dict[str, Any]:
    return {"name": "Size", "option": option}


def test_given_an_order_then_stock_goes_down_and_comes_back_when_it_is_cancelled(world: ShopWorld) -> None:
    mug = world.add_product(name="Mug", regular_price="5.00", manage_stock=True, stock_quantity=10)
    buyer = world.add_customer(email="buyer@example.test")
    world.clock.advance(10)
    order = world.add_order(
        customer_id=buyer.id, status="processing", line_items=[{"product_id": mug.id, "quantity": 3}]
    )
    assert (field(mug, "stock_quantity"), mug.modified, buyer.modified) == (7, NOON + 10, NOON + 10)
    world.edit_order(order.id, status="cancelled")
    world.edit_order(order.id, status="cancelled")
    assert field(mug, "stock_quantity") == 10


def test_given_a_change_of_lines_that_fails_halfway_then_no_line_changed(
    world: ShopWorld, client: httpx.Client
) -> None:
    mug = world.add_product(name="Mug", regular_price="5.00")
    order = world.add_order(line_items=[{"product_id": mug.id, "quantity": 1}])
    lines = [{"product_id": mug.id, "quantity": 1}, {"id": 987, "quantity": 2}]
    assert client.put(f"/orders/{order.id}", json={"line_items": lines}).status_code == 400
    assert len(order.lines["line_items"]) == 1


def test_given_a_batch_that_breaks_the_server_then_the_items_before_stay_done(
    world: ShopWorld, client: httpx.Client
) -> None:
    answer = client.post("/products/batch", json={"create": [{"name": "Kept", "sku": "K"}, "no object"]})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_server_error")
    assert world.skus.find("K")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(5, "5"), (9.5, "9.5"), (None, ""), ("1e3", "13"), ("1,234.50", "1234.50"), ("9,90abc", "990")],
)
def test_given_a_price_in_a_batch_then_it_is_not_checked_but_cleaned(
    world: ShopWorld, client: httpx.Client, sent: Any, kept: str
) -> None:
    row = client.post("/products/batch", json={"create": [{"name": "P", "regular_price": sent}]}).json()["create"][0]
    assert row["regular_price"] == kept


def test_given_a_code_that_another_request_is_about_to_take_then_the_product_is_not_created(world: ShopWorld) -> None:
    world.held_skus.add("RACE")
    with pytest.raises(ApiError) as refusal:
        world.add_product(name="A", sku="race")
    assert refusal.value.code == "woocommerce_rest_product_not_created"
    world.held_skus.clear()
    assert world.add_product(name="A", sku="race").id


def test_given_the_code_zero_then_the_filter_is_ignored(world: ShopWorld, client: httpx.Client) -> None:
    both = [world.add_product(name="A", sku="A").id, world.add_product(name="B").id]
    assert sorted(found(client, "/products", sku="0")) == both


def _edit_later(world: ShopWorld, number: int) -> None:
    world.clock.advance(1)
    world.edit_product(number)


def test_given_a_row_changed_between_two_pages_then_the_second_page_skips_one(
    world: ShopWorld, client: httpx.Client
) -> None:
    numbers = []
    for index in range(6):
        world.clock.advance(1)
        numbers.append(world.add_product(name=f"P{index}").id)
    world.after("/products$", lambda: _edit_later(world, numbers[0]))
    pages = [found(client, "/products", orderby="modified", order="asc", per_page=3, page=page) for page in (1, 2)]
    assert pages == [numbers[:3], [*numbers[4:], numbers[0]]]


def test_given_a_frozen_window_by_number_then_the_same_change_loses_nothing(
    world: ShopWorld, client: httpx.Client
) -> None:
    numbers = [world.add_product(name=f"P{index}").id for index in range(6)]
    world.after("/products$", lambda: _edit_later(world, numbers[0]))
    pages = [found(client, "/products", orderby="id", order="asc", per_page=3, page=page) for page in (1, 2)]
    assert [number for page in pages for number in page] == numbers


def test_given_a_user_whom_the_shop_never_saved_then_it_has_no_time_of_change_and_is_no_customer(
    world: ShopWorld, client: httpx.Client
) -> None:
    user = world.add_user("boss@example.test", "boss", "shop_manager")
    assert found(client, "/customers") == []
    assert found(client, "/customers", role="all") == [1, user.id]
    assert client.get(f"/customers/{user.id}").json()["date_modified_gmt"] is None


def test_given_lists_in_the_spelling_of_php_then_they_are_read(world: ShopWorld, client: httpx.Client) -> None:
    numbers = [world.add_product(name=f"P{index}").id for index in range(3)]
    answer = client.get(f"/products?include[]={numbers[2]}&include[1]={numbers[0]}&orderby=include")
    assert [row["id"] for row in answer.json()] == [numbers[2], numbers[0]]


def test_given_a_listing_read_again_after_a_change_then_it_is_not_the_old_one(
    world: ShopWorld, client: httpx.Client
) -> None:
    product = world.add_product(name="Old")
    assert client.get("/products", params={"_fields": "name"}).json() == [{"name": "Old"}]
    world.edit_product(product.id, name="New & better")
    assert client.get("/products", params={"_fields": "name"}).json() == [{"name": "New &amp; better"}]


def test_given_a_refund_of_lines_then_pieces_come_back_and_the_rest_can_be_refunded(world: ShopWorld) -> None:
    mug = world.add_product(name="Mug", regular_price="5.00", manage_stock=True, stock_quantity=10)
    order = world.add_order(status="completed", line_items=[{"product_id": mug.id, "quantity": 2}])
    world.refund_order(order.id, "4.00", "Scratch")
    assert order.status == "completed"
    with pytest.raises(ApiError) as refusal:
        world.refund_order(order.id, "6.01")
    assert (refusal.value.status, refusal.value.data) == (500, 500)
    world.refund_order(order.id, "6.00")
    assert (order.status, len(order.refunds)) == ("refunded", 2)
