"""The four RPC methods that are used, with typed answers.

Calls are POSTed JSON-RPC: parameters need no double quoting, and a refusal comes with HTTP 200, so that it is not taken
for a node out of order. Every 64-bit integer is a string, in parameters as in results.
"""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.cometbft.errors import failure, result_of
from sync_pipelines.systems.transport import Transport

_CALL_IDS = count(1)
"""Each call has an id of its own: an answer that a proxy gives to another call must not be taken for it."""

PAGE_SIZE = 100
"""``tx_search`` gives at most 100 a page and says nothing when asked for more."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class NodeInfo(_Answer):
    """Who the node is."""

    network: str
    version: str
    other: dict[str, str] = Field(default_factory=dict)


class SyncInfo(_Answer):
    """Where the node stands."""

    latest_block_height: int
    latest_block_time: datetime
    earliest_block_height: int = 1
    catching_up: bool


class Status(_Answer):
    """Answer of ``status``."""

    node_info: NodeInfo
    sync_info: SyncInfo


class AbciResponse(_Answer):
    """What the application answered: a null value is a missing key or, when there is a ``log``, a missing height."""

    code: int = 0
    log: str = ""
    key: str | None = None
    value: str | None = None
    height: int = 0
    codespace: str = ""


class AbciQuery(_Answer):
    """Answer of ``abci_query``."""

    response: AbciResponse


class RawAttribute(_Answer):
    """Key and value of an event: base64 up to CometBFT 0.34, plain text later."""

    key: str | None = None
    value: str | None = None


class RawEvent(_Answer):
    """One ABCI event."""

    type: str = ""
    attributes: tuple[RawAttribute, ...] | None = None


class TxResult(_Answer):
    """Result of one transaction; ``code`` 0 is success."""

    code: int = 0
    events: tuple[RawEvent, ...] | None = None


class BlockResults(_Answer):
    """Answer of ``block_results``; ``txs_results`` of an empty block is null."""

    height: int
    txs_results: tuple[TxResult, ...] | None = None


class FoundTx(_Answer):
    """One hit of ``tx_search``."""

    hash: str
    height: int
    index: int = 0
    tx_result: TxResult


class TxSearch(_Answer):
    """Answer of ``tx_search``."""

    txs: tuple[FoundTx, ...]
    total_count: int


_A = TypeVar("_A", bound=_Answer)


class CometRpc:
    """RPC of one node. All methods raise :class:`PeerError`, for a pruned height :class:`HeightPruned`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def status(self) -> Status:
        """Return who the node is and where it stands."""
        return await self._call(Status, "status", "status", {})

    async def abci_query(self, path: str, data: bytes, *, height: int = 0) -> AbciResponse:
        """Return what the application answers, e.g. on ``/store/<name>/key``; height 0 is its newest state."""
        params = {"path": path, "data": data.hex(), "height": str(height), "prove": False}
        return (await self._call(AbciQuery, "abci_query", f"abci_query {path}", params)).response

    async def block_results(self, height: int) -> BlockResults:
        """Return the results of a block's transactions."""
        return await self._call(BlockResults, "block_results", f"block_results {height}", {"height": str(height)})

    async def tx_search(self, query: str, *, page: int = 1, per_page: int = PAGE_SIZE) -> TxSearch:
        """Return one page of the transactions that match, lowest height first (in a block: in no useful order)."""
        params = {"query": query, "page": str(page), "per_page": str(per_page), "order_by": "asc", "prove": False}
        return await self._call(TxSearch, "tx_search", f"tx_search page {page}", params)

    async def _call(self, model: type[_A], method: str, operation: str, params: dict[str, Any]) -> _A:
        call_id = next(_CALL_IDS)
        call = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}
        response = await self._transport.request("POST", "", json=call, write=False, operation=operation)
        result = result_of(response, operation, call_id=call_id, redactor=self._transport.redactor)
        try:
            return model.model_validate(result)
        except ValidationError as problem:
            first = problem.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            text = f"the answer is not of the known form: {place or 'result'}: {first['msg']}"
            raise failure(FailureKind.PERMANENT, text, operation=operation) from None
