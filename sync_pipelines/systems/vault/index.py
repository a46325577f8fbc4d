"""The one secret that maps ids to entries, changed by many at once.

Every writer of the index rewrites the whole map, so two that read the same state undo each other. Here each write names
the version it replaces; when another writer was faster, the map is read again and every edit is applied to what is
there now. Edits that wait while a write is on its way go together in the next one.

A version 1 mount has no check-and-set. There the map is read again after the write, and edits that are not in it are
applied anew. What a foreign writer put in between our read and our write is lost all the same, and nobody can see it:
keep the index on a version 2 mount.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.vault.documents import same_json, write_json
from sync_pipelines.systems.vault.errors import CasMismatch, Forbidden
from sync_pipelines.systems.vault.kv import Kv
from sync_pipelines.systems.vault.paths import PEER

ATTEMPTS = 12
"""How often a write gives way to faster writers."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0

Entry = Any
"""Usually an object; foreign writers leave other things behind, such as a cut JSON text."""
Edit = Callable[[Entry], Entry]
"""Takes an entry (``None``: there is none) and returns what it is to be (``None``: nothing). It may change the entry in
place, may be called several times, and raises to refuse."""


@dataclass(frozen=True, slots=True)
class Entries:
    """The index at one moment. Readers share it: it is not to be changed.

    Attributes:
        by_id: the entries.
        version: of the secret; 0 when there is none, ``None`` on a version 1 mount.
        stamp: of that version, see :class:`Secret`; ``None`` when it is not known.
    """

    by_id: Mapping[str, Entry] = field(repr=False)
    version: int | None
    stamp: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of an edit.

    Attributes:
        entry: as it is now, ``None`` when there is none.
        written: whether the edit changed anything.
        version: of the secret in which the entry is as told; ``None`` on a version 1 mount.
    """

    entry: Entry = field(repr=False)
    written: bool
    version: int | None


@dataclass(slots=True)
class _Request:
    id: str
    edit: Edit
    done: asyncio.Future[Changed]
    moved_from: str | None = None
    changed: bool = False

    @property
    def keys(self) -> set[str]:
        return {self.id} if self.moved_from is None else {self.id, self.moved_from}


class Index:
    """The index of one mount, for one event loop.

    Arguments:
        path: of the secret.
        attempts: how often a write gives way to faster writers before it is given up.
        sleep, jitter: how to wait, and a number in [0, 1); given by tests.
    """

    def __init__(
        self,
        kv: Kv,
        path: str = "db",
        *,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._kv = kv
        self._path = path
        self._attempts = attempts
        self._sleep = sleep
        self._jitter = jitter
        self._known = Entries({}, None)
        self._tells_versions = kv.has_cas
        self._reading: asyncio.Task[Entries] | None = None
        self._next_reading: asyncio.Task[Entries] | None = None
        self._waiting: list[_Request] = []
        self._writing: asyncio.Task[None] | None = None

    async def entries(self) -> Entries:
        """Return the index as it is at some moment after the call. Callers that wait together share one reading.

        Raises:
            PeerError: it cannot be read.
        """
        if self._next_reading is None:
            self._next_reading = asyncio.create_task(self._read_after(self._reading))
            # Nobody may be left to hear of a failure.
            self._next_reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next_reading)

    async def change(self, id: str, edit: Edit, *, moved_from: str | None = None) -> Changed:
        """Apply an edit to one entry and return when it is stored, or when it turned out to change nothing.

        Arguments:
            moved_from: another key that the entry has now; the edit is given what is there, and the same write takes it
                away. Refused as permanent when both keys have an entry.

        Raises:
            PeerError: the index could not be read or written; ambiguous when the write may have been done. Everybody
                whose edit was in that write is told the same.
            Exception: what the edit raised; nobody else hears of it.
        """
        source = None if moved_from == id else moved_from
        request = _Request(id, edit, asyncio.get_running_loop().create_future(), source)
        self._waiting.append(request)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await request.done

    async def _read_after(self, earlier: asyncio.Task[Entries] | None) -> Entries:
        if earlier is not None:
            await asyncio.wait([earlier])
        # From here on a caller is too late: what is read may be older than its call.
        self._reading, self._next_reading = self._next_reading, None
        return await self._read()

    async def _read(self) -> Entries:
        if await self._is_known():
            return self._known
        secret = await self._kv.read(self._path)
        if secret is None:
            return Entries({}, 0 if self._kv.has_cas else None)
        self._known = Entries(secret.data or {}, secret.version, secret.stamp)
        return self._known

    async def _is_known(self) -> bool:
        """Say whether the map is the one that was read or written last: the whole map is a thousand times as long."""
        if not self._tells_versions or not self._known.version or self._known.stamp is None:
            return False
        try:
            now = await self._kv.versions(self._path)
        except Forbidden:
            self._tells_versions = False
            return False
        if now is None or now.current not in now.kept:
            return False
        return now.stamp == self._known.stamp

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._write_or_tell(group)
        finally:
            self._writing = None
            # Not empty only when the event loop ends.
            for request in self._waiting:
                request.done.cancel()

    async def _write_or_tell(self, group: list[_Request]) -> None:
        try:
            await self._write_group(group)
        except PeerError as error:
            if error.kind is FailureKind.PERMANENT and len(group) > 1 and not isinstance(error, Forbidden):
                # The server refused the map for one entry, say one that is too large. The others are not to blame.
                for request in group:
                    await self._write_or_tell([request])
            else:
                for request in group:
                    _fail(request, _copy(error))
        except BaseException as error:
            # The lease is lost, or the event loop ends.
            for request in group:
                _fail(request, error)
            if not isinstance(error, Exception):
                raise

    async def _write_group(self, group: list[_Request]) -> None:
        for attempt in range(self._attempts):
            if attempt:
                await self._sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt) * (0.5 + self._jitter() / 2))
            before = await self._read()
            after = _applied(group, before.by_id)
            touched = {key for request in group if request.changed for key in request.keys}
            _settle([request for request in group if request.id not in touched], before)
            if not any(request.changed and not request.done.done() for request in group):
                return
            try:
                stored = await self._store(before, after, touched)
            except CasMismatch:
                continue
            if stored is not None:
                _settle(group, stored)
                return
        message = f"other writers changed it {self._attempts} times while it was to be written; nothing was written"
        raise PeerError(PEER, FailureKind.TRANSIENT, message, operation=f"change of {self._path}")

    async def _store(self, before: Entries, after: dict[str, Entry], touched: set[str]) -> Entries | None:
        """Write the map. Return what is there then, ``None`` when another writer's map took its place at once."""
        if self._kv.has_cas:
            version = await self._kv.write(self._path, after, cas=before.version)
            if not after and version is not None:
                await self._leave_nothing(version)
            self._known = Entries(after, version, getattr(version, "stamp", None))
            return self._known
        if after:
            await self._kv.write(self._path, after)
        else:
            await self._kv.delete_all(self._path)
        seen = await self._read()
        is_there = all(same_json(seen.by_id.get(id), after.get(id)) for id in touched)
        return seen if is_there else None

    async def _leave_nothing(self, version: int) -> None:
        """Delete the secret as the broker does when the last entry goes.

        Only the version that was just written empty is deleted. Removing the secret as a whole would take with it what
        another writer put there meanwhile.
        """
        try:
            await self._kv.delete_version(self._path, version)
        except PeerError:
            # The entry is gone, which was asked for. An empty map says the same as no secret.
            return


def _applied(group: list[_Request], entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the map with every edit applied in turn. Whose edit refuses is told so; the entry stays as it was."""
    after = dict(entries)
    for request in group:
        if request.done.done():
            request.changed = False
            continue
        source = request.moved_from if request.moved_from in after else None
        old = after.get(request.id if source is None else source)
        try:
            if source is not None and request.id in after:
                raise PeerError(PEER, FailureKind.PERMANENT, f"{request.id} and {source} both have an entry")
            # The edit may change what it is given and then refuse.
            new = request.edit(copy.deepcopy(old))
            # What has no JSON form must not fail the write of everybody else.
            write_json(new)
            request.changed = source is not None or not same_json(old, new)
        except Exception as refusal:  # An edit belongs to its caller, and so does whatever it raises.
            request.changed = False
            request.done.set_exception(refusal)
            continue
        if source is not None:
            del after[source]
        if new is None:
            after.pop(request.id, None)
        else:
            after[request.id] = new
    return after


def _settle(requests: list[_Request], entries: Entries) -> None:
    for request in requests:
        if not request.done.done():
            entry = entries.by_id.get(request.id)
            request.done.set_result(Changed(entry, request.changed, entries.version))


def _fail(request: _Request, error: BaseException) -> None:
    if request.done.done():
        return
    if isinstance(error, asyncio.CancelledError):
        request.done.cancel()
    else:
        request.done.set_exception(error)


def _copy(error: PeerError) -> PeerError:
    """Return an error of one caller's own, who may put its record's key on it."""
    own = type(error)(
        error.peer,
        error.kind,
        error.message,
        status=error.status,
        retry_after=error.retry_after,
        key=error.key,
        operation=error.operation,
    )
    own.__cause__ = error
    return own
