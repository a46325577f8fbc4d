"""The chain as a source of offerings: state by height, events by height, and how far the node has come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, TypeVar

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.cometbft.errors import HeightPruned, failure
from sync_pipelines.systems.cometbft.events import EventReader, EventsRead, Found, has_base64_attributes
from sync_pipelines.systems.cometbft.rpc import PAGE_SIZE, AbciResponse, CometRpc, FoundTx
from sync_pipelines.systems.cometbft.store import StoreCorrupt, decode_offering, decode_pairs, decode_value
from sync_pipelines.systems.transport import MAX_IN_FLIGHT, Transport

WORKERS = MAX_IN_FLIGHT
"""Blocks read at the same time; more would only wait for the transport."""
MISSING_VERSION = "version does not exist"
STATE_ATTEMPTS = 4
STATE_PAUSE = 0.25
"""Seconds between attempts: a node tells of a block a moment before its application has committed it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ChainTip:
    """Where a node stands.

    Attributes:
        chain_id: name of the network.
        height: newest block.
        time: its time, aware UTC.
        earliest_height: oldest block that the node still has.
        catching_up: whether the node is still behind the network.
        node_version: version of CometBFT.
        tx_index: whether ``tx_search`` works.
    """

    chain_id: str
    height: int
    time: datetime
    earliest_height: int
    catching_up: bool
    node_version: str
    tx_index: bool


class ChainSource:
    """Offerings and their events on one chain.

    Arguments:
        transport: HTTP to the node's RPC.
        chain_id: the network that the node must be on.
        store_name: application store that holds the offerings.
        key_prefix: bytes before the offering id in a store key.
        event_type: ABCI type of the marketplace's events.

    All methods raise :class:`PeerError`.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        chain_id: str,
        store_name: str = "mktplace",
        key_prefix: bytes = b"\x01",
        event_type: str = "marketplace_event",
    ) -> None:
        self.event_type = event_type
        self._rpc = CometRpc(transport)
        self._chain_id = chain_id
        self._store = f"/store/{store_name}"
        self._prefix = key_prefix

    async def tip(self) -> ChainTip:
        """Return where the node stands; nothing is refused."""
        status = await self._rpc.status()
        return ChainTip(
            chain_id=status.node_info.network,
            height=status.sync_info.latest_block_height,
            time=status.sync_info.latest_block_time.astimezone(UTC),
            earliest_height=status.sync_info.earliest_block_height,
            catching_up=status.sync_info.catching_up,
            node_version=status.node_info.version,
            tx_index=status.node_info.other.get("tx_index") == "on",
        )

    async def check(self) -> ChainTip:
        """Return where the node stands, or refuse a node that must not be believed.

        Raises:
            PeerError: permanent on another network, transient while the node is catching up.
        """
        tip = await self.tip()
        if tip.chain_id != self._chain_id:
            text = (
                f"the node is on chain {tip.chain_id!r}, expected {self._chain_id!r}: "
                "correct the RPC URL or the chain id of this connection"
            )
            raise failure(FailureKind.PERMANENT, text, operation="status")
        if tip.catching_up:
            text = f"the node is catching up (height {tip.height}): wait until it is in sync, or use another node"
            raise failure(FailureKind.TRANSIENT, text, operation="status")
        return tip

    async def list_offerings(self, provider: str, *, height: int | None = None) -> list[dict[str, Any]]:
        """Return all offerings of a provider as of one height, without ``encrypted_secrets``.

        A stored value that cannot be read comes as ``{"id": {...}, "unreadable": reason}``: one bad record must not
        hide the others, and must not look deleted.

        Arguments:
            provider: address, without a slash.
            height: the state to read; ``None`` is the node's newest block.

        Raises:
            HeightPruned: the state of the height is gone.
            PeerError: transient when the height does not exist yet.
        """
        if height is None:
            height = (await self.tip()).height
        # A prefix is no separator: without the slash a longer address would match too.
        prefix = self._prefix + f"{provider}/".encode()
        answer = await self._state("subspace", prefix, height)
        try:
            pairs = decode_pairs(decode_value(answer.value or ""))
        except StoreCorrupt as problem:
            raise failure(FailureKind.PERMANENT, str(problem), operation=f"list offerings of {provider}") from None
        return [self._offering(key, value) for key, value in pairs]

    async def get_offering(self, offering_id: str, *, height: int | None = None) -> dict[str, Any] | None:
        """Return one offering without ``encrypted_secrets``, ``None`` when the chain has none.

        Arguments, unreadable values and errors as for :meth:`list_offerings`; ``height=None`` reads what the
        application committed last.
        """
        key = self._prefix + offering_id.encode()
        answer = await self._state("key", key, height or 0)
        if answer.value is None:
            return None
        try:
            return self._offering(key, decode_value(answer.value))
        except StoreCorrupt as problem:
            raise failure(FailureKind.PERMANENT, str(problem), operation=f"get offering {offering_id}") from None

    async def events(self, from_height: int, to_height: int) -> EventsRead:
        """Return the events of a range of heights, both ends included, read block by block.

        Raises:
            HeightPruned: a height of the range is gone.
            PeerError: transient when the range ends in the future.
        """
        reader = await self._reader()

        async def read(height: int) -> Found:
            block = await self._rpc.block_results(height)
            if block.height != height:
                text = f"asked for height {height}, got {block.height}"
                raise failure(FailureKind.TRANSIENT, text, operation=f"block_results {height}")
            return reader.keep(height, block.txs_results or ())

        try:
            blocks = await _of_each(range(from_height, to_height + 1), read)
        except HeightPruned as pruned:
            tip = await self.tip()
            if pruned.lowest is None and to_height >= tip.height:
                # The newest block is told of before its results can be read.
                raise failure(FailureKind.TRANSIENT, pruned.message, operation=pruned.operation) from None
            raise
        return reader.read(from_height, to_height, chain.from_iterable(blocks))

    async def search_events(self, from_height: int, to_height: int) -> EventsRead:
        """Return the same as :meth:`events` through the node's index: quicker over long, quiet ranges.

        Raises:
            HeightPruned: the range begins below the node's oldest block (the index would just say nothing).
            PeerError: transient when the range ends in the future or the index moved; permanent without an index.
        """
        tip = await self.tip()
        if from_height < tip.earliest_height:
            text = f"height {from_height} is not available, lowest height is {tip.earliest_height}"
            raise HeightPruned(text, lowest=tip.earliest_height, operation="tx_search")
        if to_height > tip.height:
            text = f"height {to_height} does not exist yet, the newest is {tip.height}"
            raise failure(FailureKind.TRANSIENT, text, operation="tx_search")
        reader = EventReader(self.event_type, has_base64_attributes(tip.node_version))
        query = f"{self.event_type}.event_id EXISTS AND tx.height>={from_height} AND tx.height<={to_height}"
        hits = await self._search(query)
        return reader.read(from_height, to_height, ((hit.height, hit.index, hit.tx_result) for hit in hits))

    async def _search(self, query: str) -> Sequence[FoundTx]:
        found: dict[str, FoundTx] = {}
        page = 1
        while True:
            answer = await self._rpc.tx_search(query, page=page)
            found |= {hit.hash: hit for hit in answer.txs}
            if page * PAGE_SIZE >= answer.total_count:
                break
            page += 1
        if len(found) != answer.total_count:
            text = f"{answer.total_count} transactions announced, {len(found)} given"
            raise failure(FailureKind.TRANSIENT, text, operation="tx_search")
        return list(found.values())

    async def _reader(self) -> EventReader:
        # Asked every time: a node is upgraded while we run, and its attributes change with the version.
        return EventReader(self.event_type, has_base64_attributes((await self.tip()).node_version))

    async def _state(self, action: str, key: bytes, height: int) -> AbciResponse:
        path = f"{self._store}/{action}"
        for attempt in range(STATE_ATTEMPTS):
            answer = await self._rpc.abci_query(path, key, height=height)
            if answer.code != 0:
                text = f"{answer.log} (code {answer.code}): check the store name of this connection"
                raise failure(FailureKind.PERMANENT, text, operation=f"abci_query {path}")
            # A missing height is answered like a missing key; only the log tells.
            if not answer.log:
                break
            problem = await self._missing_state(height, answer.log)
            if problem.kind is not FailureKind.TRANSIENT or attempt == STATE_ATTEMPTS - 1:
                raise problem
            await asyncio.sleep(STATE_PAUSE)
        if height and answer.height != height:
            text = f"asked for the state at height {height}, got {answer.height}"
            raise failure(FailureKind.TRANSIENT, text, operation=f"abci_query {path}")
        return answer

    async def _missing_state(self, height: int, log: str) -> PeerError:
        operation = f"abci_query at height {height}"
        if log != MISSING_VERSION:
            return failure(FailureKind.PERMANENT, log, operation=operation)
        tip = await self.tip()
        if height >= tip.height:
            text = f"height {height} does not exist yet, the newest is {tip.height}"
            return failure(FailureKind.TRANSIENT, text, operation=operation)
        lowest = tip.earliest_height if height < tip.earliest_height else None
        told = f"lowest height is {lowest}" if lowest else "its pruning keeps less state than blocks"
        return HeightPruned(
            f"the node has forgotten the state at height {height}: {told}", lowest=lowest, operation=operation
        )

    def _offering(self, key: bytes, value: bytes) -> dict[str, Any]:
        offering_id = key[len(self._prefix) :].decode("utf-8", "replace")
        try:
            offering = decode_offering(value)
            if id_of(offering) == offering_id:
                return offering
            reason = "the id in the value is not that of the key"
        except StoreCorrupt as problem:
            reason = str(problem)
        provider, _, number = offering_id.rpartition("/")
        identity = {"provider_address": provider, "sequence": int(number) if number.isdecimal() else number}
        return {"id": identity, "unreadable": reason}


def id_of(offering: Mapping[str, Any]) -> str:
    """Return ``<provider>/<sequence>`` of a stored offering; the text of an unusable id when it has none."""
    match offering.get("id"):
        case {"provider_address": provider, "sequence": number}:
            return f"{provider}/{number}"
        case other:
            return str(other)


async def _of_each(heights: range, read: Callable[[int], Awaitable[_T]]) -> list[_T]:
    """Return what is read at each height, in their order; the first failure cancels the rest and is raised.

    Memory is bounded by the results: a few workers share the range, whatever its length.
    """
    found: dict[int, _T] = {}
    left = iter(heights)

    async def work() -> None:
        for height in left:
            found[height] = await read(height)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(WORKERS, len(heights))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [found[height] for height in heights]
