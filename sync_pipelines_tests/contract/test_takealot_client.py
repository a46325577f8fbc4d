"""What the client of Takealot makes of answers, good and bad."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.faults import Lie, Rewrite
from sync_pipelines.sandbox.takealot import DEMO_KEY, TakealotStandIn
from sync_pipelines.systems.takealot.client import TakealotClient
from sync_pipelines.systems.takealot.models import Offer, Sale, Unreadable
from sync_pipelines.systems.takealot.parsing import read_offer, read_return, read_sale, read_transaction
from sync_pipelines.systems.takealot.session import takealot_transport

T = TypeVar("T")
JSON = "application/json"
FIRST, LAST = date(2026, 11, 10), date(2026, 11, 20)


def ask(standin: TakealotStandIn, question: Callable[[TakealotClient], Awaitable[T]], key: str = DEMO_KEY) -> T:
    """Serve a stand-in and ask it something."""

    async def asked(url: str) -> T:
        async with takealot_transport(url, key, read_delay=0.0) as transport:
            return await question(TakealotClient(transport))

    with standin.running() as url:
        return asyncio.run(asked(url))


def test_all_sales_of_some_days_come_once() -> None:
    sales = ask(TakealotStandIn.demo(), lambda client: client.sales(FIRST, LAST))
    assert sales is not None
    assert len({sale.order_item_id for sale in sales.sales}) == len(sales.sales) == 198


def test_more_sales_than_wanted_cost_one_page() -> None:
    standin = TakealotStandIn.demo()
    assert ask(standin, lambda client: client.sales(FIRST, LAST, most=197)) is None
    assert len(standin.world.requests) == 1


def test_stock_of_both_kinds_of_warehouses_is_added_up() -> None:
    page = ask(TakealotStandIn.demo(), lambda client: client.offers())
    assert (page.count, len(page.offers), page.ends) == (80, 80, True)
    assert page.offers[1].stock == Decimal(10)


@pytest.mark.parametrize(
    ("status", "body", "content_type", "kind"),
    [
        (400, '{"title": "no"}', JSON, FailureKind.PERMANENT),
        (401, '{"message": "no"}', JSON, FailureKind.AUTH),
        (403, '{"errors": [{"title": "no"}]}', JSON, FailureKind.AUTH),
        (403, "<h1>no</h1>", "text/html", FailureKind.TRANSIENT),
        (404, "", JSON, FailureKind.GONE),
        (404, '{"message": "no"}', JSON, FailureKind.PERMANENT),
        (429, '{"message": "no"}', JSON, FailureKind.RATE_LIMITED),
        (500, '{"title": "no"}', JSON, FailureKind.TRANSIENT),
        (503, "<h1>no</h1>", "text/html", FailureKind.TRANSIENT),
        (200, "<h1>no</h1>", "text/html", FailureKind.TRANSIENT),
        (200, "[]", JSON, FailureKind.TRANSIENT),
        (200, '{"items": [], "count": "no"}', JSON, FailureKind.TRANSIENT),
        (200, '{"items": [], "continuation_token": 1}', JSON, FailureKind.TRANSIENT),
    ],
)
def test_answers_are_classified(status: int, body: str, content_type: str, kind: FailureKind) -> None:
    standin = TakealotStandIn()
    standin.faults.add("status", status=status, body=body, content_type=content_type)
    with pytest.raises(PeerError) as failure:
        ask(standin, lambda client: client.sales(FIRST, LAST))
    assert failure.value.kind is kind


def test_an_empty_token_ends_a_list_as_none_does() -> None:
    standin = TakealotStandIn()
    standin.faults.add("status", status=200, body='{"items": [], "continuation_token": ""}', content_type=JSON)
    sales = ask(standin, lambda client: client.sales(FIRST, LAST))
    assert sales is not None
    assert sales.sales == ()
    assert len(standin.world.requests) == 1


def test_pages_that_go_in_a_circle_are_no_list() -> None:
    standin = TakealotStandIn()
    standin.faults.add("status", status=200, body='{"items": [], "continuation_token": "same"}', content_type=JSON)
    with pytest.raises(PeerError, match="the pages go in a circle"):
        ask(standin, lambda client: client.sales(FIRST, LAST))


def test_a_row_that_comes_twice_counts_once() -> None:
    standin = TakealotStandIn.demo()
    standin.faults.add("rewrite", path="/sales", rewrite=Rewrite(Lie.REPEATED))
    sales = ask(standin, lambda client: client.sales(FIRST, LAST))
    assert sales is not None
    assert len(sales.sales) == 198


def test_a_check_tells_what_does_not_work() -> None:
    assert ask(TakealotStandIn.demo(), lambda client: client.check(LAST)) == []
    problems = ask(TakealotStandIn.demo(), lambda client: client.check(LAST), key="an-old-key")
    assert [problem.partition(":")[0] for problem in problems] == ["sales", "offers"]
    assert "an-old-key" not in str(problems)


GOOD_SALE = {
    "order_item_id": 1,
    "order_id": 2,
    "order_date": "2026-11-19T00:15:00+02:00",
    "sale_status": "Returned",
    "offer_id": None,
    "sku": "",
    "selling_price": 10,
    "quantity": 1,
}


def test_a_sale_may_lack_its_offer_and_its_sku() -> None:
    sale = read_sale(GOOD_SALE)
    assert isinstance(sale, Sale)
    assert (sale.offer_id, sale.sku) == (None, None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"order_item_id": None}, "order_item_id is no whole number"),
        ({"order_date": "2026-11-19T00:15:00"}, "order_date has no offset"),
        ({"order_date": "yesterday"}, "order_date is no time"),
        ({"selling_price": True}, "selling_price is no number"),
        ({"selling_price": None}, "selling_price is missing"),
        ({"quantity": "many"}, "quantity is no whole number"),
        ({"sale_status": ""}, "sale_status is missing"),
        ({"sku": 5}, "sku is no text"),
    ],
)
def test_a_sale_that_cannot_be_read_says_why(wrong: dict[str, Any], message: str) -> None:
    read = read_sale({**GOOD_SALE, **wrong})
    assert isinstance(read, Unreadable)
    assert (read.message, read.order_id) == (message, 2)


def test_an_offer_without_stock_has_none_and_one_that_is_no_object_is_unreadable() -> None:
    offer = read_offer({"offer_id": 1, "status": "buyable"})
    assert isinstance(offer, Offer)
    assert (offer.stock, offer.selling_price, offer.updated_at) == (None, None, None)
    assert isinstance(read_offer("offer"), Unreadable)


@pytest.mark.parametrize("references", [{"order_id": 5}, [{"order_id": 5}, {"offer_id": 1}]])
def test_references_of_a_transaction_are_an_object_or_a_list(references: Any) -> None:
    signal = read_transaction({"transaction_id": 1, "references": references})
    assert signal is not None
    assert signal.order_ids == (5,)


def test_a_return_signals_anew_when_its_outcome_changes() -> None:
    row = {"seller_return_id": 1, "order_id": 5, "outcomes": [{"status": "pending_sellable_stock"}]}
    other = {**row, "outcomes": [{"status": "sellable_stock"}]}
    first, second = read_return(row), read_return(other)
    assert first is not None
    assert second is not None
    assert first.mark != second.mark
    assert read_return({"seller_return_id": 1}) is None
    assert read_transaction({"transaction_id": 1}) is None
