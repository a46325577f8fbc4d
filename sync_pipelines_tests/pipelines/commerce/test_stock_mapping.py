"""Stock as records: which products keep one, what a quantity is, and what is counted."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sync_pipelines.core.records import Record
from sync_pipelines.pipelines.commerce.inventory.fields import INVENTORY
from sync_pipelines.pipelines.commerce.inventory.mapping import (
    Stocked,
    StockSettings,
    blocked_in_odoo,
    stock_count,
    stock_of_odoo,
    stock_of_woo,
    woo_values,
)
from sync_pipelines.pipelines.commerce.linked import Linked
from sync_pipelines.systems.woocommerce import Article, ManagesStock

AVAILABLE, FREE = StockSettings(5), StockSettings(5, "free")
YES = ManagesStock.YES


def _article(sku: str = "MUG", stock: str | None = "3", keeps: ManagesStock = YES, kind: str = "simple") -> Article:
    quantity = None if stock is None else Decimal(stock)
    return Article(id=7, parent_id=2, type=kind, sku=sku, manage_stock=keeps, stock_quantity=quantity)


def _variant(available: str = "3", free: str = "3", **values: object) -> Stocked:
    usual = {"id": 100, "code": "MUG", "active": True, "is_storable": True}
    return Stocked(**{**usual, "available": Decimal(available), "free": Decimal(free), **values})  # type: ignore[arg-type]  # given by name


def test_given_a_product_that_keeps_stock_then_it_is_a_whole_number_under_its_sku() -> None:
    record = stock_of_woo(_article(" mug "))
    assert record is not None
    assert (record.key, record.natural_key, record.content) == ("2/7", "MUG", {"quantity": 3})


@pytest.mark.parametrize(
    ("article", "why"),
    [
        (_article(keeps=ManagesStock.NO), "the shop keeps no stock"),
        (_article(keeps=ManagesStock.PARENT), "one stock for all variations"),
        (_article(kind="variable"), "one stock for all variations"),
    ],
)
def test_given_a_product_without_a_stock_of_its_own_then_it_is_withheld(article: Article, why: str) -> None:
    record = stock_of_woo(article)
    assert record is not None
    assert why in (record.withheld or "")
    assert record.content == {}


def test_given_no_sku_then_there_is_no_record_and_given_no_quantity_then_it_is_invalid() -> None:
    assert stock_of_woo(_article(" ")) is None
    told_none = stock_of_woo(_article(stock=None))
    assert told_none is not None
    assert "tells none" in (told_none.invalid or "")


@pytest.mark.parametrize(
    ("available", "free", "settings", "quantity"),
    [
        ("3.0", "1.0", AVAILABLE, 3),
        ("3.0", "1.0", FREE, 1),
        ("2.99", "2.99", AVAILABLE, 2),
        ("-0.5", "-0.5", AVAILABLE, -1),
        ("-2", "-2", AVAILABLE, -2),
    ],
)
def test_given_a_stock_of_odoo_then_it_is_cut_to_whole_pieces(
    available: str, free: str, settings: StockSettings, quantity: int
) -> None:
    record = stock_of_odoo(_variant(available, free), Linked(), settings)
    assert record is not None
    assert record.content == {"quantity": quantity}


@pytest.mark.parametrize(
    ("variant", "why"),
    [(_variant(is_storable=False), "keeps no stock"), (_variant(active=False), "archived")],
)
def test_given_a_variant_without_stock_then_it_is_withheld(variant: Stocked, why: str) -> None:
    record = stock_of_odoo(variant, Linked(), AVAILABLE)
    assert record is not None
    assert why in (record.withheld or "")


def test_given_a_linked_variant_then_the_link_says_its_sku_and_not_its_code() -> None:
    record = stock_of_odoo(_variant(code="M_U_G"), Linked(variants={"MUG": 100}), AVAILABLE)
    assert record is not None
    assert record.natural_key == "MUG"
    assert stock_of_odoo(_variant(code=""), Linked(), AVAILABLE) is None


def test_given_a_quantity_when_it_is_written_then_its_form_is_that_of_the_side() -> None:
    current = Record("100", "MUG", {"quantity": 1}, meta={"reserved": Decimal(2)})
    assert woo_values({"quantity": Decimal("4.0")}) == {"stock_quantity": 4}
    assert stock_count(current, {"quantity": 4}, AVAILABLE).quantity == 4
    # What is reserved lies there as well.
    assert stock_count(current, {"quantity": 4}, FREE).quantity == 6


def test_given_more_sold_than_there_is_when_it_is_to_be_counted_then_it_is_blocked() -> None:
    assert blocked_in_odoo({"quantity": 0}, {"quantity": -3}, ["quantity"]).keys() == {"quantity"}
    assert blocked_in_odoo({"quantity": 0}, {"quantity": 0}, ["quantity"]) == {}
    with pytest.raises(ValueError, match="below nothing"):
        stock_count(Record("1", "MUG", {}, meta={"reserved": 0}), {"quantity": -3}, AVAILABLE)


def test_given_the_table_then_odoo_decides_about_stock() -> None:
    assert INVENTORY["quantity"].owner == "odoo"
