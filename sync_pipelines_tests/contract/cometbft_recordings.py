"""Exchanges recorded from a CometBFT 1.0.1 node (chain ``injective-777``), and a chain in the state they were made in.

The recorded offering events come from a small contract, hence another event type and another store than VirtEngine's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.cometbft import Attribute, ChainWorld, Event, Tx

FOLDER = Path(__file__).parent / "recordings" / "cometbft"
CHAIN_ID = "injective-777"
EVENT_TYPE = "wasm-marketplace_event"
STORE = "wasm"
KEY_PREFIX = b"\x03" + bytes.fromhex("ade4a5f5803a439835c636395a8d648dee57b2fc") + b"\x01"
EMITTER = {"_contract_address": "inj14hj2tavq8fpesdwxxcu44rty3hh90vhujaxlnz"}

LEFT_OUT = {
    "/net_info": "peers of the node: not used",
    "/commit": "signatures of a block: not used",
}
"""Recorded paths that the pipeline does not use. The application's REST gateway (LCD) is left out as a whole."""

BULK_HEIGHTS = range(394, 397)
"""90 further transactions were made here, before the scenario ``clamped``."""
STORED_AT = 360


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request and its answer."""

    name: str
    scenario: str
    step: int
    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int
    content_type: str
    answer: Any
    trimmed: bool

    @property
    def rpc_method(self) -> str:
        """Name of the RPC method called; empty for a body that holds none."""
        if self.method == "GET":
            return self.path.lstrip("/")
        return str(self.body.get("method", "")) if isinstance(self.body, dict) else ""


@cache
def exchanges(file: str) -> tuple[Exchange, ...]:
    """Return the HTTP exchanges of one file in their order."""
    return tuple(_exchange(file, line) for line in _lines(file))


@cache
def frames(scenario: str) -> tuple[dict[str, Any], ...]:
    """Return the websocket lines of one scenario: ``{direction: sent|received, frame}``."""
    return tuple(line for line in _lines("websocket") if line["scenario"] == scenario)


class RecordedChain:
    """A stand-in chain that holds what the recorded node held, and grows block by block."""

    def __init__(self) -> None:
        moment = iter(range(1_000_000))
        start = datetime(2026, 11, 22, 3, 11, 19, 685258, tzinfo=UTC)
        self.world = ChainWorld(
            chain_id=CHAIN_ID,
            node_version="1.0.1",
            store_name=STORE,
            key_prefix=KEY_PREFIX,
            event_type=EVENT_TYPE,
            emitter=EMITTER,
            clock=lambda: start + timedelta(microseconds=508_301 * next(moment)),
        )

    def grow_to(self, height: int) -> None:
        """Add the recorded blocks up to a height; where a recording says nothing the block is empty."""
        while self.world.height < height:
            following = self.world.height + 1
            writes = _stored_offerings() if following == STORED_AT else {}
            self.world.append(*_txs_of(following), writes=writes)


def _lines(file: str) -> Iterator[dict[str, Any]]:
    with (FOLDER / f"{file}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _exchange(file: str, line: dict[str, Any]) -> Exchange:
    request, response = line["request"], line["response"]
    return Exchange(
        name=f"{file}-{line['scenario']}-{line['step']}",
        scenario=line["scenario"],
        step=line["step"],
        method=request["method"],
        path=request["path"],
        query=request["query"],
        body=request["body"],
        status=response["status"],
        content_type=response["headers"].get("Content-Type", ""),
        answer=response["body"],
        trimmed="trimmed" in line,
    )


@cache
def _recorded_txs() -> dict[tuple[int, int], Tx]:
    found: dict[tuple[int, int], Tx] = {}
    for file in ("search", "typed_event"):
        for exchange in exchanges(file):
            result = exchange.answer.get("result", {}) if isinstance(exchange.answer, dict) else {}
            for hit in [*result.get("txs", []), *([result] if "tx_result" in result else [])]:
                found[int(hit["height"]), hit["index"]] = _tx(base64.b64decode(hit["tx"]), hit["tx_result"])
    return found


def _tx(raw: bytes, result: dict[str, Any]) -> Tx:
    events = tuple(
        Event(event["type"], tuple(Attribute(a["key"], a["value"], a["index"]) for a in event["attributes"]))
        for event in result["events"]
    )
    return Tx(
        raw=raw,
        events=events,
        code=result["code"],
        data=result["data"],
        log=result["log"],
        gas_wanted=int(result["gas_wanted"]),
        gas_used=int(result["gas_used"]),
        codespace=result["codespace"],
    )


def _txs_of(height: int) -> list[Tx]:
    """Return a block's transactions; those that the trimmed recordings left out are made up."""
    known = {index: tx for (at, index), tx in _recorded_txs().items() if at == height}
    count = max(known, default=-1) + 1
    if height in BULK_HEIGHTS:
        count = 30
    elif 11 <= height <= 20:
        count = 1
    return [known.get(index) or _filler(height, index) for index in range(count)]


def _filler(height: int, index: int) -> Tx:
    bulk = (Event.of(EVENT_TYPE, event_type="offering_updated", sequence="33"),) if height in BULK_HEIGHTS else ()
    return Tx(raw=f"{height}/{index}".encode(), events=(Event.of("tx", fee="480000000000000inj"), *bulk))


@cache
def _stored_offerings() -> dict[bytes, bytes | None]:
    text = files("sync_pipelines.sandbox").joinpath("data/offerings/offerings.json").read_text("utf-8")
    stored: dict[bytes, bytes | None] = {}
    for offering in json.loads(text):
        key = f"{offering['id']['provider_address']}/{offering['id']['sequence']}"
        stored[KEY_PREFIX + key.encode()] = json.dumps(offering, ensure_ascii=False, separators=(",", ":")).encode()
    return stored
