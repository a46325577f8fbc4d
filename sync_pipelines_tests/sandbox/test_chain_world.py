"""The stand-in chain behaves like a marketplace on a real node: what it stores, emits, forgets and refuses."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sync_pipelines.sandbox.cometbft import Attribute, ChainWorld, Event, create_app, produce_blocks
from sync_pipelines.sandbox.cometbft.query import QueryError, matches_flat, parse
from sync_pipelines.sandbox.cometbft.websocket import EventSockets
from sync_pipelines.sandbox.server import serve

PROVIDER = "virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3"
OFFERING = {
    "category": "gpu",
    "name": "GPU node",
    "pricing": {"model": "hourly", "base_price": 50000, "currency": "uvirt"},
}


@pytest.fixture
def world() -> ChainWorld:
    return ChainWorld()


@pytest.fixture
def node(world: ChainWorld) -> Iterator[tuple[str, EventSockets]]:
    app = create_app(world)
    with serve(app) as url:
        yield url, app.state.sockets


def test_the_demo_chain_holds_sixty_offerings_of_three_providers() -> None:
    world = ChainWorld.from_demo()

    assert len(world.offering_ids()) == 60
    assert len({offering_id.split("/")[0] for offering_id in world.offering_ids()}) == 3
    assert world.sequence == 60
    assert world.chain_id == "virtengine-demo-1"


def test_every_change_makes_one_block_with_its_events_in_order(world: ChainWorld) -> None:
    offering_id = world.create_offering(PROVIDER, OFFERING)
    updated = world.update_offering(offering_id, {"name": "GPU node 2"})
    terminated = world.terminate_offering(offering_id, "retired")

    assert (updated, terminated) == (3, 4)
    assert _events(world, 2) == [("offering_created", "1")]
    assert _events(world, 3) == [("offering_updated", "2")]
    assert _events(world, 4) == [("offering_updated", "3"), ("offering_terminated", "4")]
    assert world.offering(offering_id)["state"] == 5


def test_an_event_has_the_five_attributes_of_the_module_in_order(world: ChainWorld) -> None:
    offering_id = world.create_offering(PROVIDER, OFFERING)

    event = next(event for event in world.block_at(2).txs[0].events if event.type == "marketplace_event")
    names = [attribute.key for attribute in event.attributes]
    payload = json.loads(event.attributes[4].value)

    assert names == ["event_type", "event_id", "block_height", "sequence", "payload_json", "msg_index"]
    assert event.attributes[1].value == f"evt_offering_created_{offering_id}_1"
    assert (payload["offering_id"], payload["category"], payload["name"]) == (offering_id, "gpu", "GPU node")


def test_an_order_changes_only_a_counter_but_tells_of_an_update(world: ChainWorld) -> None:
    offering_id = world.create_offering(PROVIDER, OFFERING)
    before = world.offering(offering_id)

    height = world.count_order(offering_id)

    after = world.offering(offering_id)
    assert {key for key in after if after[key] != before[key]} == {"total_order_count", "updated_at"}
    assert _events(world, height) == [("order_created", "2"), ("offering_updated", "3")]


def test_changes_inside_a_block_share_its_height(world: ChainWorld) -> None:
    with world.block():
        first = world.create_offering(PROVIDER, OFFERING)
        second = world.create_offering(PROVIDER, {**OFFERING, "id": {"sequence": 7}})
        world.update_offering(first, {"name": "changed at once"})

    assert world.height == 2
    assert len(world.block_at(2).txs) == 3
    assert world.offering(first)["name"] == "changed at once"
    assert second == f"{PROVIDER}/7"


def test_the_store_remembers_every_height_until_it_is_pruned(world: ChainWorld, node: tuple[str, EventSockets]) -> None:
    offering_id = world.create_offering(PROVIDER, OFFERING)
    world.update_offering(offering_id, {"name": "new"})
    world.delete_offering(offering_id)
    key = "0x" + world.key_of(offering_id).hex()

    present = [_query(node[0], key, height)["value"] is not None for height in (1, 2, 3, 4)]
    world.prune(3)
    pruned, future = _query(node[0], key, 2), _query(node[0], key, 99)

    assert present == [False, True, True, False]
    assert (pruned["code"], pruned["value"], pruned["log"]) == (0, None, "version does not exist")
    assert (future["code"], future["value"], future["log"]) == (0, None, "version does not exist")


def test_pruned_blocks_and_lost_results_are_refused_with_the_nodes_texts(
    world: ChainWorld, node: tuple[str, EventSockets]
) -> None:
    for _ in range(5):
        world.empty_block()
    world.prune(4)
    world.results_lost_below = 5

    assert _error(node[0], "block_results", height="2") == "height 2 is not available, lowest height is 4"
    assert _error(node[0], "block", height="3") == "height 3 is not available, lowest height is 4"
    assert _error(node[0], "block_results", height="4") == "could not find results for height #4"
    world.persists_results = False
    assert _error(node[0], "block_results", height="6") == "node is not persisting finalize block responses"
    world.tx_index = False
    assert _error(node[0], "tx_search", query='"tx.height>0"') == "transaction indexing is disabled"


@pytest.mark.parametrize(
    ("version", "key", "lists"),
    [
        ("0.34.24", "ZXZlbnRfdHlwZQ==", {"begin_block_events", "end_block_events"}),
        ("0.37.2", "event_type", {"begin_block_events", "end_block_events"}),
        ("0.38.21", "event_type", {"finalize_block_events"}),
        ("1.0.1", "event_type", {"finalize_block_events"}),
    ],
)
def test_each_version_words_block_results_in_its_own_way(version: str, key: str, lists: set[str]) -> None:
    world = ChainWorld(node_version=version)
    world.create_offering(PROVIDER, OFFERING)

    with serve(create_app(world)) as url:
        result = httpx.get(f"{url}/block_results").json()["result"]

    event_list = result["txs_results"][0]["events"]
    event = next(event for event in event_list if event["type"] == "marketplace_event")
    assert event["attributes"][0]["key"] == key
    assert {name for name in result if name.endswith("_block_events")} == lists


def test_the_index_needs_one_event_for_all_conditions_but_the_stream_mixes_them(
    world: ChainWorld, node: tuple[str, EventSockets]
) -> None:
    world.emit_raw(Event.of("item", id="1", state="s1"), Event.of("item", id="2", state="s2"))
    mixed = "item.id='1' AND item.state='s2'"

    found = httpx.get(f"{node[0]}/tx_search", params={"query": f'"{mixed}"'}).json()["result"]

    assert found["total_count"] == "0"
    assert matches_flat(parse(mixed), {"item.id": ["1", "2"], "item.state": ["s1", "s2"]})


def test_only_indexed_attributes_are_found(world: ChainWorld, node: tuple[str, EventSockets]) -> None:
    world.emit_raw(Event("item", (Attribute("seen", "1"), Attribute("hidden", "1", index=False))))

    counts = [
        httpx.get(f"{node[0]}/tx_search", params={"query": f'"item.{name} EXISTS"'}).json()["result"]["total_count"]
        for name in ("seen", "hidden")
    ]

    assert counts == ["1", "0"]


@pytest.mark.parametrize(
    ("query", "values", "matches"),
    [
        ("a.n > 4", ["5"], True),
        ("a.n <= 4", ["5"], False),
        ("a.n = 480", ["480uvirt"], True),
        ("a.n = '480'", ["480uvirt"], False),
        ("a.n CONTAINS 'uv'", ["480uvirt"], True),
        ("a.n EXISTS", [], False),
        ("a.n >= DATE 2026-01-01", ["2026-01-02"], True),
        ("a.n < TIME 2026-01-01T00:00:00Z", ["2026-01-02T00:00:00Z"], False),
        ("a.n > 4", ["none"], False),
    ],
)
def test_conditions_compare_as_a_node_does(query: str, values: list[str], matches: bool) -> None:
    assert matches_flat(parse(query), {"a.n": values}) is matches


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("a.n = -1", "offset 6: got tag, wanted number, timestamp, datestamp or string"),
        ("a.n > 'x'", "offset 6: got string, wanted number, timestamp or datestamp"),
        ("a.n CONTAINS 5", "offset 13: got number, wanted string"),
        ("a.n = 'open", "offset 6: EOF"),
        ("a.n != 5", "offset 4: invalid input ! at offset 5"),
        ("a.n = 5 (", "offset 8: got invalid token, want 6"),
        ("'a' = 5", "offset 0: got string, wanted tag"),
    ],
)
def test_what_is_not_of_the_grammar_is_refused(query: str, problem: str) -> None:
    with pytest.raises(QueryError) as refused:
        parse(query)

    assert str(refused.value) == problem


def test_a_silent_socket_stays_open_and_a_dropped_one_has_no_close_frame(
    world: ChainWorld, node: tuple[str, EventSockets]
) -> None:
    url, sockets = node

    async def listen() -> tuple[list[str], int | None]:
        heard = []
        async with connect(url.replace("http", "ws") + "/websocket") as socket:
            await socket.send(_call("subscribe", query="tm.event='NewBlockHeader'"))
            heard.append(json.loads(await socket.recv())["result"])
            world.empty_block()
            heard.append(json.loads(await socket.recv())["result"]["data"]["type"])
            sockets.silent = True
            world.empty_block()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await socket.recv()
            sockets.drop()
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        return heard, closed.value.rcvd.code if closed.value.rcvd else None

    assert asyncio.run(listen()) == ([{}, "tendermint/event/NewBlockHeader"], None)


def test_a_stopping_node_tells_each_subscription_and_cuts_the_connection(
    world: ChainWorld, node: tuple[str, EventSockets]
) -> None:
    url, sockets = node

    async def listen() -> str:
        async with connect(url.replace("http", "ws") + "/websocket") as socket:
            await socket.send(_call("subscribe", query="tm.event='Tx'"))
            await socket.recv()
            sockets.stop_node()
            told = json.loads(await socket.recv())["error"]["data"]
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        return str(told)

    assert asyncio.run(listen()) == "subscription was canceled (reason: CometBFT exited)"


def test_a_person_can_change_an_offering_by_http(world: ChainWorld, node: tuple[str, EventSockets]) -> None:
    admin = f"{node[0]}/_sandbox/chain"
    created = httpx.post(f"{admin}/create", json={"provider": PROVIDER, "offering": OFFERING}).json()["result"]
    httpx.post(f"{admin}/update", json={"id": created, "changes": {"name": "By curl"}})
    httpx.post(f"{admin}/terminate", json={"id": created})
    overview = httpx.get(admin).json()

    assert (world.offering(created)["name"], world.offering(created)["state"]) == ("By curl", 5)
    assert (overview["height"], overview["sequence"], overview["offerings"]) == (4, 4, [created])
    assert httpx.post(f"{admin}/update", json={"id": "nobody/1", "changes": {}}).status_code == 404
    assert httpx.post(f"{admin}/update", content=b"{").status_code == 400
    assert httpx.post(f"{admin}/explode").status_code == 404


def test_blocks_can_be_made_by_the_clock(world: ChainWorld) -> None:
    third = threading.Event()
    world.listen(lambda block: third.set() if block.height == 4 else None)

    with produce_blocks(world, 0.01):
        came = third.wait(5)

    assert came
    assert [len(block.txs) for block in world.blocks(2, 4)] == [0, 0, 0]


def test_a_call_larger_than_a_node_takes_is_refused(node: tuple[str, EventSockets]) -> None:
    answer = httpx.post(node[0], content=b"[" + b" " * 1_000_001 + b"]")

    assert answer.status_code == 400
    assert "request body too large" in answer.json()["error"]["data"]


def _events(world: ChainWorld, height: int) -> list[tuple[str, str]]:
    return [
        (event.attributes[0].value, event.attributes[3].value)
        for tx in world.block_at(height).txs
        for event in tx.events
        if event.type == world.event_type
    ]


def _query(url: str, key: str, height: int) -> Any:
    params = {"path": '"/store/mktplace/key"', "data": key, "height": str(height)}
    return httpx.get(f"{url}/abci_query", params=params).json()["result"]["response"]


def _error(url: str, method: str, **params: str) -> Any:
    answer = httpx.get(f"{url}/{method}", params=params)
    assert answer.status_code == 500
    return answer.json()["error"]["data"]


def _call(method: str, **params: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
