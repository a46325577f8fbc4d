"""What the ledger canister of the Decent Cloud offers to who copies its ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.internet_computer.agent import IcAgent
from sync_pipelines.systems.internet_computer.candid import (
    BLOB,
    BOOL,
    NAT32,
    TEXT,
    Opt,
    Vec,
    record,
    tuple_of,
    variant,
)
from sync_pipelines.systems.internet_computer.canister import Canister
from sync_pipelines.systems.internet_computer.errors import PEER, ReplyTooLarge
from sync_pipelines.systems.internet_computer.values import LARGEST, VALUE, Value, optional, required

CONTINUITY_BYTES = 16
"""How many bytes before a position the canister compares with ours."""
MAX_PAGE = 1_000

_METADATA = Vec(tuple_of(TEXT, VALUE))
_FETCH_ARGUMENTS = (Opt(TEXT), Opt(BLOB))
_FETCHED = variant({"Ok": tuple_of(TEXT, BLOB), "Err": TEXT})
_OPT_NAT32 = Opt(NAT32)
_PENDING_ARGUMENTS = (Opt(TEXT), _OPT_NAT32, _OPT_NAT32)
_PENDING = record(
    {
        "entries": Vec(record({"label": TEXT, "key": BLOB, "value": BLOB})),
        "has_more": BOOL,
        "total_count": NAT32,
    }
)
_PREFIX = "ledger:"
_TIP_NUMBERS = ("data_start_lba", "next_block_start_pos", "num_blocks", "latest_block_timestamp_ns")
_TIP_KEYS = (*_TIP_NUMBERS, "latest_block_hash")


class Diverged(PeerError):
    """The canister's bytes before a position are not ours: it was reinstalled, or its tail was written anew."""


class PastTheEnd(PeerError):
    """The ledger ends before the position. A node that lags says so too: ask for the metadata before believing it."""


@dataclass(frozen=True, slots=True)
class LedgerTip:
    """How far a ledger has come, as one node sees it. Nodes lag: a later answer can tell of an earlier tip.

    Attributes:
        data_start: position of the first block.
        next_block_start: position after the last block.
        num_blocks: committed blocks.
        latest_block_hash: chain hash of the last block; empty before the first.
        latest_block_timestamp_ns: nanoseconds since 1970; 0 before the first block.
        extra: the other metadata, without the prefix ``ledger:``; which there are depends on the canister's version.
    """

    data_start: int
    next_block_start: int
    num_blocks: int
    latest_block_hash: bytes
    latest_block_timestamp_ns: int
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of the ledger, cut anywhere.

    Attributes:
        position: of the first byte.
        data: up to 1 MiB; empty at the end of the ledger.
        more: whether the ledger went on after them.
    """

    position: int
    data: bytes
    more: bool


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that is not committed yet. Deletes among them are not served."""

    label: str
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class PendingPage:
    """A page of the entries that are not committed yet. When their block is committed, all vanish from this view.

    Attributes:
        total_count: entries in all, with the label asked for.
    """

    entries: tuple[PendingEntry, ...]
    has_more: bool
    total_count: int


class LedgerCanister:
    """Reads the ledger of one canister.

    Arguments:
        agent: talks to the network.
        canister: text or bytes of its principal.

    Raises:
        ConfigurationError: that is no principal.
    """

    def __init__(self, agent: IcAgent, canister: str | bytes) -> None:
        self._canister = Canister(agent, canister)
        self._page = MAX_PAGE

    @property
    def canister(self) -> str:
        """Text of the canister's principal."""
        return self._canister.text

    async def metadata(self) -> LedgerTip:
        """Return how far the ledger has come.

        Raises:
            PeerError: ``UnexpectedReply`` when the canister has no such ledger; else as ``errors.py`` classifies it.
        """
        (pairs,) = await self._canister.query("metadata", (), (), (_METADATA,))
        try:
            return read_tip(pairs)
        except ValueError as error:
            raise self._canister.unexpected("metadata", str(error)) from None

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        """Return committed bytes of the ledger from a position on.

        Arguments:
            position: where to begin: not before ``data_start`` of the metadata, and at most at the end.
            bytes_before: our 16 bytes before it, by which the canister tells that it goes on from what we have;
                ``None`` on the first fetch. At the end of the ledger the canister does not compare them.

        Raises:
            Diverged: its bytes before the position are others.
            PastTheEnd: the ledger ends before the position.
            UnexpectedReply: bytes of another place, or another number of them than said.
            PeerError: as ``errors.py`` classifies it.
        """
        if bytes_before is not None and len(bytes_before) != CONTINUITY_BYTES:
            raise ValueError(f"{len(bytes_before)} bytes before the position; the canister compares {CONTINUITY_BYTES}")
        method = "data_fetch"
        arguments = (f"position={position}", bytes_before)
        ((case, content),) = await self._canister.query(method, _FETCH_ARGUMENTS, arguments, (_FETCHED,))
        if case == "Err":
            raise self._refused(position, content)
        try:
            chunk = read_chunk(*content)
        except ValueError as error:
            raise self._canister.unexpected(method, str(error)) from None
        if chunk.position != position:
            # The canister moves positions before its first block up to it. Bytes in between would be lost unseen.
            raise self._canister.unexpected(
                method, f"bytes at {chunk.position} came, those at {position} were asked for"
            )
        return chunk

    async def next_block_entries(self, label: str | None = None, offset: int = 0, limit: int = 100) -> PendingPage:
        """Return a page of the entries that are not committed yet.

        The canister sets no bound on a page, and a reply of more than 3 MiB is rejected: the page is then halved, so
        that fewer entries than ``limit`` may come although there are more.

        Raises:
            PeerError: as ``errors.py`` classifies it; ``MethodNotOffered`` by newer canisters.
        """
        while True:
            asked = min(limit, self._page)
            arguments = (label, offset, asked)
            try:
                (page,) = await self._canister.query("next_block_entries", _PENDING_ARGUMENTS, arguments, (_PENDING,))
            except ReplyTooLarge:
                if asked <= 1:
                    raise
                self._page = asked // 2
            else:
                entries = tuple(PendingEntry(each["label"], each["key"], each["value"]) for each in page["entries"])
                return PendingPage(entries, page["has_more"], page["total_count"])

    def _refused(self, position: int, reason: str) -> PeerError:
        operation = f"query data_fetch of {self.canister}"
        told = self._canister.agent.redactor.text(reason)[:200]
        if "does not match" in reason:
            message = f"the ledger has other bytes before position {position} than our copy: {told}"
            return Diverged(PEER, FailureKind.PERMANENT, message, operation=operation)
        if "after the end of the ledger" in reason:
            message = f"the ledger ends before position {position}, or the node that answered lags: {told}"
            return PastTheEnd(PEER, FailureKind.TRANSIENT, message, operation=operation)
        return PeerError(PEER, FailureKind.PERMANENT, f"the canister refused: {told}", operation=operation)


def read_tip(pairs: list[tuple[str, Value]]) -> LedgerTip:
    """Return the tip that metadata tells. Raises ``ValueError`` when it does not tell all that a tip needs."""
    found = {name.removeprefix(_PREFIX): value for name, value in pairs}
    start, end, blocks = (required(found, name, "Nat") for name in _TIP_NUMBERS[:3])
    timestamp = optional(found, "latest_block_timestamp_ns", "Nat") or 0
    if end < start:
        raise ValueError(f"the ledger ends at {end} before it begins at {start}")
    for name, number in zip(_TIP_NUMBERS, (start, end, blocks, timestamp), strict=True):
        if number > LARGEST:
            raise ValueError(f"{name} is {number}, which no ledger reaches")
    return LedgerTip(
        start,
        end,
        blocks,
        optional(found, "latest_block_hash", "Blob") or b"",
        timestamp,
        {name: content for name, (_, content) in found.items() if name not in _TIP_KEYS},
    )


def read_chunk(cursor: str, data: bytes) -> Chunk:
    """Return the chunk that a cursor like ``position=8&response_bytes=2&direction=forward&more=true`` tells of.

    Raises:
        ValueError: a cursor with other fields, or that does not fit the data.
    """
    fields = dict(part.split("=", 1) for part in cursor.split("&") if "=" in part)
    if fields.keys() != {"position", "response_bytes", "direction", "more"}:
        raise ValueError(f"a cursor with other fields than expected: {cursor!r:.120}")
    position, count = (_natural(fields[name]) for name in ("position", "response_bytes"))
    if fields["direction"] != "forward" or fields["more"] not in ("true", "false"):
        raise ValueError(f"a cursor with other values than expected: {cursor!r:.120}")
    more = fields["more"] == "true"
    if count != len(data):
        raise ValueError(f"{len(data)} bytes came where the cursor tells of {count}")
    if more and not data:
        raise ValueError("no bytes came, although there are more")
    return Chunk(position, data, more)


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise ValueError(f"{text!r:.40} is not a number")
    return int(text)
