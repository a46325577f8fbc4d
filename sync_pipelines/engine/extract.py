"""Extract: read one side of a pair into its snapshot."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Literal

from sync_pipelines.core.records import Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.engine.context import Run
from sync_pipelines.engine.ports import Source, Target
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.store.snapshots import Snapshot, loading

PROGRESS_SECONDS = 5.0
"""A long pass says how far it is this often."""


async def extract(run: Run, side: Literal["left", "right"], keys: Sequence[str] | None = None) -> Snapshot:
    """Read one side and store what it says.

    Arguments:
        side: ``left`` is the source, ``right`` the target.
        keys: natural keys to look at, ``None`` for a full pass. Only a full pass can be sealed. What was stored of the
            target under one of them and does not come is read by its own key: it is gone only when that says so, for it
            may have another natural key by now.

    Raises:
        PeerError: the side could not be read; the last snapshot stays as it was.
        LeaseLost: another run took over; nothing was stored.
    """
    source: Source = run.pair.left if side == "left" else run.pair.right
    peer = run.pair.peers[0 if side == "left" else 1]
    sweep = Sweep()
    pages = source.sweep(sweep) if keys is None else source.look(keys, sweep)
    started = told = time.monotonic()
    read = 0
    with ExitStack() as stack:
        # In a thread, because it may have to wait for a connection while the lease wants to be renewed.
        loader = await in_thread(stack.enter_context, loading(run.engine, run.scope, side, lease=run.lease))
        missing = set() if keys is None or side == "left" else await in_thread(loader.stored_under, keys)
        async for page in pages:
            await in_thread(loader.add, page)
            read += len(page)
            missing.difference_update(record.key for record in page)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                run.log.info("%s: %d of %s records read from %s", run.pair.full_name, read, sweep.declared or "?", peer)
        if missing and not sweep.gaps:
            await in_thread(loader.add, await _still_there(run.pair.right, missing, sweep))
        snapshot = await in_thread(loader.finish, sweep, run_id=run.run_id, keys=keys)
    run.log.info(
        "%s: read %d records from %s in %.1f s (%d new, %d changed, %d gone, %d of no concern)%s",
        run.pair.full_name,
        snapshot.records,
        peer,
        time.monotonic() - started,
        snapshot.added,
        snapshot.changed,
        snapshot.removed,
        snapshot.ignored,
        f"; position {snapshot.position}" if snapshot.position else "",
    )
    for note in snapshot.notes:
        run.log.info("%s: %s", run.pair.full_name, note)
    for reason in snapshot.unsealed:
        run.log.warning("%s: the snapshot of %s is not sealed: %s", run.pair.full_name, peer, reason)
    return snapshot


async def _still_there(target: Target, keys: Iterable[str], sweep: Sweep) -> list[Record]:
    """Return the records that are not gone, but were not found by the natural keys that they had."""
    found = [record for key in sorted(keys) if (record := await target.read(key)) is not None]
    sweep.seen += len(found)
    return found
