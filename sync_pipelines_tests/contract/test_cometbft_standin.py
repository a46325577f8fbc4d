"""The CometBFT stand-in answers recorded requests as the real node did: status, content type, shape, fixed values."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from sync_pipelines.sandbox.cometbft import create_app
from sync_pipelines.sandbox.server import serve
from sync_pipelines_tests.contract.cometbft_recordings import LEFT_OUT, Exchange, RecordedChain, exchanges, frames

VOLATILE = re.compile(
    r"""_hash$|\.hash$|_time$|\.time$|timestamp$|node_info\.(id|channels|moniker|listen_addr|other\.rpc_address)$
    |validator_info\.(address|pub_key\.value)$|_address$|signature$|block_size$
    |response\.(data|version|last_block_app_hash)$|app_hash$|proofOps""",
    re.VERBOSE,
)
"""Values that differ between runs of a real node: hashes, times, names, keys. Their kind must agree."""
LOOSE_LISTS = re.compile(r"(finalize_block_events|value\.events|proofOps\.ops|signatures)$")
"""Lists whose length depends on the other modules of the recorded chain. Their entries' shape must agree."""
TX_SEARCH_TRIMMED = {"search-clamped-1": 100, "search-clamped-2": 30}
"""Entries in the real answer, where the recording keeps three."""

RECORDED = [
    exchange
    for file in ("rpc", "search", "store", "typed_event")
    for exchange in exchanges(file)
    if exchange.path not in LEFT_OUT
]
TIPS = {"rpc": 387, "search": 393, "search-clamped": 396, "store": 401, "typed_event": 403}


@pytest.fixture(scope="module")
def node_at() -> Iterator[Callable[[int], str]]:
    """Serve the recorded chain as it was at a height."""
    urls: dict[int, str] = {}
    with ExitStack() as stack:

        def url(height: int) -> str:
            if height not in urls:
                chain = RecordedChain()
                chain.grow_to(height)
                urls[height] = stack.enter_context(serve(create_app(chain.world)))
            return urls[height]

        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[httpx.Client]:
    """An HTTP client that understands nothing of CometBFT."""
    with httpx.Client() as client:
        yield client


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda exchange: exchange.name)
def test_a_recorded_request_gets_the_recorded_answer(
    recorded: Exchange, node_at: Callable[[int], str], browser: httpx.Client
) -> None:
    file = recorded.name.split("-", maxsplit=1)[0]
    tip = TIPS.get(f"{file}-{recorded.scenario}", TIPS[file])

    answer = _send(browser, node_at(tip), recorded)

    assert answer.status_code == recorded.status
    assert answer.headers.get("content-type", "") == recorded.content_type
    body = _body(answer)
    if recorded.trimmed:
        assert len(body["result"]["txs"]) == TX_SEARCH_TRIMMED[recorded.name]
        body["result"]["txs"] = [*body["result"]["txs"][:2], recorded.answer["result"]["txs"][-1]]
    assert list(_differences(recorded.answer, body)) == []


def test_every_left_out_path_is_a_recorded_one() -> None:
    assert set(LEFT_OUT) <= {exchange.path for exchange in exchanges("rpc")}


def test_recorded_websocket_conversations_are_repeated() -> None:
    chain = RecordedChain()
    chain.grow_to(371)
    scenarios = ["offering_events", "subscribe_errors", "heartbeat", "all_tx_with_failure", "per_type", "new_block"]

    async def converse(url: str) -> dict[str, list[str]]:
        problems = {}
        for scenario in scenarios:
            async with connect(url.replace("http", "ws") + "/websocket") as socket:
                problems[scenario] = await _play(socket, scenario, chain)
        return problems

    with serve(create_app(chain.world)) as url:
        assert asyncio.run(converse(url)) == {scenario: [] for scenario in scenarios}


def test_the_comparison_itself_finds_differences() -> None:
    recorded = {"height": "5", "txs": None, "node_info": {"id": "ab"}}

    assert list(_differences(recorded, {"height": "5", "txs": None, "node_info": {"id": "cd"}})) == []
    assert list(_differences(recorded, {"height": "6", "txs": None, "node_info": {"id": "ab"}}))
    assert list(_differences(recorded, {"height": 5, "txs": None, "node_info": {"id": "ab"}}))
    assert list(_differences(recorded, {"height": "5", "txs": [], "node_info": {"id": "ab"}}))
    assert list(_differences(recorded, {"height": "5", "node_info": {"id": "ab"}}))


def _send(browser: httpx.Client, url: str, recorded: Exchange) -> httpx.Response:
    content = recorded.body if isinstance(recorded.body, str) else json.dumps(recorded.body)
    return browser.request(
        recorded.method,
        url + recorded.path,
        params=dict(recorded.query),
        content=content if recorded.method == "POST" else None,
        headers={"Content-Type": "application/json"} if recorded.method == "POST" else {},
    )


def _body(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    return answer.json() if "json" in answer.headers["content-type"] else answer.text


async def _play(socket: Any, scenario: str, chain: RecordedChain) -> list[str]:
    problems: list[str] = []
    expected: list[dict[str, Any]] = []
    for line in [*frames(scenario), {"direction": "sent", "frame": None}]:
        if line["direction"] == "received":
            expected.append(line["frame"])
            continue
        # Which of two subscriptions is served first is left to chance by a real node.
        received = [await _next(socket, chain, frame) for frame in expected]
        for wanted, got in zip(sorted(expected, key=_order), sorted(received, key=_order), strict=True):
            problems += [f"{scenario} {wanted['id']}{problem}" for problem in _differences(wanted, got)]
        expected = []
        if line["frame"] is not None:
            await socket.send(json.dumps(line["frame"]))
    return problems


async def _next(socket: Any, chain: RecordedChain, recorded: dict[str, Any]) -> Any:
    if height := _height(recorded):
        chain.grow_to(height)
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())


def _height(frame: dict[str, Any]) -> int:
    value = frame.get("result", {}).get("data", {}).get("value", {})
    source = value.get("TxResult") or value.get("header") or value
    return int(source.get("height", 0))


def _order(frame: dict[str, Any]) -> tuple[str, int, int]:
    value = frame.get("result", {}).get("data", {}).get("value", {})
    return str(frame.get("id")), _height(frame), value.get("TxResult", {}).get("index", 0)


def _differences(recorded: Any, given: Any, path: str = "") -> Iterator[str]:
    """Yield the places where two documents differ in shape or in a value that is not volatile."""
    if isinstance(recorded, dict) and isinstance(given, dict):
        # The map of values of a block's events depends on the modules of the chain.
        if path.endswith("result.events") and recorded["tm.event"] == ["NewBlockEvents"]:
            yield from _differences(recorded["tm.event"], given["tm.event"], path + ".tm.event")
            return
        if set(recorded) != set(given):
            yield f"{path}: keys {sorted(set(recorded) ^ set(given))} on one side only"
        for key in recorded.keys() & given.keys():
            yield from _differences(recorded[key], given[key], f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(given, list):
        if LOOSE_LISTS.search(path) and recorded and given:
            if _shape(recorded[0]) != _shape(given[0]):
                yield f"{path}: entries of another shape"
            return
        if len(recorded) != len(given):
            yield f"{path}: {len(given)} entries instead of {len(recorded)}"
        for index, (left, right) in enumerate(zip(recorded, given, strict=False)):
            yield from _differences(left, right, f"{path}[{index}]")
    elif _kind(recorded) != _kind(given) or (recorded != given and not VOLATILE.search(path)):
        yield f"{path}: {given!r:.200} instead of {recorded!r:.200}"


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value[:1]]
    return type(value).__name__


def _kind(value: Any) -> str:
    if not isinstance(value, str):
        return type(value).__name__
    if re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", value):
        return f"hash of {len(value)}"
    if re.fullmatch(r"-?\d+", value):
        return "number in a string"
    return "time" if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value) else "text"
