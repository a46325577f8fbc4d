"""Peers that must not be believed, runs that must wait, offerings that make no sense: nothing is half done."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from sync_pipelines.core.errors import FailureKind, LeaseHeld, PeerError
from sync_pipelines.core.lifecycle import State
from sync_pipelines.sandbox.server import serve
from sync_pipelines_tests.pipelines.offerings.market import CUSTOMERS, PROVIDER, RIVAL, Market, price_list


def test_given_two_runs_of_one_pair_then_the_second_is_refused_and_changes_nothing(market: Market) -> None:
    offering_id = market.offer()
    market.waldur.faults.add("latency", method="GET", seconds=1.5, times=1)
    first = threading.Thread(target=market.reconcile)
    first.start()
    _until(lambda: market.rows("SELECT 1 FROM sync.lease WHERE expires_at > now()"))

    with pytest.raises(LeaseHeld, match=r"offerings/nordlys is being worked on by .*; nothing was changed. Wait"):
        market.reconcile()
    first.join()

    assert market.offering(offering_id).state == "Active"
    assert market.writes == ["create", "update_prices", "activate"]
    assert market.rows("SELECT count(*) FROM sync.plan") == [(1,)]


def test_given_a_run_on_one_connection_then_another_is_not_hindered(market: Market) -> None:
    mine, theirs = market.offer(), market.offer(RIVAL)

    async def both() -> None:
        await asyncio.gather(
            asyncio.to_thread(market.reconcile), asyncio.to_thread(market.reconcile, market.connection(RIVAL))
        )

    asyncio.run(both())

    assert (market.offering(mine).state, market.offering(theirs).state) == ("Active", "Active")


@pytest.mark.parametrize(
    ("trouble", "kind", "told"),
    [
        ("wrong chain", FailureKind.PERMANENT, "the node is on chain 'other-1', expected 'virtengine-demo-1'"),
        ("catching up", FailureKind.TRANSIENT, "the node is catching up"),
        ("wrong store", FailureKind.PERMANENT, "check the store name"),
    ],
)
def test_given_a_node_that_must_not_be_believed_then_nothing_is_planned(
    market: Market, trouble: str, kind: FailureKind, told: str
) -> None:
    market.offer()
    market.chain.chain_id = "other-1" if trouble == "wrong chain" else market.chain.chain_id
    market.chain.catching_up = trouble == "catching up"
    connection = market.connection(chain={"store": "market"} if trouble == "wrong store" else {})

    with pytest.raises(PeerError, match=told) as refused:
        market.reconcile(connection)

    assert refused.value.kind is kind
    assert market.writes == []
    assert market.rows("SELECT count(*) FROM sync.plan") == [(0,)]


@pytest.fixture
def deaf_url(market: Market) -> Iterator[str]:
    """Waldur behind a proxy that drops the query, so that every filter is ignored."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        await market.waldur.app({**scope, "query_string": b""}, receive, send)

    with serve(proxy) as url:
        yield url


def test_given_a_server_that_ignores_filters_then_the_canary_refuses_it_before_anything_is_written(
    market: Market, deaf_url: str
) -> None:
    market.offer()
    category = next(iter(market.waldur.world.categories))
    market.waldur.world.add_offering(CUSTOMERS[PROVIDER], category, "VM", backend_id=f"{PROVIDER}/99", state="Active")

    with pytest.raises(PeerError, match="filters are ignored by this server: attributes with a random id finds 1"):
        market.reconcile(market.connection(waldur={"url": deaf_url}))

    assert market.writes == []


@pytest.mark.parametrize("role", ["nordlys", "staff"])
def test_given_a_refused_token_then_the_run_stops_at_once_and_no_record_is_blamed(market: Market, role: str) -> None:
    ids = [market.offer(name=f"VM {number}") for number in range(3)]
    market.waldur.world.expire_token(role)

    with pytest.raises(PeerError, match="check the token") as refused:
        market.reconcile(market.connection(in_flight=1))

    assert refused.value.kind is FailureKind.AUTH
    refusals = [request for request in market.waldur.world.requests if request.status == 401]
    assert len(refusals) <= 2
    assert market.letters() == []

    market.waldur.world.user(role).token_expired = False
    market.let_time_pass()
    market.reconcile()
    assert [market.offering(offering_id).state for offering_id in ids] == ["Active"] * 3


@pytest.mark.parametrize("page", ["html", "half"])
def test_given_a_listing_that_cannot_be_read_then_nothing_is_concluded_from_it(market: Market, page: str) -> None:
    market.offer()
    market.reconcile()
    before = list(market.writes)
    kind = {"html": "login_page", "half": "truncated_body"}[page]
    market.waldur.faults.add(kind, method="GET", path="provider-offerings")

    with pytest.raises(PeerError):
        market.reconcile()

    market.waldur.faults.clear()
    market.reconcile()
    assert market.writes == before


MALFORMED: dict[str, dict[str, Any]] = {
    "unknown state": {"state": 9},
    "no category": {"category": None},
    "category without a map": {"category": "quantum"},
    "NaN": {"max_concurrent_orders": float("nan")},
    "amount of 65 bits": {"prices": price_list({"cpu/hour": str(2**64)})},
    "price too large": {"prices": price_list({"cpu/hour": str(2**64 - 1)})},
    "two equal components": {"prices": price_list({"cpu/core-hour": "1"}) + price_list({"cpu/core_hour": "2"})},
    "empty name": {"name": "  "},
    "NUL in the name": {"name": "a\x00b"},
    "NUL in a key": {"specifications": {"a\x00": "b"}},
    "text for a list": {"tags": "gpu"},
    "unknown model": {"pricing": {"model": "weekly", "base_price": 1, "currency": "uvirt"}},
}


def test_given_malformed_offerings_then_each_is_a_dead_letter_that_says_why_and_the_others_go_on(
    market: Market,
) -> None:
    good = market.offer(name="Good")
    bad = {market.offer(**{"name": "Bad", **fields}): why for why, fields in MALFORMED.items()}
    key = f"{PROVIDER}/77"
    torn = json.dumps(
        {**market.chain.offering(good), "id": {"provider_address": PROVIDER, "sequence": 78}, "name": "\ud83d"}
    )
    writes = {key: b"not json", f"{PROVIDER}/7\x007": b"{}", f"{PROVIDER}/78": torn.encode()}
    market.chain.append(writes={market.chain.key_of(name): value for name, value in writes.items()})

    market.reconcile()
    market.reconcile()

    assert market.offering(good).state == "Active"
    assert market.writes == ["create", "update_prices", "activate"]
    letters = {letter.key: letter for letter in market.letters()}
    assert set(bad) | {key, f"{PROVIDER}/78"} <= set(letters)
    assert len(letters) == len(bad) + 3
    told = {bad[letter_key]: letters[letter_key].last_error for letter_key in bad}
    assert "'quantum' is not in the category_map of connection 'nordlys'" in told["category without a map"]
    assert told["unknown state"].startswith("state: ")
    assert "name: contains a NUL" in told["NUL in the name"]
    assert "component 'cpu_core_hour'" in told["two equal components"]
    assert all(
        market.state(letter_key).state is State.DEAD_LETTERED for letter_key in letters if "\ufffd" not in letter_key
    )
    assert market.audit_is_intact()


def test_given_a_mended_offering_then_reprocessing_creates_it(market: Market) -> None:
    offering_id = market.offer(category="quantum")
    market.reconcile()
    market.chain.update_offering(offering_id, {"category": "gpu"})

    market.reprocess(offering_id)
    market.reconcile()

    assert market.offering(offering_id).category.title == "gpu"
    assert market.synced(offering_id)


def test_given_a_linked_offering_that_becomes_malformed_then_waldur_keeps_it_as_it_was(market: Market) -> None:
    offering_id = market.offer()
    market.reconcile()
    market.chain.update_offering(offering_id, {"category": "quantum", "name": "Renamed"})

    market.reconcile()

    assert (market.offering(offering_id).state, market.offering(offering_id).name) == ("Active", "VM")
    assert [letter.key for letter in market.letters()] == [offering_id]


def test_given_a_description_that_grows_beyond_the_limit_when_cleaned_then_it_is_cut_and_accepted(
    market: Market,
) -> None:
    offering_id = market.offer(description="R&D " * 500)

    market.reconcile()

    assert market.offering(offering_id).state == "Active"
    assert 1900 < len(market.offering(offering_id).description) <= 2000
    assert market.writes_of(market.reconcile()) == 0


def test_given_a_create_that_is_refused_for_good_then_it_is_dead_lettered_at_once_with_the_reason(
    market: Market,
) -> None:
    market.waldur.world.block_customer(CUSTOMERS[PROVIDER])
    offering_id = market.offer()

    market.reconcile()

    (letter,) = market.letters()
    assert (letter.key, letter.attempts) == (offering_id, 1)
    assert "Blocked organization is not available." in letter.last_error


def test_given_a_create_that_fails_the_same_way_each_time_then_it_ends_as_a_dead_letter(market: Market) -> None:
    offering_id = market.offer()
    market.waldur.faults.add("status", method="POST", path="provider-offerings/$", status=500)

    for _ in range(3):
        market.reconcile(market.connection(max_retries=1))
        market.let_time_pass()

    assert market.state(offering_id).state is State.DEAD_LETTERED
    assert len([request for request in market.waldur.world.requests if request.is_write]) == 2


def test_given_a_plan_that_archives_too_much_then_it_waits_for_its_approval(market: Market) -> None:
    ids = [market.offer(name=f"VM {number}") for number in range(5)]
    careful = market.connection(guard={})
    market.reconcile(careful)
    for offering_id in ids[:2]:
        market.chain.terminate_offering(offering_id)

    held = market.reconcile(careful)
    assert held.applied is None
    assert [market.offering(offering_id).state for offering_id in ids] == ["Active"] * 5
    assert "2 of 5 linked records (40.0 %) would be retired or archived; the limit is 20 %" in held.plan.held_reasons[0]

    market.approve(held.plan.hash, careful)
    assert [market.offering(offering_id).state for offering_id in ids] == ["Archived"] * 2 + ["Active"] * 3


@pytest.mark.parametrize("retire", [True, False])
def test_given_an_offering_gone_from_the_chain_then_it_is_archived_if_the_connection_says_so(
    market: Market, retire: bool
) -> None:
    kept, gone = market.offer(), market.offer()
    connection = market.connection(retire=retire)
    market.reconcile(connection)
    market.chain.delete_offering(gone)

    market.reconcile(connection)

    assert market.offering(kept).state == "Active"
    assert market.offering(gone).state == ("Archived" if retire else "Active")
    assert market.writes_of(market.reconcile(connection)) == 0


def test_given_plan_mode_then_the_plan_is_stored_and_nothing_is_written(market: Market) -> None:
    market.offer()

    planned = market.reconcile(plan_only=True)

    assert planned.plan.counts["create"] == 1
    assert planned.applied is None
    assert market.writes == []


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
