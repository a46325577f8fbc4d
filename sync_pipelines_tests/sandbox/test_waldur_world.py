"""The Waldur stand-in's world: demo data, and what tests can see of the requests made to it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.waldur import DEMO_STAFF_TOKEN, WaldurStandIn, demo_owner_token

OFFERINGS = "/api/marketplace-provider-offerings/"
OKRA = "26b1e6989fac4dcebb6db73e3ac76bec"


@pytest.fixture
def demo() -> WaldurStandIn:
    return WaldurStandIn.demo()


@pytest.fixture
def client(demo: WaldurStandIn) -> Iterator[httpx.Client]:
    with demo.running() as url, httpx.Client(base_url=url, timeout=10) as client:
        yield client


def as_user(token: str) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


STAFF = as_user(DEMO_STAFF_TOKEN)


def sweep(client: httpx.Client, headers: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    answer = client.get(OFFERINGS, params={"page_size": 300, "o": "created", **query}, headers=headers)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    assert answer.headers["X-Result-Count"] == str(len(rows))
    return rows


def test_given_the_demo_then_staff_sees_all_offerings_oldest_first(client: httpx.Client) -> None:
    rows = sweep(client, STAFF)
    assert len(rows) == 60
    assert [row["created"] for row in rows] == sorted(row["created"] for row in rows)


def test_given_the_demo_then_an_owner_sees_own_offerings_only(client: httpx.Client) -> None:
    rows = sweep(client, as_user(demo_owner_token("Okra Cloud GmbH")))
    assert {row["customer_uuid"] for row in rows} == {OKRA}
    assert sweep(client, STAFF, customer_uuid=OKRA) == rows


def test_given_the_demo_then_documented_discrepancies_are_there(demo: WaldurStandIn) -> None:
    offerings = demo.world.offerings
    assert offerings["af4c0aa051af4b5ba7c62f5685ef64fe"].state == "Draft"
    assert offerings["5a54b8e0bb1c41448532617804933ffc"].prices() != {}
    assert Decimal("0.999999") in offerings["22d94c42341f478a986734095de04053"].prices().values()
    assert "ve_secret_ref" in offerings["39abfcafc6cc4613b1935114117faabe"].attributes
    twins = demo.world.by_backend_id("virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3/18")
    assert [offering.uuid for offering in twins] == [
        "6f2e372d4d25484baa25c9d260552545",
        "b9e94d40f5fd48ddb2e96ab35ba94357",
    ]


def test_given_the_demo_then_huge_prices_are_kept_exactly_though_printed_as_floats(
    demo: WaldurStandIn, client: httpx.Client
) -> None:
    exact = Decimal("9007199254.740993")
    offering = next(found for found in demo.world.offerings.values() if exact in found.prices().values())
    row = client.get(f"{OFFERINGS}{offering.uuid}/", headers=STAFF).json()
    assert float(exact) in row["plans"][0]["prices"].values()


def test_given_reads_and_refused_writes_then_nothing_counts_as_a_mutation(
    demo: WaldurStandIn, client: httpx.Client
) -> None:
    uuid = next(iter(demo.world.offerings))
    sweep(client, STAFF)
    client.patch(f"{OFFERINGS}{uuid}/", json={"name": "x"}, headers=STAFF)
    assert demo.world.mutations == []
    assert [(entry.method, entry.status) for entry in demo.world.requests] == [("GET", 200), ("PATCH", 405)]
    assert [entry.method for entry in demo.world.writes] == ["PATCH"]


def test_given_committed_writes_then_the_journal_tells_who_did_what_even_when_the_broker_is_down(
    demo: WaldurStandIn, client: httpx.Client
) -> None:
    offering = next(found for found in demo.world.offerings.values() if found.state == "Active")
    demo.world.broker_stop()
    path = f"{OFFERINGS}{offering.uuid}/pause/"
    assert client.post(path, json={"paused_reason": "why"}, headers=STAFF).status_code == 500
    assert offering.state == "Paused"
    [mutation] = demo.world.mutations
    assert (mutation.method, mutation.path, mutation.actor) == ("POST", path, "demo-staff")
    assert mutation.body == {"paused_reason": "why"}


def test_given_a_fault_after_commit_then_the_offering_exists(client: httpx.Client, demo: WaldurStandIn) -> None:
    demo.faults.add("drop_after_commit", method="POST", times=1)
    world = demo.world
    customer, category = next(iter(world.customers)), next(iter(world.categories))
    body = {
        "name": "lost answer",
        "type": "Marketplace.Basic",
        "customer": f"/api/customers/{customer}/",
        "category": f"/api/marketplace-categories/{category}/",
        "backend_id": "lost/1",
    }
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(OFFERINGS, json=body, headers=STAFF)
    assert [offering.name for offering in world.by_backend_id("lost/1")] == ["lost answer"]


def test_given_an_offering_added_by_hand_then_it_is_listed_with_its_prices(
    demo: WaldurStandIn, client: httpx.Client
) -> None:
    category = next(iter(demo.world.categories))
    added = demo.world.add_offering(
        OKRA, category, "by hand", prices={"base": "0.05"}, state="Active", backend_id="h/1"
    )
    row = client.get(f"{OFFERINGS}{added.uuid}/", headers=STAFF).json()
    assert (row["state"], row["backend_id"], row["plans"][0]["prices"]) == ("Active", "h/1", {"base": 0.05})
    assert demo.world.mutations == []
