"""The Shopify client and its stand-in agree on tokens, versions, the budget, searches, pages and bulk operations.

Both follow the vendor's documentation and what is told in public issue trackers; no live shop was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError, PeerUnavailable
from sync_pipelines.sandbox.shopify import CLIENT_ID, CLIENT_SECRET, PERMANENT_TOKEN, ShopifyStandIn
from sync_pipelines.sandbox.shopify.seeds import order, product
from sync_pipelines.systems.shopify import (
    ORDERS,
    PRODUCTS,
    BulkReader,
    ClientCredentials,
    PermanentToken,
    Range,
    Reader,
    ShopifySession,
    Tokens,
    read_shop,
    shopify_transport,
)

T = TypeVar("T")
JSON = "application/json"


class Shop:
    """A served shop whose time passes while its client waits."""

    def __init__(self, standin: ShopifyStandIn, url: str) -> None:
        self.standin = standin
        self.world = standin.world
        self.url = url
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.world.clock.advance(seconds)

    def asked(
        self,
        action: Callable[[ShopifySession], Awaitable[T]],
        tokens: Tokens | None = None,
        version: str = "2026-10",
    ) -> T:
        """Return what comes of an action with a session."""

        async def run() -> T:
            async with shopify_transport(self.url, read_delay=0.0, secrets=(CLIENT_SECRET,)) as transport:
                given = tokens or PermanentToken(PERMANENT_TOKEN)
                return await action(ShopifySession(transport, given, version, sleep=self.sleep))

        return asyncio.run(run())

    def ids(self, wanted: Range) -> list[str]:
        """Return the ids of the orders of a range, in order."""
        return [node["id"].rpartition("/")[2] for node in self.nodes(wanted)]

    def nodes(self, wanted: Range) -> list[dict[str, Any]]:
        """Return the orders of a range, in order."""

        async def read(session: ShopifySession) -> list[dict[str, Any]]:
            return [node async for page in Reader(session, ORDERS).pages(wanted) for node in page]

        return self.asked(read)

    def in_bulk(self, piece: int = 1 << 20) -> list[dict[str, Any]] | None:
        """Return the orders by a bulk operation; ``None`` when it came to nothing."""

        async def read(session: ShopifySession) -> list[dict[str, Any]] | None:
            reader = BulkReader(session, ORDERS, sleep=self.sleep, piece=piece)
            operation = await reader.start(Range())
            finished = None if operation is None else await reader.finished(operation)
            return None if finished is None else [node async for page in reader.pages(finished) for node in page]

        return self.asked(read)


@contextmanager
def served(standin: ShopifyStandIn | None = None) -> Iterator[Shop]:
    standin = standin or ShopifyStandIn.bulk(orders=3)
    with standin.running() as url:
        yield Shop(standin, url)


def refused(shop: Shop, action: Callable[[ShopifySession], Awaitable[object]], **how: Any) -> PeerError:
    with pytest.raises(PeerError) as caught:
        shop.asked(action, **how)
    return caught.value


def test_a_token_is_fetched_once_and_again_before_it_ends() -> None:
    with served() as shop:
        credentials = ClientCredentials(CLIENT_ID, CLIENT_SECRET, clock=shop.world.clock.now)

        async def day(session: ShopifySession) -> None:
            await read_shop(session)
            await read_shop(session)
            shop.world.clock.advance(24 * 3600 - 60)
            await read_shop(session)

        shop.asked(day, credentials)
        paths = [request.path for request in shop.world.requests]
        assert [path.endswith("access_token") for path in paths] == [True, False, False, True, False]
        assert all(request.status == 200 for request in shop.world.requests)


def test_a_token_that_the_shop_repeats_is_not_told() -> None:
    with served() as shop:

        async def repeated(session: ShopifySession) -> None:
            await read_shop(session)
            (token,) = set(shop.world.tokens) - {PERMANENT_TOKEN}
            shop.standin.faults.add("status", status=500, content_type="text/plain", body=f"no {token} here")
            await read_shop(session)

        error = refused(shop, repeated, tokens=ClientCredentials(CLIENT_ID, CLIENT_SECRET))
    assert str(error).endswith("no *** here")


def test_a_token_that_ends_early_is_renewed_when_it_is_refused() -> None:
    with served() as shop:

        async def revoked(session: ShopifySession) -> None:
            await read_shop(session)
            shop.world.tokens.clear()
            await read_shop(session)

        shop.asked(revoked, ClientCredentials(CLIENT_ID, CLIENT_SECRET))
        assert [request.status for request in shop.world.requests] == [200, 200, 401, 200, 200]


@pytest.mark.parametrize(
    "tokens", [PermanentToken("shpat_wrong"), ClientCredentials(CLIENT_ID, "shpss_wrong")], ids=["token", "secret"]
)
def test_wrong_credentials_are_refused_without_repeating_them(tokens: Tokens) -> None:
    with served() as shop:
        error = refused(shop, read_shop, tokens=tokens)
        assert error.kind is FailureKind.AUTH
        assert "wrong" not in str(error).replace("wrong password", "")


@pytest.mark.parametrize(
    ("version", "why"),
    [("2024-01", "version 2024-01 was asked for and 2026-01 answered"), ("2030-01", "no such shop")],
)
def test_a_version_that_is_not_answered_itself_is_refused(version: str, why: str) -> None:
    with served() as shop:
        error = refused(shop, read_shop, version=version)
        assert error.kind is FailureKind.PERMANENT
        assert why in str(error)


def test_a_used_up_budget_is_waited_for_as_long_as_it_takes_to_fill() -> None:
    with served() as shop:
        shop.world.bucket.level = 0.0
        shop.world.bucket.at = shop.world.clock.now()
        assert shop.asked(read_shop).currency == "USD"
        assert len(shop.waits) <= 2
        assert sum(shop.waits) < 1.0


def test_a_budget_that_stays_used_up_leaves_the_rest_to_the_next_run() -> None:
    with served() as shop:
        shop.world.bucket.level = shop.world.bucket.size = 0.0
        error = refused(shop, read_shop)
        assert isinstance(error, PeerUnavailable)
        assert error.kind is FailureKind.RATE_LIMITED


def test_a_429_that_stays_leaves_the_rest_to_the_next_run() -> None:
    with served() as shop:
        shop.standin.faults.add("status", status=429, headers={"Retry-After": "0.0"}, body="{}", content_type=JSON)
        assert isinstance(refused(shop, read_shop), PeerUnavailable)


def test_a_query_that_is_too_costly_asks_for_half_as_much() -> None:
    with served(ShopifyStandIn.bulk(orders=12)) as shop:
        shop.world.most_of_one_query = 300
        assert shop.ids(Range()) == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"data": {"shop": {}}, "errors": [{"message": "one part failed"}]}', FailureKind.PERMANENT),
        ('{"errors": [{"message": "x", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}', FailureKind.TRANSIENT),
        ('{"errors": "text"}', FailureKind.PERMANENT),
        ("{}", FailureKind.TRANSIENT),
        ("<html>Log in</html>", FailureKind.TRANSIENT),
    ],
    ids=["partial data", "failure", "text", "empty", "login page"],
)
def test_an_answer_with_status_200_that_is_none_is_an_error(body: str, kind: FailureKind) -> None:
    with served() as shop:
        headers = {"X-Shopify-API-Version": "2026-10"}
        shop.standin.faults.add("status", status=200, body=body, content_type=JSON, headers=headers)
        assert refused(shop, read_shop).kind is kind


def test_a_bulk_operation_that_does_not_end_within_an_hour_is_canceled() -> None:
    with served() as shop:
        shop.world.bulk_polls = 10_000
        assert shop.in_bulk() is None
        assert sum(shop.waits) >= 3600
        assert [bulk.status for bulk in shop.world.bulks.values()] == ["CANCELED"]


def test_an_answer_that_does_not_say_its_version_is_refused() -> None:
    with served() as shop:
        shop.standin.faults.add("status", status=200, body='{"data": {}}', content_type=JSON)
        assert "does not say its version" in str(refused(shop, read_shop))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (402, FailureKind.PERMANENT),
        (403, FailureKind.AUTH),
        (423, FailureKind.TRANSIENT),
        (502, FailureKind.TRANSIENT),
    ],
)
def test_statuses_are_told_apart(status: int, kind: FailureKind) -> None:
    with served() as shop:
        shop.standin.faults.add("status", status=status)
        assert refused(shop, read_shop).kind is kind


def test_a_range_is_exact_to_the_second_and_all_of_one_second_are_in_it() -> None:
    moment = datetime(2026, 11, 20, 11, 45, tzinfo=UTC)
    with served(ShopifyStandIn()) as shop:
        for number, second in enumerate((-1, 0, 0, 0, 1), 1):
            at = (moment + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
            shop.world.put("orders", order(number, at), indexed=True)
        elsewhere = moment.astimezone(datetime.fromisoformat("2026-11-20T00:00:00+09:00").tzinfo)
        assert shop.ids(Range(first=elsewhere)) == ["2", "3", "4", "5"]
        assert shop.ids(Range("created_at", moment, moment + timedelta(seconds=1))) == ["2", "3", "4"]


def test_orders_of_one_second_are_all_read_with_a_page_of_two() -> None:
    with served(ShopifyStandIn()) as shop:
        for number in range(1, 6):
            shop.world.put("orders", order(number, "2026-11-20T11:45:00Z"), indexed=True)

        async def read(session: ShopifySession) -> list[str]:
            reader = Reader(session, ORDERS)
            reader._first = 2
            return [node["id"] async for page in reader.pages(Range()) for node in page]

        assert len(set(shop.asked(read))) == 5


def test_a_list_inside_is_read_to_its_end() -> None:
    with served(ShopifyStandIn()) as shop:
        shop.world.put("orders", order(1, "2026-11-20T11:45:00Z", lines=125), indexed=True)
        shop.world.put("products", product(1, "2026-11-20T11:45:00Z", variants=60), indexed=True)

        async def products(session: ShopifySession) -> list[dict[str, Any]]:
            return [node async for page in Reader(session, PRODUCTS).pages(Range()) for node in page]

        lines = shop.nodes(Range())[0]["lineItems"]["nodes"]
        assert len({line["id"] for line in lines}) == 125
        assert len(shop.asked(products)[0]["variants"]["nodes"]) == 60


def test_an_order_that_changes_while_it_is_paged_is_seen_twice_not_lost() -> None:
    with served(ShopifyStandIn.bulk(orders=15)) as shop:
        world = shop.world
        world.index_lag = 0.0
        world.clock.advance(5)
        world.after("SyncOrders", lambda: world.edit("orders", 1, test=True))
        found = [(node["id"].rpartition("/")[2], node["test"]) for node in shop.nodes(Range())]
        assert found[0] == ("1", False)
        assert found[-1] == ("1", True)
        assert len({number for number, _ in found}) == 15


def test_paging_goes_on_behind_the_end_of_what_one_query_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_pipelines.systems.shopify.listing.MOST_OF_ONE_QUERY", 20)
    monkeypatch.setattr("sync_pipelines.sandbox.shopify.search.MOST_OF_ONE_QUERY", 25)
    with served(ShopifyStandIn.bulk(orders=65)) as shop:
        assert set(shop.ids(Range())) == {str(number) for number in range(1, 66)}


def test_all_ids_are_listed_in_order() -> None:
    with served(ShopifyStandIn.bulk(orders=300)) as shop:

        async def read(session: ShopifySession) -> list[str]:
            return [number async for page in Reader(session, ORDERS).ids() for number in page]

        assert shop.asked(read) == [str(number) for number in range(1, 301)]


@pytest.mark.parametrize("piece", [1 << 20, 30_000], ids=["in one piece", "in many pieces"])
def test_a_bulk_operation_gives_what_pages_give(piece: int) -> None:
    with served(ShopifyStandIn.demo()) as shop:
        shop.world.bucket.size = shop.world.bucket.level = 1e6
        paged = shop.nodes(Range())
        found = shop.in_bulk(piece) or []
        assert [node["updatedAt"] for node in found] == [node["updatedAt"] for node in paged]
        assert {node["id"]: node for node in found} == {node["id"]: node for node in paged}


@pytest.mark.parametrize("outcome", ["BUSY", "FAILED", "CANCELED", "EXPIRED"])
def test_a_bulk_operation_that_comes_to_nothing_says_so(outcome: str) -> None:
    with served() as shop:
        shop.world.bulk_outcome = outcome
        assert shop.in_bulk() is None


def test_a_bulk_operation_over_nothing_gives_nothing() -> None:
    with served(ShopifyStandIn()) as shop:
        assert shop.in_bulk() == []


def test_a_bulk_file_that_lacks_a_line_is_refused() -> None:
    with served() as shop:

        def lose_a_line() -> None:
            for bulk in shop.world.bulks.values():
                bulk.lines[-1] = ""

        shop.world.after("SyncBulkState", lose_a_line, skip=1)
        with pytest.raises(PeerError, match="5 records, and 6 were announced"):
            shop.in_bulk()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("query A { orders(first: 1) { nodes { id nickname } } }", "nickname"),
        ("query A { orders(page: 2) { nodes { id } } }", "page"),
        ("query A { orders { nodes { id } } }", "first or last"),
        ("query A { orders(first: 251) { nodes { id } } }", "250"),
        ('query A { orders(first: 1, after: "x") { nodes { id } } }', "cursor"),
        ("query A { orders(first: 200) { nodes { id lineItems(first: 50) { nodes { id } } } } }", "cost"),
        ("query A {", "Syntax"),
    ],
)
def test_the_stand_in_refuses_what_the_api_refuses(query: str, why: str) -> None:
    with served() as shop:
        assert why in str(refused(shop, lambda session: session.query(query)))


def test_a_time_without_quotes_loses_its_time_of_day_in_a_search() -> None:
    with served(ShopifyStandIn()) as shop:
        shop.world.put("orders", order(1, "2026-11-20T08:00:00Z"), indexed=True)

        async def found(session: ShopifySession, bound: str) -> int:
            query = "query A($query: String) { orders(first: 9, query: $query) { nodes { id } } }"
            data = await session.query(query, {"query": f"updated_at:>={bound}"})
            return len(data["orders"]["nodes"])

        assert shop.asked(lambda session: found(session, "2026-11-20T11:45:00Z")) == 1
        assert shop.asked(lambda session: found(session, "'2026-11-20T11:45:00Z'")) == 0


def test_the_token_is_not_shown_to_who_keeps_the_files() -> None:
    with served() as shop:
        assert shop.in_bulk()
        files = [request for request in shop.world.requests if request.path.startswith("/bulk/")]
        assert [request.status for request in files] == [206]
