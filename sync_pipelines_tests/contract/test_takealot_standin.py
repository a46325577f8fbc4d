"""The stand-in of Takealot refuses what the real API refuses, and tells no more than it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.takealot import DEMO_KEY, TakealotStandIn
from sync_pipelines.sandbox.takealot.seeds import anchor

KEY = {"X-API-Key": DEMO_KEY}
DAYS = "order_date__gte=2026-11-19&order_date__lte=2026-11-19"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with TakealotStandIn.demo().running() as url, httpx.Client(base_url=url, headers=KEY) as client:
        yield client


def items(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "another"}, {"Authorization": f"Key {DEMO_KEY}"}])
def test_without_the_key_everything_is_403(headers: dict[str, str]) -> None:
    with TakealotStandIn.demo().running() as url:
        answer = httpx.get(f"{url}/offers", headers=headers)
    assert (answer.status_code, set(answer.json()["errors"][0])) == (403, {"status", "title", "type"})


@pytest.mark.parametrize(
    "path",
    [
        "sales?page=2",
        "sales?from_date=2026-11-01",
        "sales?updated_after=2026-11-01",
        "sales?limit=101",
        "sales?limit=0",
        "sales?order_date__gte=2026-11-01",
        "sales?order_date__gte=2026-11-01T00:00:00&order_date__lte=2026-11-02",
        "sales?sku=DEMO-1000&sku=DEMO-1001",
        "sales?expands=customer",
        "sales?continuation_token=made-up",
        "offers?limit=1001",
        "offers?updated_at__gte=2026-11-01",
        "offers?order_by=price",
        "returns?limit=101",
        "transactions?created_at__lte=2026-11-20T12:00:01Z",
        "transactions?created_at__gte=2026-05-01T00:00:00Z&created_at__lte=2026-11-20T00:00:00Z",
        "transactions?created_at__gte=2026-11-01",
    ],
)
def test_unknown_parameters_and_senseless_values_are_400(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 400


@pytest.mark.parametrize("path", ["/v2/offers", "/v1/orders", "/v1/sales/1", "/sales"])
def test_other_paths_are_404(client: httpx.Client, path: str) -> None:
    assert client.get(str(client.base_url.join(path))).status_code == 404


def test_an_unknown_offer_is_404_with_an_empty_body_and_a_known_one_has_no_envelope(client: httpx.Client) -> None:
    unknown = client.get("offers/1")
    assert (unknown.status_code, unknown.content) == (404, b"")
    assert client.get("offers/by_sku/TEA%20POT%2FRED%20%232").json()["sku"] == "TEA POT/RED #2"


def test_sales_of_a_day_are_those_of_the_south_african_day(client: httpx.Client) -> None:
    found = items(client, f"sales?{DAYS}&limit=100")
    assert {row["order_date"][:10] for row in found} == {"2026-11-19"}
    # Ordered at 22:15 of the 18th in UTC.
    assert 182800008 in {row["order_id"] for row in found}


def test_pages_end_where_the_token_is_absent_and_a_token_ignores_all_else(client: httpx.Client) -> None:
    first = client.get("sales?limit=100&include_count=true").json()
    assert (len(first["items"]), first["count"]) == (100, 199)
    second = client.get(
        "sales", params={"continuation_token": first["continuation_token"], "limit": "7", "x": "y"}
    ).json()
    assert len(second["items"]) == 99
    assert not {"count", "continuation_token"} & set(second)
    assert client.get("offers", params={"continuation_token": first["continuation_token"]}).status_code == 400


def test_stock_comes_on_request_only(client: httpx.Client) -> None:
    assert "seller_warehouse_stock" not in items(client, "offers?limit=1")[0]
    assert "seller_warehouse_stock" in items(client, "offers?limit=1&expands=seller_warehouse_stock")[0]
    assert set(items(client, "offers?limit=1&fields=sku&fields=offer_id")[0]) == {"sku", "offer_id"}


def test_offers_go_on_behind_an_id(client: httpx.Client) -> None:
    first = items(client, "offers?limit=50")
    rest = items(client, f"offers?offer_id__gt={first[-1]['offer_id']}")
    assert [row["offer_id"] for row in first + rest] == sorted(row["offer_id"] for row in items(client, "offers"))


def test_transactions_are_those_of_the_last_30_days_newest_first(client: httpx.Client) -> None:
    assert [row["transaction_id"] for row in items(client, "transactions")] == [6600005, 6600004, 6600003, 6600002]
    assert len(items(client, "transactions?transaction_type__in=reversal-customer-order")) == 2


def test_nothing_but_reads_is_let_in(client: httpx.Client) -> None:
    assert client.patch("offers/90010000", json={"selling_price": 1}).status_code == 405


def test_the_demo_is_moved_to_the_time_of_its_clock_and_its_timeline_plays() -> None:
    clock = Clock(anchor().timestamp() + 40 * 86_400)
    standin = TakealotStandIn.demo(clock)
    assert standin.world.sales[440011198]["order_date"] == "2026-12-30T09:00:00+02:00"
    assert standin.world.returns[33002]["return_date"] == "2026-12-30"
    with standin.running() as url, httpx.Client(base_url=url, headers=KEY) as client:
        clock.advance(timedelta(minutes=9).total_seconds())
        items(client, "offers?limit=1")
        assert standin.world.sales[440011198]["sale_status"] == "Preparing for Customer"
        assert 440099001 in standin.world.sales
        assert 90011027 in standin.world.offers
        clock.advance(timedelta(minutes=16).total_seconds())
        assert 90011027 not in {row["offer_id"] for row in items(client, "offers")}


def test_another_process_can_change_the_account() -> None:
    standin = TakealotStandIn.demo()
    with standin.running() as url, httpx.Client(base_url=url.removesuffix("/v1"), headers=KEY) as client:
        said = client.post("/_sandbox/takealot/edit_offer", json={"id": 90010000, "selling_price": 1})
        assert (said.status_code, standin.world.offers[90010000]["selling_price"]) == (200, 1)
        assert client.post("/_sandbox/takealot/edit_offer", json={"id": 1}).status_code == 404
        assert client.post("/_sandbox/takealot/replace_key", json={"api_key": "new"}).status_code == 200
        assert client.get("/v1/offers").status_code == 403
        assert client.get("/_sandbox/takealot").json()["offers"] == 80
