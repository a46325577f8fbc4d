"""The chain client reads and classifies what a real CometBFT node answered on every endpoint that it uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.server import serve
from sync_pipelines.systems.cometbft import ChainSource, wake_ups
from sync_pipelines.systems.cometbft.errors import classify_rpc_error
from sync_pipelines.systems.cometbft.events import EventReader
from sync_pipelines.systems.cometbft.rpc import CometRpc
from sync_pipelines.systems.transport import Transport
from sync_pipelines_tests.contract.cometbft_recordings import (
    CHAIN_ID,
    EVENT_TYPE,
    KEY_PREFIX,
    STORE,
    Exchange,
    exchanges,
    frames,
)

T = TypeVar("T")
ENDPOINTS = ("status", "abci_query", "block_results", "tx_search")
USED = {e.name: e for file in ("rpc", "search", "store", "typed_event") for e in exchanges(file)}
PROVIDER = "virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3"

REFUSED = {
    "rpc-height_errors-1": FailureKind.TRANSIENT,
    "rpc-height_errors-3": FailureKind.PERMANENT,
    "rpc-height_errors-4": FailureKind.PERMANENT,
    "rpc-height_errors-5": FailureKind.PERMANENT,
    "rpc-post_errors-1": FailureKind.PERMANENT,
    "rpc-post_errors-4": FailureKind.TRANSIENT,
    "search-paging-5": FailureKind.PERMANENT,
    "search-paging-6": FailureKind.PERMANENT,
    **{f"search-query_errors-{step}": FailureKind.PERMANENT for step in range(1, 9)},
    "store-errors-5": FailureKind.PERMANENT,
    # answers to calls that the client never makes, as the wrong URL or a proxy would give them
    "rpc-post_errors-5": FailureKind.PERMANENT,
    "rpc-post_errors-6": FailureKind.PERMANENT,
    "rpc-post_errors-7": FailureKind.PERMANENT,
    "rpc-post_errors-8": FailureKind.PERMANENT,
    "rpc-post_errors-9": FailureKind.TRANSIENT,
    "rpc-post_errors-10": FailureKind.PERMANENT,
}
ANSWERED = [e.name for e in USED.values() if e.rpc_method in ENDPOINTS and e.name not in REFUSED]


class Replay:
    """A server that gives recorded answers, by RPC method, whatever the parameters."""

    def __init__(self) -> None:
        self.url = ""
        self._answers: dict[str, Exchange] = {}

    def __call__(
        self, recorded: list[Exchange], ask: Callable[[Transport], Awaitable[T]], *, method: str | None = None
    ) -> T:
        """Return what the client makes of the recorded answers; ``method`` overrides which call they answer."""
        self._answers = {"status": USED["rpc-status-1"]}
        self._answers |= {method or exchange.rpc_method: exchange for exchange in recorded}

        async def run() -> T:
            async with Transport("chain", self.url) as transport:
                return await ask(transport)

        return asyncio.run(run())

    async def answer(self, request: Request) -> Response:
        """Serve one call."""
        call = await request.json()
        exchange = self._answers[call["method"]]
        answer = exchange.answer
        if isinstance(answer, dict) and "id" in answer:
            # The recorded call had another id, or came as a GET, whose answers have -1.
            answer = {**answer, "id": call["id"]}
        text = answer if isinstance(answer, str) else json.dumps(answer)
        headers = {"Content-Type": exchange.content_type} if exchange.content_type else {}
        return Response(b"" if exchange.answer is None else text.encode(), exchange.status, headers=headers)


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    replay = Replay()
    with serve(Starlette(routes=[Route("/", replay.answer, methods=["POST"])])) as replay.url:
        yield replay


@pytest.mark.parametrize("name", ANSWERED)
def test_a_recorded_result_is_read(name: str, replay: Replay) -> None:
    recorded = USED[name]

    answer = replay([recorded], lambda transport: _call(CometRpc(transport), recorded.rpc_method))

    result = recorded.answer["result"]
    match recorded.rpc_method:
        case "status":
            assert str(answer.sync_info.latest_block_height) == result["sync_info"]["latest_block_height"]
        case "abci_query":
            assert (answer.code, answer.value) == (result["response"]["code"], result["response"]["value"])
        case "block_results":
            assert [tx.code for tx in answer.txs_results or ()] == [tx["code"] for tx in result["txs_results"] or []]
        case "tx_search":
            assert [hit.hash for hit in answer.txs] == [hit["hash"] for hit in result["txs"]]
            assert str(answer.total_count) == result["total_count"]


@pytest.mark.parametrize(("name", "kind"), REFUSED.items(), ids=REFUSED)
def test_a_recorded_refusal_is_classified(name: str, kind: FailureKind, replay: Replay) -> None:
    recorded = USED[name]
    method = recorded.rpc_method if recorded.rpc_method in ENDPOINTS else "status"

    with pytest.raises(PeerError) as refused:
        replay([recorded], lambda transport: _call(CometRpc(transport), method), method=method)

    assert refused.value.kind is kind
    if isinstance(recorded.answer, dict) and "data" in recorded.answer["error"]:
        assert recorded.answer["error"]["data"] in refused.value.message


def test_the_recorded_pages_of_a_search_join_without_gap_or_double(replay: Replay) -> None:
    pages = [USED[f"search-paging-{page}"] for page in (1, 2, 3, 4)]
    hits = [hit for page in pages for hit in replay([page], lambda transport: CometRpc(transport).tx_search("")).txs]

    read = EventReader(EVENT_TYPE, base64_attributes=False).read(
        1, 393, [(hit.height, hit.index, hit.tx_result) for hit in hits]
    )

    assert read.sequences == tuple(range(1, 33))
    assert read.malformed == ()
    # order_created (3) and bid_placed (7) are counted, but are no offering events
    assert [event.sequence for event in read.events] == [n for n in range(1, 33) if n not in (3, 7)]


def test_the_recorded_block_with_a_failed_transaction_gives_the_events_of_the_others(replay: Replay) -> None:
    replies = [USED["rpc-blocks-2"], USED["rpc-status-1"]]

    read = replay(replies, lambda transport: _source(transport).events(384, 384))

    assert read.sequences == (5, 6, 7)
    assert [(event.kind, event.tx_index) for event in read.events] == [("offering_updated", 0), ("offering_updated", 2)]


@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_a_recorded_offering_is_read_without_its_secrets(step: int, replay: Replay) -> None:
    recorded = USED[f"store-key-{step}"]
    provider = "virtengine152yqmg9hp4g8e3slwvdgcdny6c0x8tchnqr2qg" if step == 6 else PROVIDER

    offering = replay([recorded], lambda transport: _source(transport).get_offering(f"{provider}/1"))

    assert offering is not None
    assert offering["id"] == {"provider_address": provider, "sequence": 1}
    assert "encrypted_secrets" not in offering


def test_a_recorded_missing_key_is_no_offering_and_an_empty_subspace_no_offerings(replay: Replay) -> None:
    assert replay([USED["store-key-2"]], lambda t: _source(t).get_offering(f"{PROVIDER}/1")) is None
    assert replay([USED["store-subspace-2"]], lambda t: _source(t).list_offerings(PROVIDER, height=401)) == []


def test_a_recorded_subspace_is_read_with_all_its_offerings(replay: Replay) -> None:
    offerings = replay([USED["store-subspace-1"]], lambda t: _source(t).list_offerings(PROVIDER, height=401))

    assert sorted(offering["id"]["sequence"] for offering in offerings) == [*range(1, 10), *range(11, 22)]
    assert "9007199254740993" in json.dumps(offerings)
    assert "canary-" not in json.dumps(offerings)


def test_a_recorded_answer_for_a_height_to_come_is_not_a_missing_key(replay: Replay) -> None:
    replies = [USED["store-key-5"], USED["rpc-status-1"]]

    with pytest.raises(PeerError) as refused:
        replay(replies, lambda transport: _source(transport).get_offering(f"{PROVIDER}/1", height=1401))

    assert refused.value.kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_recorded_refusal_of_the_application_is_permanent(step: int, replay: Replay) -> None:
    with pytest.raises(PeerError, match="check the store name") as refused:
        replay([USED[f"store-errors-{step}"]], lambda t: _source(t).get_offering(f"{PROVIDER}/1"))

    assert refused.value.kind is FailureKind.PERMANENT


def test_recorded_websocket_frames_wake_up_at_their_heights() -> None:
    async def heights(url: str) -> list[tuple[int, str]]:
        woken: list[tuple[int, str]] = []
        async for wake_up in wake_ups(url, EVENT_TYPE):
            woken.append((wake_up.height, wake_up.reason))
            if len(woken) == 5:
                break
        return woken

    with serve(Starlette(routes=[WebSocketRoute("/websocket", _recorded_socket)])) as url:
        woken = asyncio.run(heights(url))

    assert woken == [(371, "connected"), (373, "event"), (375, "event"), (377, "event"), (379, "event")]


def test_recorded_websocket_errors_are_classified() -> None:
    errors = [
        line["frame"]["error"]
        for scenario in ("offering_events", "subscribe_errors")
        for line in frames(scenario)
        if line["direction"] == "received" and "error" in line["frame"]
    ]

    assert len(errors) == 9
    assert {classify_rpc_error(error, "websocket").kind for error in errors} == {FailureKind.PERMANENT}


async def _recorded_socket(websocket: WebSocket) -> None:
    received = [line["frame"] for line in frames("offering_events") if line["direction"] == "received"]
    await websocket.accept()
    for call_id in ("events", "heartbeat"):
        assert (await websocket.receive_json())["id"] == call_id
        await websocket.send_json({**received[0], "id": call_id})
    assert (await websocket.receive_json())["method"] == "status"
    await websocket.send_json({**received[1], "id": "status"})
    for frame in received[2:6]:
        await websocket.send_json({**frame, "id": "events"})
    await websocket.receive()


def _source(transport: Transport) -> ChainSource:
    return ChainSource(transport, chain_id=CHAIN_ID, store_name=STORE, key_prefix=KEY_PREFIX, event_type=EVENT_TYPE)


async def _call(rpc: CometRpc, method: str) -> Any:
    match method:
        case "abci_query":
            return await rpc.abci_query("/store/wasm/key", b"\x01")
        case "block_results":
            return await rpc.block_results(1)
        case "tx_search":
            return await rpc.tx_search("tx.height>0")
        case _:
            return await rpc.status()
