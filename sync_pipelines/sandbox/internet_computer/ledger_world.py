"""A Decent Cloud ledger that lives: committed blocks, the block in the making, and everything that can befall them."""

from __future__ import annotations

import contextlib
import pickle
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sync_pipelines.sandbox.internet_computer.blocks import Stored, entry_bytes
from sync_pipelines.sandbox.internet_computer.chain import DATA_START, Chain, Tip
from sync_pipelines.sandbox.internet_computer.economy import BLOCK_NS, Economy, Holdings
from sync_pipelines.sandbox.internet_computer.storage import Storage
from sync_pipelines.sandbox.internet_computer.traffic import live_through

MAINNET_CANISTER = "ggi4a-wyaaa-aaaai-actqq-cai"
FIRST_BLOCK_NS = 1_704_064_200_000_000_000
_CHECKPOINTS = 64
"""So many blocks can be taken back without new people appearing."""

Told = int | str | bytes
"""A value of the metadata: a number, a text or bytes."""


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry of the block in the making."""

    label: str
    key: bytes
    value: bytes
    deleted: bool = False


class Pending:
    """The block in the making: by label in the order of first use, then by key. A later write replaces an earlier."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[bytes, PendingEntry]] = {}

    def __iter__(self) -> Iterator[PendingEntry]:
        return (entry for group in self._labels.values() for entry in group.values())

    def __len__(self) -> int:
        return sum(map(len, self._labels.values()))

    def set(self, entry: PendingEntry) -> None:
        """Add an entry, or replace the one with its label and key."""
        self._labels.setdefault(entry.label, {})[entry.key] = entry

    def keys(self, label: str) -> list[bytes]:
        """Return the keys under a label."""
        return list(self._labels.get(label, ()))

    def clear(self) -> None:
        """Forget everything."""
        self._labels.clear()


@dataclass(slots=True)
class Lag:
    """Nodes that are behind. ``times`` counts the queries that one of them answers; ``None`` means all."""

    blocks: int
    times: int | None


@dataclass(frozen=True, slots=True)
class View:
    """What one node sees. ``behind`` tells whether it is behind the others."""

    tip: Tip
    pending: tuple[PendingEntry, ...]
    behind: bool


class LedgerWorld:
    """A ledger, deterministic from a seed. Everything it does is done under its lock.

    Arguments:
        seed: another one makes other traffic.
        canister_id: principal of the canister, as text.
        data_start: position of the first block.
        start_ns: time of the first block.
        storage: where the committed bytes are kept; in memory without it.

    Attributes:
        chain: the committed blocks.
        pending: the block in the making; it is committed by :meth:`commit`.
        holdings: what everybody has.
        told: metadata that is not computed but said as given here.
        newer: answers metadata as canisters do that count no offerings and tell the reward.
    """

    def __init__(
        self,
        seed: str = "ledger",
        *,
        canister_id: str = MAINNET_CANISTER,
        data_start: int = DATA_START,
        start_ns: int = FIRST_BLOCK_NS,
        storage: Storage | None = None,
    ) -> None:
        self.seed = seed
        self.canister_id = canister_id
        self.start_ns = start_ns
        self.chain = Chain(data_start, storage)
        self.pending = Pending()
        self.holdings = Holdings()
        self.told: dict[str, Told] = {}
        self.newer = False
        self.lagging: Lag | None = None
        self._checkpoints: dict[int, bytes] = {}
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, _lock=threading.RLock())

    @classmethod
    def grown(cls, blocks: int, seed: str = "ledger", *, start_ns: int = FIRST_BLOCK_NS) -> LedgerWorld:
        """Return a ledger with so many blocks of made-up traffic."""
        world = cls(seed, start_ns=start_ns)
        world.grow(blocks)
        return world

    @classmethod
    def of_bytes(
        cls,
        data: bytes,
        metadata: Mapping[str, Told] | None = None,
        pending: Sequence[PendingEntry] = (),
        *,
        canister_id: str = MAINNET_CANISTER,
    ) -> LedgerWorld:
        """Return a ledger of given bytes, which need not be sound.

        Arguments:
            data: bytes of the DATA partition.
            metadata: what the canister says of them, the end and the tip included; computed where it is silent.
            pending: the block in the making.
        """
        told = dict(metadata or {})
        data_start = _number(told.pop("ledger:data_start_lba", DATA_START))
        world = cls(canister_id=canister_id, data_start=data_start)
        blocks, end = told.pop("ledger:num_blocks", None), told.pop("ledger:next_block_start_pos", None)
        last_hash, last_ns = (told.pop(f"ledger:latest_block_{part}", None) for part in ("hash", "timestamp_ns"))
        tip = None
        if end is not None and isinstance(last_hash, bytes):
            tip = Tip(_number(blocks), last_hash, _number(last_ns), _number(end))
        world.chain = Chain.loaded(data, data_start, tip)
        world.told = told
        world._go_back()
        for entry in pending:
            world.pending.set(entry)
        return world

    @property
    def guard(self) -> threading.RLock:
        """The lock; a request is answered under it."""
        return self._lock

    @property
    def economy(self) -> Economy:
        """The actions of providers and users, which write entries."""
        return Economy(self)

    @property
    def now_ns(self) -> int:
        """Time of the block in the making, some 600 s after the last one."""
        tip = self.chain.tip()
        return tip.timestamp_ns + BLOCK_NS if tip.blocks else self.start_ns

    def put(self, label: str, key: bytes, value: bytes) -> None:
        """Write an entry into the block in the making."""
        with self._lock:
            self.pending.set(PendingEntry(label, key, value))

    def delete(self, label: str, key: bytes) -> None:
        """Write a Delete into the block in the making."""
        with self._lock:
            self.pending.set(PendingEntry(label, key, b"", True))

    def commit(self, at_ns: int | None = None) -> Stored | None:
        """Commit the block in the making, with the rewards of its check-ins. An empty one is not committed."""
        with self._lock:
            moment = max(at_ns or self.now_ns, self.chain.tip().timestamp_ns + 1)
            self.economy.distribute(moment)
            if not len(self.pending):
                return None
            entries = [entry_bytes(e.label, e.key, e.value, deleted=e.deleted) for e in self.pending]
            stored = self.chain.commit(entries, moment)
            self.pending.clear()
            self.remember()
            return stored

    def remember(self) -> None:
        """Keep what everybody has after this block, in case that later ones are taken back."""
        count = len(self.chain.blocks)
        self._checkpoints[count] = pickle.dumps(self.holdings)
        self._checkpoints.pop(count - _CHECKPOINTS, None)

    def grow(self, blocks: int = 1, *, at_ns: int | None = None) -> list[Stored]:
        """Commit the block in the making with some traffic in it, then more of them.

        Arguments:
            at_ns: time of the last one; without it they are some 600 s apart.
        """
        grown = []
        with self._lock:
            for number in range(blocks):
                live_through(self)
                stored = self.commit(at_ns if number == blocks - 1 else None)
                assert stored is not None
                grown.append(stored)
        return grown

    def stir(self) -> None:
        """Let some traffic happen that stays uncommitted."""
        with self._lock:
            live_through(self)

    def reinstall(self, blocks: int = 3) -> None:
        """Begin anew, as after the installation of the canister: other blocks at the same positions."""
        with self._lock:
            self.chain.drop(len(self.chain.blocks))
            self._go_on("reinstalled", blocks)

    def rewrite_tail(self, blocks: int, *, then: int | None = None) -> None:
        """Take the last blocks back and write others in their place, as after a restore of the canister's memory.

        Arguments:
            then: how many are written; as many as are taken back without it.
        """
        with self._lock:
            self.chain.drop(blocks)
            self._go_on("rewritten", blocks if then is None else then)

    def rewrite_last_at_same_length(self) -> None:
        """Replace the last block by one of the same number of bytes: nobody can tell by positions or lengths."""
        with self._lock:
            last = self.chain.blocks[-1]
            self.chain.drop(1)
            for attempt in range(10_000):
                self._go_back()
                live_through(self)
                moment = last.timestamp_ns + 1 + attempt
                self.economy.distribute(moment)
                entries = [entry_bytes(e.label, e.key, e.value, deleted=e.deleted) for e in self.pending]
                stored = self.chain.commit(entries, moment)
                if stored.length == last.length and stored.hash != last.hash:
                    self.pending.clear()
                    self.remember()
                    return
                self.chain.drop(1)
            raise RuntimeError("no other block of the same length was found")

    def lag(self, blocks: int = 1, *, times: int | None = None) -> None:
        """Let queries be answered by a node that has not seen the last blocks yet; :meth:`catch_up` ends it."""
        with self._lock:
            self.lagging = Lag(blocks, times)

    def catch_up(self) -> None:
        """Let all nodes be equal again."""
        with self._lock:
            self.lagging = None

    @contextlib.contextmanager
    def looking(self) -> Iterator[View]:
        """Give what the node sees that answers the next query."""
        with self._lock:
            lag = self.lagging
            if lag is None or lag.times == 0:
                yield View(self.chain.tip(), tuple(self.pending), False)
                return
            if lag.times is not None:
                lag.times -= 1
            yield View(self.chain.tip(min(lag.blocks, len(self.chain.blocks))), (), True)

    def metadata(self, view: View) -> list[tuple[str, Told]]:
        """Return what the method ``metadata`` tells, in its order."""
        tip = view.tip
        check_ins = sum(entry.label == "ProvCheckIn" for entry in view.pending)
        pairs: list[tuple[str, Told]] = [
            ("data_start_lba", self.chain.data_start),
            ("num_blocks", tip.blocks),
            ("latest_block_hash", tip.hash),
            ("latest_block_timestamp_ns", tip.timestamp_ns),
            ("next_block_start_pos", tip.end),
            ("authorized_pusher", ""),
            ("token_value_in_usd_e6", 1_000_000),
            ("total_providers", len(self.holdings.providers)),
            *([] if self.newer else [("total_offerings", sum(self.holdings.offerings.values()))]),
            ("blocks_until_next_halving", 210_000 - tip.blocks % 210_000),
            ("current_block_validators", check_ins),
            ("current_block_rewards_e9s", self.economy.reward),
            *([("reward_per_block_e9s", self.economy.reward)] if self.newer else []),
        ]
        return [(f"ledger:{name}", self.told.get(f"ledger:{name}", value)) for name, value in pairs]

    def _go_back(self) -> None:
        """Let everybody have what they had after the last block that is left; where that is unknown, others go on."""
        self.pending.clear()
        count = len(self.chain.blocks)
        holdings = self._checkpoints.get(count)
        others = f"late{count}-" if count else ""
        self.holdings = pickle.loads(holdings) if holdings else Holdings(prefix=others)

    def _go_on(self, what: str, blocks: int) -> None:
        self._go_back()
        self.seed = f"{self.seed}, {what}"
        self.grow(blocks)


def _number(value: Told | None) -> int:
    if not isinstance(value, int):
        raise ValueError(f"a number was expected in the metadata, not {value!r}")
    return value
