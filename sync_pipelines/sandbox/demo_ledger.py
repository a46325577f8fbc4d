"""The ledger pipeline's peer with the demo's data: a replica with a ledger that grows now and then by itself.

The ledger remembers its state as the other stand-ins do. What happens in it between two blocks is visible as
uncommitted entries first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.background import repeated
from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, LedgerWorld
from sync_pipelines.sandbox.internet_computer.economy import BLOCK_NS
from sync_pipelines.sandbox.keeping import SavingWrites, restored, save, served

REPLICA_PORT = 4943
"""Where a replica for development usually listens."""
CONNECTION_NAME = "decent-cloud"

_BLOCKS = 300
"""Two days of blocks: some are of yesterday whenever the demo is started."""


@dataclass(frozen=True, slots=True)
class LedgerPeer:
    """Where the running peer is.

    Attributes:
        replica: base URL of the replica.
        canister_id: the ledger's canister.
        first_day: UTC day of the first block, as ISO 8601 has it.
    """

    replica: str
    canister_id: str
    first_day: str


def ledger_connections(peer: LedgerPeer) -> dict[str, Any]:
    """Return the section of a connections file for the demo's ledger. It needs no secrets."""
    found = {
        "name": CONNECTION_NAME,
        "url": peer.replica,
        "canister_id": peer.canister_id,
        # Three years of days without a block would hide the few that there are.
        "first_day": peer.first_day,
    }
    return {"ledger": [found]}


@contextlib.contextmanager
def ledger_peer(
    folder: Path, *, replica_port: int = REPLICA_PORT, block_seconds: float = 45.0, blocks: int = _BLOCKS
) -> Iterator[LedgerPeer]:
    """Run the peer on loopback until the block is left.

    Arguments:
        folder: where its state is kept; made when it is missing.
        replica_port: preferred port; a taken one is replaced by a free one.
        block_seconds: time between two blocks; half of it after a block, something happens that is not committed yet.
        blocks: how many a new ledger begins with, one for every ten minutes until now.

    Raises:
        StateUnreadable: what is in the folder cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "ledger.pickle"
    world = restored(file, LedgerWorld, lambda: _until_now(blocks))

    def keep() -> None:
        with world.guard:
            save(world, file)

    def go_on() -> None:
        with world.guard:
            if len(world.pending):
                world.commit(time.time_ns())
            else:
                world.stir()
            save(world, file)

    keep()
    with contextlib.ExitStack() as stack:
        stack.callback(keep)
        stand_in = InternetComputerStandIn(world)
        url = served(stack, SavingWrites(stand_in.app, "/_sandbox/", keep), replica_port)
        stack.enter_context(repeated(go_on, block_seconds / 2))
        first_day = datetime.fromtimestamp(world.start_ns // 10**9, UTC).date()
        yield LedgerPeer(url, world.canister_id, first_day.isoformat())


def _until_now(blocks: int) -> LedgerWorld:
    return LedgerWorld.grown(blocks, "demo", start_ns=time.time_ns() - blocks * BLOCK_NS)
