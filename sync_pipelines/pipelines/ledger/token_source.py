"""A token's log (ICRC-3) as the import reads it: positions are indices of blocks."""

from __future__ import annotations

from contextlib import aclosing

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.ledger.asking import Asking
from sync_pipelines.pipelines.ledger.blocks import CONTINUITY_BYTES
from sync_pipelines.pipelines.ledger.source import Chunk, OtherHistory, PastTheEnd, Tip
from sync_pipelines.pipelines.ledger.token_blocks import Piece, TokenCutter
from sync_pipelines.systems.internet_computer import ChainBroken, Icrc3Block, Icrc3Ledger, MethodNotOffered


class TokenSource:
    """A ``BlockSource`` over the network.

    Arguments:
        ledger: the canister's log, with its archives.
        asking: asks again when a question fails in passing.
        name: the connection's, for messages.
        proves: take no block behind the last one that the canister certifies.
    """

    def __init__(self, ledger: Icrc3Ledger, asking: Asking, name: str, *, proves: bool = False) -> None:
        self._ledger = ledger
        self._asking = asking
        self._name = name
        self._proves = proves
        self._certified: tuple[int, bytes] | None = None

    def cutter(
        self, position: int, parent_hash: bytes, previous_length: int | None, bytes_before: bytes
    ) -> TokenCutter:
        """Return what checks its blocks, and the last one against what the canister last told of it."""
        return TokenCutter(position, parent_hash, self._certified)

    async def tip(self) -> Tip:
        """Return where the log ends.

        Raises:
            ConfigurationError: the canister offers no ICRC-3, or certifies nothing although that is asked for.
            NotVerified: the certificate does not prove the last block.
        """
        try:
            told = await self._asking.answer(self._ledger.tip)
        except MethodNotOffered:
            told = None
        if told is not None:
            self._certified = told.index, told.hash
            return Tip(0, told.index + 1, told.index + 1, told.hash, 0, "blocks")
        self._certified = None
        try:
            length = await self._asking.answer(self._ledger.length)
        except MethodNotOffered:
            raise ConfigurationError(
                f"{self._name}: the canister {self._ledger.canister} offers no ICRC-3: it has no query "
                "icrc3_get_blocks. For the ledger of the Decent Cloud set `source: decent_cloud`; else take the "
                "connection out, or name the token's ledger canister"
            ) from None
        if length and self._proves:
            raise ConfigurationError(
                f"{self._name}: the canister {self._ledger.canister} does not certify its last block; set "
                "`verify_certificates: false`, and `verify_queries: true` to have each answer proved by a node"
            )
        return Tip(0, length, length, b"", 0, "blocks")

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        """Return a page of blocks from a position on.

        It begins with the block before, whose hash tells whether this is the history that is stored.
        """
        return await self._asking.answer(lambda: self._page(position, bytes_before))

    async def _page(self, position: int, bytes_before: bytes | None) -> Chunk:
        start = max(position - 1, 0) if bytes_before is not None else position
        end = self._certified[0] + 1 if self._proves and self._certified is not None else None
        found: list[Piece] = []
        reached = start
        try:
            async with aclosing(self._ledger.pages(start)) as pages:
                async for page in pages:
                    if start < position and reached == start:
                        _compare(page.blocks[0], bytes_before)
                    reached = page.blocks[-1].index + 1
                    found += [one for one in page.blocks if one.index >= position and (end is None or one.index < end)]
                    if reached > position:
                        break
        except ChainBroken as error:
            if reached < position:
                raise OtherHistory(f"the block before {position} is none any more: {error.message}") from None
            found.append(error)
        if reached < position:
            raise PastTheEnd(f"the log ends before block {position}, or the node that answered lags")
        return Chunk(position, tuple(found))


def _compare(block: Icrc3Block, bytes_before: bytes | None) -> None:
    if bytes_before is not None and block.hash[-CONTINUITY_BYTES:] != bytes_before:
        raise OtherHistory(f"block {block.index} has the hash {block.hash.hex()}, which is not that of the stored one")
