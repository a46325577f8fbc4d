"""Lists of records of one kind and what can be done with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.seal import Sweep
from sync_pipelines.systems.woocommerce.batches import BatchOutcome, send_batch
from sync_pipelines.systems.woocommerce.errors import MalformedRecord, Reason, WooCommerceError, unexpected_shape
from sync_pipelines.systems.woocommerce.listing import PAGE_SIZE, Page, Window, ids_param, malformed_record, sweep_pages
from sync_pipelines.systems.woocommerce.session import Params, WooCommerceSession
from sync_pipelines.systems.woocommerce.values import BadValue, Row, identifier, object_of
from sync_pipelines.systems.woocommerce.wire import Fields, body_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What the records of a collection are.

    Attributes:
        parse: makes a record of its JSON; raises ``BadValue``.
        fields: what lists ask for: the rest costs the shop and the wire.
        writable: table of the fields that can be written, and another one for those of a new record.
        context: ``edit`` where the shop would render texts otherwise.
        filters: always sent with a list.
    """

    parse: Callable[[Any], T]
    fields: tuple[str, ...]
    writable: Fields
    writable_once: Fields | None = None
    context: str = "view"
    filters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Collection(Generic[T]):
    """Records of one kind, e.g. ``products`` or ``products/12/variations``.

    Every method raises ``PeerError``, classified by ``errors.py``. A write is sent once; one whose outcome is unknown
    is ambiguous, and nothing in WooCommerce keeps a repeated creation from making a second record.
    """

    session: WooCommerceSession
    path: str
    kind: Kind[T] = field(repr=False)

    _windows: ClassVar[bool] = True

    def pages(
        self,
        sweep: Sweep,
        window: Window | None = None,
        *,
        status: str | None = None,
        fields: Sequence[str] | None = None,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[Page[T]]:
        """Yield all records, or those of a window, by pages of 100 in the order of their ids.

        Arguments:
            sweep: filled in on the way, see :func:`sweep_pages`.
            status: only records of this status. By default those of any but ``trash``, which has to be asked for.
            fields: of the JSON; by default those that ``T`` has.

        Raises:
            ValueError: a window, where the shop knows none: it would ignore the filter and give everything.
        """
        if window is not None and not self._windows:
            raise ValueError(f"{self.path} cannot be filtered by time")
        params = [*self._params(fields), *(window.params() if window else ())]
        if status is not None:
            params.append(("status", status))
        return sweep_pages(self.session, self.path, params, self.kind.parse, sweep, page_size=page_size)

    async def ids(self, sweep: Sweep, *, status: str | None = None) -> set[int]:
        """Return the ids of all records. When the sweep can be sealed, what is not among them is gone."""
        params = [*self.kind.filters, ("_fields", "id")]
        if status is not None:
            params.append(("status", status))
        found: set[int] = set()
        async for page in sweep_pages(self.session, self.path, params, _only_id, sweep):
            found.update(page.rows)
        return found

    async def get(self, record_id: int) -> T | None:
        """Return a record, one in the trash too; ``None`` when there is none."""
        path = self._record(record_id)
        try:
            row = await self.session.read(path, [("context", self.kind.context)])
        except PeerError as error:
            if error.kind is FailureKind.GONE:
                return None
            raise
        return self._parsed("GET", path, row, record_id)

    async def some(self, record_ids: Sequence[int]) -> dict[int, T | MalformedRecord]:
        """Return the records of these ids that exist and are not in the trash; a hundred a request."""
        found: dict[int, T | MalformedRecord] = {}
        for first in range(0, len(record_ids), PAGE_SIZE):
            wanted = record_ids[first : first + PAGE_SIZE]
            params = [*self._params(), ids_param("include", wanted), ("per_page", str(PAGE_SIZE))]
            listing = await self.session.list(self.path, params)
            for index, row in enumerate(listing.rows):
                record = self._row(index, row)
                number: int | None = record.record_id if isinstance(record, MalformedRecord) else row["id"]
                if number is None or number not in wanted:
                    raise self._filter_ignored("include", number)
                found[number] = record
        return found

    async def create(self, values: Mapping[str, Any]) -> T:
        """Create a record and return it as the shop kept it.

        Arguments:
            values: by the shop's field names, see :mod:`sync_pipelines.systems.woocommerce.wire`.

        Raises:
            Unsendable: a value has no right form; nothing was sent.
        """
        row = await self.session.write("POST", self.path, self._new_body(values))
        return self._parsed("POST", self.path, row, None)

    def must_be_sendable(self, values: Mapping[str, Any]) -> None:
        """Raise ``Unsendable`` for an update's values that have no right form."""
        body_of(values, self.kind.writable)

    async def update(self, record_id: int, values: Mapping[str, Any]) -> T:
        """Change some fields of a record and return it. Every update moves its time of change, an equal one too."""
        path = self._record(record_id)
        row = await self.session.write("PUT", path, body_of(values, self.kind.writable))
        return self._parsed("PUT", path, row, record_id)

    async def batch(
        self,
        *,
        create: Sequence[Mapping[str, Any]] = (),
        update: Sequence[tuple[int, Mapping[str, Any]]] = (),
    ) -> BatchOutcome[T]:
        """Create and update up to 100 records; see :func:`send_batch`. Raises ``Unsendable`` before it sends any."""
        return await send_batch(
            self.session,
            self.path,
            create=[self._new_body(values) for values in create],
            update=[(number, body_of(values, self.kind.writable)) for number, values in update],
            parse=self.kind.parse,
        )

    async def _remove(self, record_id: int, *, force: bool) -> None:
        # The answer shows the record as it was before, so it tells nothing.
        params = [("force", "true")] if force else []
        await self.session.write("DELETE", self._record(record_id), params=[*params, ("_fields", "id")])

    def _params(self, fields: Sequence[str] | None = None) -> list[tuple[str, str]]:
        names = dict.fromkeys(("id", *(self.kind.fields if fields is None else fields)))
        return [*self.kind.filters, ("context", self.kind.context), ("_fields", ",".join(names))]

    def _record(self, record_id: int) -> str:
        if type(record_id) is not int or record_id <= 0:
            raise ValueError(f"{record_id!r} is not an id")
        return f"{self.path}/{record_id}"

    def _new_body(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return body_of(values, self.kind.writable_once or self.kind.writable)

    def _row(self, index: int, row: Any) -> T | MalformedRecord:
        try:
            return self.kind.parse(row)
        except BadValue as error:
            return malformed_record(self.session.operation("GET", self.path), f"{self.path}[{index}]", row, error)

    def _parsed(self, method: str, path: str, row: Any, expected: int | None) -> T:
        write = method != "GET"
        operation = self.session.operation(method, path)
        key = None if expected is None else str(expected)
        try:
            record = self.kind.parse(row)
        except BadValue as error:
            if not write:
                raise malformed_record(operation, path, row, error) from None
            raise unexpected_shape(operation, write=True, reason=str(error), key=key) from None
        if expected is not None and row["id"] != expected:
            # Taken for the one asked for, it would be written to.
            reason = f"it is record {row['id']}; a proxy or a cache mixes up answers"
            raise unexpected_shape(operation, write=write, reason=reason, key=key)
        return record

    async def _found(self, params: Params, name: str, matches: Callable[[T], bool]) -> list[T]:
        """Return what a look-up finds. A filter that a server does not know is ignored, and strangers come back."""
        listing = await self.session.list(self.path, [*self._params(), *params, ("per_page", str(PAGE_SIZE))])
        found = []
        for index, row in enumerate(listing.rows):
            record = self._row(index, row)
            if isinstance(record, MalformedRecord):
                raise record
            if not matches(record):
                raise self._filter_ignored(name, row["id"])
            found.append(record)
        return found

    def _filter_ignored(self, name: str, number: int | None) -> WooCommerceError:
        found = "too much" if number is None else f"record {number} as well"
        message = f"the filter {name} is not applied by this server: it finds {found}"
        operation = self.session.operation("GET", self.path)
        return WooCommerceError(FailureKind.PERMANENT, message, reason=Reason.NO_ROUTE, operation=operation)


def _only_id(value: Any) -> int:
    row: Row = object_of(value)
    return identifier(row)
