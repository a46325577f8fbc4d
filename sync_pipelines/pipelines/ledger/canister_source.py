"""The ledger of the Decent Cloud canister as the import reads it, asked again when a question fails in passing."""

from __future__ import annotations

from sync_pipelines.pipelines.ledger.asking import Asking
from sync_pipelines.pipelines.ledger.blocks import BlockCutter
from sync_pipelines.pipelines.ledger.source import Chunk, OtherHistory, PastTheEnd, Tip
from sync_pipelines.systems import internet_computer as ic


class CanisterSource:
    """A ``BlockSource`` over the network.

    Arguments:
        canister: the ledger's canister.
        asking: asks again when a question fails in passing.
    """

    def __init__(self, canister: ic.LedgerCanister, asking: Asking) -> None:
        self._canister = canister
        self._asked = asking.answer

    def cutter(
        self, position: int, parent_hash: bytes, previous_length: int | None, bytes_before: bytes
    ) -> BlockCutter:
        """Return what cuts its bytes into blocks."""
        return BlockCutter(position, parent_hash, previous_length, bytes_before=bytes_before)

    async def tip(self) -> Tip:
        """Return where the ledger ends."""
        told = await self._asked(self._canister.metadata)
        return Tip(
            told.data_start,
            told.next_block_start,
            told.num_blocks,
            told.latest_block_hash,
            told.latest_block_timestamp_ns,
        )

    async def fetch(self, position: int, bytes_before: bytes | None) -> Chunk:
        """Return bytes from a position on, up to 1 MiB."""
        try:
            chunk = await self._asked(lambda: self._canister.fetch(position, bytes_before))
        except ic.PastTheEnd as error:
            raise PastTheEnd(str(error)) from None
        except ic.Diverged as error:
            raise OtherHistory(error.message) from None
        return Chunk(chunk.position, chunk.data)
