"""Two accounts of one marketplace, whose numbers are the same, are pulled in one cycle and kept apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.marketplaces import Stream
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.takealot import TakealotStandIn, bulk_world
from sync_pipelines_tests.pipelines.marketplaces.shops import Pulled
from sync_pipelines_tests.pipelines.marketplaces.takealot_accounts import connected

Accounts = tuple[TakealotStandIn, Pulled]


@pytest.fixture
def accounts(engine: Engine) -> Iterator[tuple[Accounts, Accounts]]:
    """Two accounts after their first cycle: three new orders at one, the same three at the other, but shipped."""
    one, two = (TakealotStandIn(bulk_world(orders=3, offers=2, clock=Clock())) for _ in range(2))
    let_be(two, "Shipped to Customer")
    with one.running() as first_url, two.running() as second_url:
        first, second = Pulled(connected(first_url, "one"), engine), Pulled(connected(second_url, "two"), engine)
        result = first.cycle(second.connection).result
        assert (result["successfulConnections"], result["errors"]) == (2, [])
        yield (one, first), (two, second)


def test_the_same_order_number_is_an_order_of_each(accounts: tuple[Accounts, Accounts]) -> None:
    (_, first), _ = accounts
    assert states(first) == {"one": {"new"}, "two": {"shipped"}}
    assert first.rows("SELECT count(*), count(DISTINCT order_key) FROM sync.marketplace_order") == [(6, 3)]


def test_what_changes_or_goes_away_at_one_stays_as_it_is_at_the_other(accounts: tuple[Accounts, Accounts]) -> None:
    (one, first), (two, second) = accounts
    del two.world.offers[min(two.world.offers)]
    let_be(one, "Returned")

    first.cycle(second.connection)

    assert states(first) == {"one": {"returned"}, "two": {"shipped"}}
    assert offers(first) == {"one": 2, "two": 1}


def test_a_key_that_is_refused_is_the_matter_of_its_account_alone(accounts: tuple[Accounts, Accounts]) -> None:
    (one, first), (two, second) = accounts
    before = second.watermark(Stream.ORDERS)
    let_be(one, "Returned")
    two.world.replace_key("another-key-of-the-portal")

    result = first.cycle(second.connection).result

    assert [error["connectionId"] for error in result["errors"]] == ["two"]
    assert (first.state.status, first.state.sync_status, first.state.last_error) == ("connected", "success", None)
    assert (second.state.status, second.state.sync_status) == ("expired", "error")
    assert states(first) == {"one": {"returned"}, "two": {"shipped"}}
    assert second.watermark(Stream.ORDERS) == before


def let_be(standin: TakealotStandIn, status: str) -> None:
    """Bring all sales of an account to a status."""
    for sale in standin.world.sales.values():
        sale["sale_status"] = status


def states(pulled: Pulled) -> dict[str, set[str]]:
    """Connection -> the states of its orders."""
    found: dict[str, set[str]] = {}
    for name, status in pulled.rows(
        "SELECT c.name, o.status FROM sync.marketplace_order o "
        "JOIN sync.marketplace_connection c ON c.id = o.connection_id"
    ):
        found.setdefault(name, set()).add(status)
    return found


def offers(pulled: Pulled) -> dict[str, int]:
    """Connection -> how many products it has that are not deleted."""
    return dict(
        pulled.rows(
            "SELECT c.name, count(*) FROM sync.marketplace_product p "
            "JOIN sync.marketplace_connection c ON c.id = p.connection_id WHERE p.deleted_at IS NULL GROUP BY c.name"
        )
    )
