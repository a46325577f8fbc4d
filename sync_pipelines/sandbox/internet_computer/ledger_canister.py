"""The Decent Cloud canister's methods over a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sync_pipelines.sandbox.internet_computer.candid_decoding import CandidError, decode
from sync_pipelines.sandbox.internet_computer.candid_encoding import encode
from sync_pipelines.sandbox.internet_computer.candid_types import Type
from sync_pipelines.sandbox.internet_computer.canister import Reply, no_such_method, trap, unwrap_trap
from sync_pipelines.sandbox.internet_computer.ledger_types import (
    DATA_FETCH_ARGUMENTS,
    DATA_FETCH_RESULT,
    METADATA_RESULT,
    NEXT_BLOCK_ARGUMENTS,
    NEXT_BLOCK_RESULT,
)
from sync_pipelines.sandbox.internet_computer.ledger_world import LedgerWorld, Told, View

CHUNK = 1024 * 1024
_CHECKED = 16
_DEFAULT_LIMIT = 100
_LARGEST_U64 = 2**64 - 1

_PAST_THE_END = "Provided position start is after the end of the ledger"


class LedgerCanister:
    """Answers queries from a :class:`LedgerWorld`.

    Attributes:
        world: the ledger.
        chunk: most bytes that ``data_fetch`` gives at once.
        missing: methods of these names are not offered, as by an older or newer canister.
        short_by: so many bytes are cut off what ``data_fetch`` gives, although its cursor tells of them.
    """

    def __init__(self, world: LedgerWorld, *, chunk: int = CHUNK) -> None:
        self.world = world
        self.chunk = chunk
        self.missing: set[str] = set()
        self.short_by = 0
        self._methods: Mapping[str, Callable[[View, bytes], bytes]] = {
            "data_fetch": self._data_fetch,
            "metadata": self._metadata,
            "next_block_entries": self._next_block_entries,
        }

    @property
    def id(self) -> str:
        """Its principal as text."""
        return self.world.canister_id

    @property
    def certified_data(self) -> bytes:
        """The canister certifies nothing that matters here."""
        return b""

    def query(self, method: str, arg: bytes) -> Reply:
        """Answer a query from what one node sees.

        Raises:
            Reject: no such method, or the canister traps.
        """
        if method not in self._methods or method in self.missing:
            raise no_such_method(self.id, method)
        with self.world.looking() as view:
            return Reply(self._methods[method](view, arg), view.behind)

    def _data_fetch(self, view: View, arg: bytes) -> bytes:
        cursor, before = self._arguments(arg, DATA_FETCH_ARGUMENTS)
        start = max(self._position(cursor or ""), self.world.chain.data_start)
        if start > view.tip.end:
            return encode([DATA_FETCH_RESULT], [{"Err": _PAST_THE_END}])
        count = min(self.chunk, view.tip.end - start)
        # Nothing is compared when nothing is given: a fork of equal length stays hidden until it grows.
        if (
            count
            and before is not None
            and start > _CHECKED
            and before != self.world.chain.read(start - _CHECKED, _CHECKED)
        ):
            return encode([DATA_FETCH_RESULT], [{"Err": f"16 bytes before position {start} does not match"}])
        more = "true" if start + count < view.tip.end else "false"
        told = f"position={start}&response_bytes={count}&direction=forward&more={more}"
        data = self.world.chain.read(start, max(0, count - self.short_by))
        return encode([DATA_FETCH_RESULT], [{"Ok": (told, data)}])

    def _metadata(self, view: View, arg: bytes) -> bytes:
        self._arguments(arg, ())
        pairs = [(name, {_kind(value): value}) for name, value in self.world.metadata(view)]
        return encode([METADATA_RESULT], [pairs])

    def _next_block_entries(self, view: View, arg: bytes) -> bytes:
        label, offset, limit = self._arguments(arg, NEXT_BLOCK_ARGUMENTS)
        served = [
            {"label": entry.label, "key": entry.key, "value": entry.value}
            for entry in view.pending
            if not entry.deleted and label in (None, entry.label)
        ]
        first = offset or 0
        page = served[first : first + (_DEFAULT_LIMIT if limit is None else limit)]
        has_more = first + len(page) < len(served)
        result = {"entries": page, "has_more": has_more, "total_count": len(served)}
        return encode([NEXT_BLOCK_RESULT], [result])

    def _arguments(self, arg: bytes, types: Sequence[Type]) -> list[Any]:
        try:
            return decode(arg, types)
        except CandidError as error:
            raise trap(self.id, f"failed to decode call arguments: Custom({error})") from None

    def _position(self, cursor: str) -> int:
        """Return the position that a cursor asks for; parts without ``=`` are skipped."""
        position = 0
        for part in cursor.split("&"):
            name, equals, value = part.partition("=")
            if not equals:
                continue
            if name in ("data_begin_position", "position", "data_end_position", "response_bytes"):
                number = self._number(name, value)
                position = number if name == "position" else position
            elif name == "direction":
                self._check(value.lower() in ("forward", "backward"), "Invalid direction value")
            elif name == "more":
                self._check(value in ("true", "false"), "Invalid more value")
            else:
                raise unwrap_trap(self.id, f"Unexpected key: {name}")
        return position

    def _number(self, name: str, value: str) -> int:
        digits = value.removeprefix("+")
        self._check(digits.isascii() and digits.isdigit() and int(digits) <= _LARGEST_U64, f"Invalid {name} value")
        return int(digits)

    def _check(self, is_right: bool, error: str) -> None:
        if not is_right:
            raise unwrap_trap(self.id, error)


def _kind(value: Told) -> str:
    if isinstance(value, bytes):
        return "Blob"
    if isinstance(value, str):
        return "Text"
    return "Nat" if value >= 0 else "Int"
