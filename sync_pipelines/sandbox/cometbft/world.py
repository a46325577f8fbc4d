"""The in-memory chain: blocks, transactions, the marketplace store and the moods a node can be in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

from sync_pipelines.sandbox.cometbft.blocks import Attribute, Block, Event, Tx, rfc3339
from sync_pipelines.sandbox.cometbft.marketplace import event_attributes, new_offering, tx_events
from sync_pipelines.sandbox.cometbft.store import VersionedStore

Listener = Callable[[Block], None]
EventList = Sequence[tuple[str, Mapping[str, Any]]]


class ChainWorld:
    """One chain with one marketplace module. Safe to use from several threads.

    Every change makes one block, unless it is made inside :meth:`block`.

    Arguments:
        chain_id: network name that ``/status`` tells.
        node_version: CometBFT version; up to 0.34 event attributes are base64, up to 0.37 a block's own events come
            as ``begin_block_events`` and ``end_block_events``.
        store_name: name of the application store that holds the offerings.
        key_prefix: bytes before the offering id in a store key.
        event_type: ABCI type of the marketplace events.
        emitter: attributes put before the five of the module, e.g. a contract's address.
        clock: time of the next block; blocks never go back in time.
    """

    def __init__(
        self,
        *,
        chain_id: str = "virtengine-demo-1",
        node_version: str = "0.38.21",
        store_name: str = "mktplace",
        key_prefix: bytes = b"\x01",
        event_type: str = "marketplace_event",
        emitter: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.chain_id = chain_id
        self.node_version = node_version
        self.store_name = store_name
        self.key_prefix = key_prefix
        self.event_type = event_type
        self.emitter = dict(emitter or {})
        self.catching_up = False
        self.tx_index = True
        self.persists_results = True
        self.results_lost_below = 0
        self.earliest_height = 1
        self.lowest_state = 1
        self.sequence = 0
        self.store = VersionedStore()
        self._clock = clock
        self._lock = threading.RLock()
        self._blocks: list[Block] = []
        self._pending: list[Tx] | None = None
        self._pending_writes: dict[bytes, bytes | None] = {}
        self._nonce = 0
        self._listeners: list[Listener] = []
        self.empty_block()

    @classmethod
    def from_demo(cls, **settings: Any) -> ChainWorld:
        """Return the chain of the demo: 60 offerings of three providers, created ten to a block."""
        text = files("sync_pipelines.sandbox").joinpath("data/offerings/offerings.json").read_text("utf-8")
        offerings = json.loads(text)
        world = cls(**settings)
        for start in range(0, len(offerings), 10):
            with world.block():
                for offering in offerings[start : start + 10]:
                    world.create_offering(offering["id"]["provider_address"], offering)
        return world

    @property
    def height(self) -> int:
        """Height of the newest block."""
        return self._blocks[-1].height

    def block_at(self, height: int) -> Block:
        """Return a block, pruned or not. Raises ``IndexError`` when it does not exist."""
        if height < 1:
            raise IndexError(height)
        return self._blocks[height - 1]

    def blocks(self, lowest: int, highest: int) -> list[Block]:
        """Return the existing blocks of a range that are not pruned, oldest first."""
        with self._lock:
            return self._blocks[max(lowest, self.earliest_height, 1) - 1 : max(highest, 0)]

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with every new block, in the thread that makes it."""
        self._listeners.append(listener)

    @contextmanager
    def block(self) -> Iterator[None]:
        """Collect the transactions made inside into one block."""
        with self._lock:
            if self._pending is not None:
                raise RuntimeError("a block is open already")
            self._pending = []
            try:
                yield
                self._commit(self._pending, self._pending_writes)
            finally:
                self._pending, self._pending_writes = None, {}

    def empty_block(self) -> Block:
        """Make a block without transactions."""
        with self._lock:
            return self._commit([], {})

    def append(self, *txs: Tx, writes: Mapping[bytes, bytes | None] | None = None) -> int:
        """Put finished transactions and store changes on the chain; return their height."""
        with self._lock:
            height = self.height + 1
            if self._pending is None:
                self._commit(txs, writes or {})
            else:
                self._pending.extend(txs)
                self._pending_writes.update(writes or {})
            return height

    def offering(self, offering_id: str) -> dict[str, Any]:
        """Return the stored offering. Raises ``KeyError`` when there is none."""
        with self._lock:
            key = self.key_of(offering_id)
            stored = self._pending_writes[key] if key in self._pending_writes else self.store.get(key, self.height)
        if stored is None:
            raise KeyError(offering_id)
        offering: dict[str, Any] = json.loads(stored)
        return offering

    def offering_ids(self) -> list[str]:
        """Return the ids of all stored offerings in byte order."""
        with self._lock:
            pairs = self.store.subspace(self.key_prefix, self.height)
            return [key[len(self.key_prefix) :].decode() for key, _ in pairs]

    def key_of(self, offering_id: str) -> bytes:
        """Return the store key of an offering."""
        return self.key_prefix + offering_id.encode()

    def create_offering(self, provider: str, offering: Mapping[str, Any]) -> str:
        """Store a new offering with the caller's timestamps and emit ``offering_created``; return its id.

        The sequence is the offering's own, or the provider's next one.
        """
        with self._lock:
            given = offering.get("id", {}).get("sequence")
            sequence = int(given) if given else self._next_of(provider)
            offering_id = f"{provider}/{sequence}"
            document = new_offering(provider, sequence, self._now(), offering)
            details = {key: document[key] for key in ("state", "category", "name")}
            self._transact("MsgCreateOffering", offering_id, document, [("offering_created", details)])
            return offering_id

    def update_offering(self, offering_id: str, changes: Mapping[str, Any]) -> int:
        """Replace top-level fields (``None`` removes one) and stamp ``updated_at``; return the height."""
        with self._lock:
            document = self._changed(offering_id, changes)
            events = [("offering_updated", {"state": document["state"]})]
            return self._transact("MsgUpdateOffering", offering_id, document, events)

    def terminate_offering(self, offering_id: str, reason: str = "") -> int:
        """Terminate: one transaction with ``offering_updated`` and then ``offering_terminated``; return the height."""
        with self._lock:
            document = self._changed(offering_id, {"state": 5, "terminated_at": rfc3339(self._now())})
            told = {"reason": reason} if reason else {}
            events: EventList = [("offering_updated", {"state": 5}), ("offering_terminated", told)]
            return self._transact("MsgDeactivateOffering", offering_id, document, events)

    def count_order(self, offering_id: str) -> int:
        """Place an order: ``total_order_count`` grows and ``offering_updated`` tells of a change that is none."""
        with self._lock:
            count = self.offering(offering_id)["total_order_count"] + 1
            document = self._changed(offering_id, {"total_order_count": count})
            events = [("order_created", {}), ("offering_updated", {"state": document["state"]})]
            return self._transact("MsgCreateOrder", offering_id, document, events)

    def emit(self, *events: tuple[str, str, Mapping[str, Any]]) -> int:
        """Put one transaction on the chain that emits marketplace events ``(event_type, offering_id, details)``."""
        with self._lock:
            made = [self._event(kind, offering_id, details) for kind, offering_id, details in events]
            return self.append(self._tx("MsgEmit", made))

    def emit_raw(self, *events: Event) -> int:
        """Put one transaction on the chain with events as given, well formed or not."""
        with self._lock:
            return self.append(self._tx("MsgEmit", list(events)))

    def failed_tx(self, *, code: int = 5, codespace: str = "sdk", log: str = "insufficient fee") -> int:
        """Put a failed transaction on the chain: indexed and published, with fee events only."""
        with self._lock:
            tx = self._tx("MsgUpdateOffering", [])
            return self.append(Tx(raw=tx.raw, events=tx_events(), code=code, data=None, log=log, codespace=codespace))

    def skip_event_sequence(self, count: int = 1) -> None:
        """Use up event numbers without events, as if their blocks' results had been lost."""
        with self._lock:
            self.sequence += count

    def delete_offering(self, offering_id: str) -> int:
        """Remove an offering from the store without any event; return the height."""
        self.offering(offering_id)
        return self.append(writes={self.key_of(offering_id): None})

    def prune(self, below: int) -> None:
        """Forget blocks, results and state of every height under ``below``."""
        with self._lock:
            self.earliest_height = max(self.earliest_height, below)
            self.lowest_state = max(self.lowest_state, below)

    @contextmanager
    def rewound(self, height: int) -> Iterator[None]:
        """Stand at an earlier height within the block, as a node does that was restored from a backup.

        What happens to the chain meanwhile is lost when the block is left.
        """
        with self._lock:
            before = list(self._blocks), self.store, self.sequence
            self._blocks, self.store = self._blocks[:height], self.store.until(height)
        try:
            yield
        finally:
            with self._lock:
                self._blocks, self.store, self.sequence = before

    def _next_of(self, provider: str) -> int:
        taken = [int(name.split("/")[1]) for name in self.offering_ids() if name.startswith(f"{provider}/")]
        return max(taken, default=0) + 1

    def _changed(self, offering_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        document = self.offering(offering_id) | dict(changes) | {"updated_at": rfc3339(self._now())}
        return {key: value for key, value in document.items() if value is not None}

    def _transact(self, message: str, offering_id: str, document: Mapping[str, Any], events: EventList) -> int:
        made = [self._event(kind, offering_id, details) for kind, details in events]
        stored = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return self.append(self._tx(message, made), writes={self.key_of(offering_id): stored})

    def _event(self, kind: str, offering_id: str, details: Mapping[str, Any]) -> Event:
        self.sequence += 1
        attributes = event_attributes(kind, offering_id, self.height + 1, self._now(), self.sequence, details)
        before = tuple(Attribute(key, value) for key, value in self.emitter.items())
        return Event(self.event_type, before + attributes)

    def _tx(self, message: str, events: Sequence[Event]) -> Tx:
        self._nonce += 1
        raw = json.dumps({"chain_id": self.chain_id, "message": message, "nonce": self._nonce}).encode()
        return Tx(raw=raw, events=tx_events(f"/virtengine.market.v1.{message}", events))

    def _now(self) -> datetime:
        if not self._blocks:
            return self._clock()
        return max(self._clock(), self._blocks[-1].time + timedelta(microseconds=1))

    def _commit(self, txs: Sequence[Tx], writes: Mapping[bytes, bytes | None]) -> Block:
        height = self._blocks[-1].height + 1 if self._blocks else 1
        mint = Event.of("mint", bonded_ratio="0.67", amount=str(61_000 + height), mode="BeginBlock")
        bloom = Event.of("block_bloom", bloom="", mode="EndBlock")
        block = Block(height, self._now(), tuple(txs), (mint, bloom))
        self._blocks.append(block)
        self.store.write(height, writes)
        for listener in self._listeners:
            listener(block)
        return block
