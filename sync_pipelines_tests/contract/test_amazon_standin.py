"""The Amazon stand-in refuses what the published models and the documentation say that the real API refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.amazon import (
    ANCHOR,
    CLIENT_ID,
    CLIENT_SECRET,
    SELLER_ID,
    AmazonStandIn,
    refresh_token,
)
from sync_pipelines.sandbox.amazon.seeds import made_up_listing
from sync_pipelines.sandbox.clock import Clock

ORDERS = "/na/orders/2026-01-01/orders"
FINANCES = "/na/finances/2024-06-19/transactions"
LISTINGS = f"/na/listings/2021-08-01/items/{SELLER_ID}"
SINCE = {"lastUpdatedAfter": "2026-10-01T00:00:00Z"}
FORM = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


@dataclass
class Caller:
    """Calls the stand-in with a token of North America."""

    standin: AmazonStandIn
    client: httpx.Client
    token: str = ""

    def login(self, **form: str) -> httpx.Response:
        """Ask for a token."""
        return self.client.post("/auth/o2/token", data=FORM | {"refresh_token": refresh_token("na")} | form)

    def get(self, path: str = ORDERS, **params: Any) -> httpx.Response:
        """Read something."""
        return self.client.get(path, params=params, headers={"x-amz-access-token": self.token})


@pytest.fixture
def caller() -> Iterator[Caller]:
    standin = AmazonStandIn.demo(Clock(ANCHOR.timestamp()))
    with standin.running() as urls, httpx.Client(base_url=urls.base, timeout=30) as client:
        caller = Caller(standin, client)
        caller.token = caller.login().json()["access_token"]
        yield caller


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["errors"][0]["code"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"refresh_token": "Atzr|stolen"}, 400, "invalid_grant"),
        ({"client_secret": "rotated"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_token_is_issued_for_a_known_consent_only(
    caller: Caller, form: dict[str, str], status: int, error: str
) -> None:
    answer = caller.login(**form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert caller.login().json()["expires_in"] == 3600


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({}, "neither time"),
        ({**SINCE, "createdAfter": "2026-10-01T00:00:00Z"}, "both times"),
        ({**SINCE, "createdBefore": "2026-11-01T00:00:00Z"}, "times of two kinds"),
        ({**SINCE, "lastUpdatedBefore": "2026-11-20T11:58:01Z"}, "end less than two minutes ago"),
        ({**SINCE, "lastUpdatedBefore": "2026-09-01T00:00:00Z"}, "end before the beginning"),
        ({"lastUpdatedAfter": "2026-10-01"}, "no time"),
        ({**SINCE, "maxResultsPerPage": 101}, "page too large"),
        ({**SINCE, "includedData": "BUYER,ALL"}, "unknown data set"),
        ({**SINCE, "OrderStatuses": "Shipped"}, "parameter of v0"),
        ({**SINCE, "paginationToken": "made-up"}, "unknown token"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_search_of_orders_is_refused(caller: Caller, params: dict[str, Any], why: str) -> None:
    assert code(caller.get(**params)) == (400, "InvalidInput")


def test_both_ends_of_a_window_are_included(caller: Caller) -> None:
    second = "2026-11-20T11:58:00Z"
    found = caller.get(lastUpdatedAfter=second, lastUpdatedBefore=second).json()
    assert {order["lastUpdatedTime"] for order in found["orders"]} == {second}
    assert found["lastUpdatedBefore"] == second
    assert "pagination" not in found


def test_only_the_data_sets_that_are_asked_for_are_told(caller: Caller) -> None:
    bare = caller.get(**SINCE).json()["orders"][0]
    assert {"buyer", "proceeds", "fulfillment"} & bare.keys() == set()
    assert {"proceeds", "fulfillment"} & bare["orderItems"][0].keys() == set()
    full = caller.get(**SINCE, includedData="PROCEEDS,FULFILLMENT").json()["orders"][0]
    assert {"buyer", "proceeds", "fulfillment"} & full.keys() == {"proceeds", "fulfillment"}


@pytest.mark.parametrize(
    ("changed", "hours", "status"),
    [
        ({}, 0, 200),
        ({"maxResultsPerPage": "5", "includedData": "PACKAGES"}, 0, 200),
        ({"lastUpdatedAfter": "2026-10-02T00:00:00Z"}, 0, 400),
        ({"marketplaceIds": None}, 0, 400),
        ({}, 25, 400),
    ],
    ids=["the same", "another size and data", "another window", "one left out", "after a day"],
)
def test_a_token_of_a_page_goes_with_the_parameters_of_its_search_for_a_day(
    caller: Caller, changed: dict[str, str | None], hours: float, status: int
) -> None:
    asked: dict[str, Any] = {**SINCE, "marketplaceIds": "ATVPDKIKX0DER", "maxResultsPerPage": "10"}
    token = caller.get(**asked).json()["pagination"]["nextToken"]
    caller.standin.world.clock.advance(3600 * hours)
    caller.token = caller.login().json()["access_token"]
    again = {name: value for name, value in (asked | changed).items() if value is not None}
    assert caller.get(**again, paginationToken=token).status_code == status


@pytest.mark.parametrize("tells", [True, False], ids=["with the header", "without"])
def test_a_burst_of_20_searches_is_answered_and_then_one_in_three_minutes(caller: Caller, tells: bool) -> None:
    caller.standin.world.tells_rate = tells
    answers = [caller.get(**SINCE) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert code(answers[-1]) == (429, "QuotaExceeded")
    assert ("x-amzn-RateLimit-Limit" in answers[0].headers, "Retry-After" in answers[-1].headers) == (tells, False)
    caller.standin.world.clock.advance(178)
    assert caller.get(**SINCE).status_code == 429
    caller.standin.world.clock.advance(1)
    assert [caller.get(**SINCE).status_code for _ in range(2)] == [200, 429]


def test_tokens_end_after_an_hour_and_are_good_for_their_region_only(caller: Caller) -> None:
    assert code(caller.get(ORDERS.replace("/na/", "/eu/"), **SINCE)) == (403, "Unauthorized")
    caller.standin.world.clock.advance(3600)
    refused = caller.get(**SINCE)
    assert code(refused) == (403, "Unauthorized")
    assert "expired" in refused.json()["errors"][0]["details"]


def test_finances_say_nothing_of_young_orders_nor_of_more_than_180_days(caller: Caller) -> None:
    world = caller.standin.world
    young = next(order for order in world.orders.values() if order["createdTime"] >= "2026-11-19T00:00:00Z")
    world.refund(young["orderId"], 1.5, hours_ago=1)
    told = caller.get(FINANCES, postedAfter="2026-11-01T00:00:00Z").json()["payload"]["transactions"]
    assert [row["totalAmount"]["currencyAmount"] for row in told] == [-6.5]
    assert caller.get(FINANCES, postedAfter="2026-01-01T00:00:00Z").json()["payload"] == {"transactions": []}
    assert code(caller.get(FINANCES, postedAfter="2026-11-20T11:59:00Z")) == (400, "InvalidInput")


def test_listings_come_by_twenties_and_no_more_than_a_thousand(caller: Caller) -> None:
    world = caller.standin.world
    world.listings.clear()
    for number in range(1001):
        made_up_listing(world, number, minutes_ago=number + 1)
    asked = {"marketplaceIds": "ATVPDKIKX0DER", "pageSize": "20", "sortOrder": "ASC"}
    found = caller.get(LISTINGS, **asked).json()
    skus = [row["sku"] for row in found["items"]]
    assert (len(skus), found["numberOfResults"], skus[0]) == (20, 1001, "SKU-1000")
    while "pagination" in found:
        world.clock.advance(0.2)
        found = caller.get(LISTINGS, **asked, pageToken=found["pagination"]["nextToken"]).json()
        skus += [row["sku"] for row in found["items"]]
    assert len(set(skus)) == 1000
    assert code(caller.get(LISTINGS, **asked | {"pageSize": "21"})) == (400, "InvalidInput")


@pytest.mark.parametrize("path", ["/na/orders/v0/orders", "/orders/2026-01-01/orders", f"{ORDERS}/112-0-0"])
def test_what_there_is_not_is_not_found(caller: Caller, path: str) -> None:
    assert code(caller.get(path)) == (404, "NotFound")


def test_a_get_with_a_body_is_refused(caller: Caller) -> None:
    answer = caller.client.request("GET", ORDERS, content=b"{}", headers={"x-amz-access-token": caller.token})
    assert answer.status_code == 400
