"""Reading the block log of a token ledger that follows ICRC-3."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.internet_computer.agent import IcAgent
from sync_pipelines.systems.internet_computer.candid import BLOB, NAT, TEXT, Func, Opt, Vec, record
from sync_pipelines.systems.internet_computer.canister import Canister
from sync_pipelines.systems.internet_computer.certificates import CertificateError
from sync_pipelines.systems.internet_computer.errors import PEER, MethodNotOffered, NotVerified, ReplyTooLarge
from sync_pipelines.systems.internet_computer.icrc3_tip import Icrc3Tip, read_tip
from sync_pipelines.systems.internet_computer.values import LARGEST, VALUE, Value, as_map, hash_value, optional

PAGE = 1_000
"""Blocks to ask for at a time. Ledgers give as many as they like."""
MAX_CALLS = 64
"""Queries for one page: archives may point to other archives."""

_RANGES = Vec(record({"start": NAT, "length": NAT}))
_BLOCKS = record(
    {
        "log_length": NAT,
        "blocks": Vec(record({"id": NAT, "block": VALUE})),
        "archived_blocks": Vec(record({"args": _RANGES, "callback": Func()})),
    }
)
_BLOCK_TYPES = Vec(record({"block_type": TEXT, "url": TEXT}))
_TIP = Opt(record({"certificate": BLOB, "hash_tree": BLOB}))
_GET_BLOCKS = "icrc3_get_blocks"


class ChainBroken(PeerError):
    """A block does not name the hash of the block before it as that of its parent."""


@dataclass(frozen=True, slots=True)
class Icrc3Block:
    """A block of the log.

    Attributes:
        index: place in the log, from 0.
        value: what it says, see ``icrc3_transactions.py``.
        hash: of the value; the next block names it as ``phash``.
    """

    index: int
    value: Value
    hash: bytes


@dataclass(frozen=True, slots=True)
class Icrc3Page:
    """Blocks in order and without a gap, and how many there are in all."""

    blocks: tuple[Icrc3Block, ...]
    log_length: int


class Icrc3Ledger:
    """Reads the log of one canister, its archives included.

    Arguments:
        agent: talks to the network.
        canister: text or bytes of the ledger's principal.

    Raises:
        ConfigurationError: that is no principal.
    """

    def __init__(self, agent: IcAgent, canister: str | bytes) -> None:
        self._canister = Canister(agent, canister)
        self._page = PAGE

    @property
    def canister(self) -> str:
        """Text of the canister's principal."""
        return self._canister.text

    async def supported_block_types(self) -> tuple[str, ...] | None:
        """Return the types of blocks in the log, e.g. ``1xfer``; ``None`` when the canister offers no ICRC-3.

        The published interface of a canister proves nothing: some list methods that were never compiled in.
        """
        try:
            (types,) = await self._canister.query("icrc3_supported_block_types", (), (), (_BLOCK_TYPES,))
        except MethodNotOffered:
            return None
        return tuple(each["block_type"] for each in types)

    async def length(self) -> int:
        """Return how many blocks there are, as one node sees it.

        Raises:
            PeerError: ``MethodNotOffered`` when the canister offers no ICRC-3; else as ``errors.py`` classifies it.
        """
        (reply,) = await self._canister.query(_GET_BLOCKS, (_RANGES,), ([],), (_BLOCKS,))
        return self._length_in(reply)

    async def pages(self, start: int = 0, parent_hash: bytes | None = None) -> AsyncGenerator[Icrc3Page, None]:
        """Yield the log from a block on to its end, proved to be one chain.

        Arguments:
            start: index of the first block.
            parent_hash: hash of the block before it; without it the first link is not checked.

        Raises:
            ChainBroken: a block whose parent is another. The blocks before it were yielded.
            UnexpectedReply: blocks that were not asked for, or none although there are some.
            PeerError: as ``errors.py`` classifies it.
        """
        while True:
            found, log_length = await self._fetch(start)
            page, broken = self._chained(start, found, parent_hash)
            if page:
                yield Icrc3Page(page, log_length)
                start, parent_hash = page[-1].index + 1, page[-1].hash
            if broken is not None:
                raise broken
            if start >= log_length:
                return
            if not page:
                raise self._canister.unexpected(_GET_BLOCKS, f"no block {start}, although there are {log_length}")

    async def tip(self) -> Icrc3Tip | None:
        """Return number and hash of the last block, as the canister certifies them; ``None`` when it does not.

        Proved if the agent has a root key.

        Raises:
            NotVerified: the certificate does not prove what is said.
            PeerError: as ``errors.py`` classifies it.
        """
        method = "icrc3_get_tip_certificate"
        (told,) = await self._canister.query(method, (), (), (_TIP,))
        if told is None:
            return None
        agent = self._canister.agent
        try:
            return read_tip(
                told["certificate"], told["hash_tree"], self._canister.principal, agent.root_key, agent.now()
            )
        except CertificateError as error:
            operation = f"query {method} of {self._canister.text}"
            raise NotVerified(PEER, FailureKind.PERMANENT, str(error), operation=operation) from None

    async def _fetch(self, start: int) -> tuple[dict[int, Value], int]:
        """Return blocks by index from all places that hold some, and the length of the log."""
        while True:
            try:
                return await self._collect(start, self._page)
            except ReplyTooLarge:
                if self._page == 1:
                    raise
                self._page //= 2

    async def _collect(self, start: int, length: int) -> tuple[dict[int, Value], int]:
        found: dict[int, Value] = {}
        log_length: int | None = None
        places: list[tuple[Canister, str, list[dict[str, int]]]] = [
            (self._canister, _GET_BLOCKS, [{"start": start, "length": length}])
        ]
        calls = 0
        while places:
            calls += 1
            if calls > MAX_CALLS:
                raise self._canister.unexpected(_GET_BLOCKS, f"more than {MAX_CALLS} archives for one page")
            canister, method, ranges = places.pop()
            (reply,) = await canister.query(method, (_RANGES,), (ranges,), (_BLOCKS,))
            # An archive knows its own length only.
            log_length = self._length_in(reply) if log_length is None else log_length
            for each in reply["blocks"]:
                if not start <= each["id"] < start + length:
                    raise canister.unexpected(method, f"block {each['id']} came, which was not asked for")
                found[each["id"]] = each["block"]
            places += [self._archive(each) for each in reply["archived_blocks"]]
        assert log_length is not None
        return found, log_length

    def _length_in(self, reply: dict[str, Any]) -> int:
        count: int = reply["log_length"]
        if count > LARGEST:
            raise self._canister.unexpected(_GET_BLOCKS, f"a log of {count} blocks, which no ledger reaches")
        return count

    def _archive(self, told: dict[str, Any]) -> tuple[Canister, str, list[dict[str, int]]]:
        principal, method = told["callback"]
        return Canister(self._canister.agent, principal), method, told["args"]

    def _chained(
        self, start: int, found: dict[int, Value], parent_hash: bytes | None
    ) -> tuple[tuple[Icrc3Block, ...], ChainBroken | None]:
        """Return the blocks up to the first gap or broken link, and what is broken there."""
        blocks: list[Icrc3Block] = []
        while (value := found.get(start + len(blocks))) is not None:
            index = start + len(blocks)
            reason = _broken_link(index, value, parent_hash)
            if reason is not None:
                message = f"block {index} of {self._canister.text} {reason}"
                return tuple(blocks), ChainBroken(PEER, FailureKind.PERMANENT, message)
            parent_hash = hash_value(value)
            blocks.append(Icrc3Block(index, value, parent_hash))
        return tuple(blocks), None


def _broken_link(index: int, value: Value, parent_hash: bytes | None) -> str | None:
    try:
        told = optional(as_map(value), "phash", "Blob")
    except ValueError as error:
        return f"cannot be read: {error}"
    if index == 0:
        return None if told is None else "is the first one, and names a parent"
    if told is None:
        return "names no parent"
    if parent_hash is not None and told != parent_hash:
        return f"names {told.hex():.64} as its parent; the hash of the block before it is {parent_hash.hex()}"
    return None
