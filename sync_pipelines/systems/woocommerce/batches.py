"""Many writes in one request, each with an outcome of its own.

The shop answers 200 whatever happens to the items, keeps their order, and does them one by one: it is no transaction.
Deletions are not offered, because those of a batch are for good, while a single one goes to the trash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sync_pipelines.systems.woocommerce.errors import WooCommerceError, refusal, unexpected_shape
from sync_pipelines.systems.woocommerce.session import WooCommerceSession
from sync_pipelines.systems.woocommerce.values import BadValue

MAX_ITEMS = 100
"""Creations and updates together; 101 are refused as a whole. Smaller batches stay below the time limits of hosts."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BatchOutcome(Generic[T]):
    """What became of each item, in the order given: the record as written, or why it was not.

    An item whose error is ambiguous may have been written all the same.
    """

    created: tuple[T | WooCommerceError, ...] = ()
    updated: tuple[T | WooCommerceError, ...] = ()


async def send_batch(
    session: WooCommerceSession,
    path: str,
    *,
    create: Sequence[Mapping[str, Any]],
    update: Sequence[tuple[int, Mapping[str, Any]]],
    parse: Callable[[Any], T],
) -> BatchOutcome[T]:
    """Send one batch; nothing is sent for no items.

    Arguments:
        path: of the collection.
        create: bodies.
        update: ids and bodies.
        parse: makes a record of the JSON of an item; raises ``BadValue``.

    Raises:
        PeerError: the batch as a whole failed. When that is ambiguous any number of items may have been written.
        ValueError: more than ``MAX_ITEMS`` items.
    """
    if len(create) + len(update) > MAX_ITEMS:
        raise ValueError(f"a batch takes {MAX_ITEMS} items, not {len(create) + len(update)}")
    body: dict[str, Any] = {}
    if create:
        body["create"] = list(create)
    if update:
        body["update"] = [{"id": number, **values} for number, values in update]
    if not body:
        return BatchOutcome()
    answer = await session.write("POST", f"{path}/batch", body)
    reader = _Reader(session, session.operation("POST", f"{path}/batch"), answer, parse)
    return BatchOutcome(
        reader.outcomes("create", [None] * len(create)), reader.outcomes("update", [number for number, _ in update])
    )


@dataclass(frozen=True, slots=True)
class _Reader(Generic[T]):
    session: WooCommerceSession
    operation: str
    answer: Any
    parse: Callable[[Any], T]

    def outcomes(self, group: str, ids: Sequence[int | None]) -> tuple[T | WooCommerceError, ...]:
        items = self.answer.get(group, []) if isinstance(self.answer, dict) else []
        if not isinstance(items, list) or len(items) != len(ids):
            found = len(items) if isinstance(items, list) else "no list"
            raise unexpected_shape(
                self.operation, write=True, reason=f"{group}: {len(ids)} items sent, {found} answered"
            )
        return tuple(self._outcome(item, number) for item, number in zip(items, ids, strict=True))

    def _outcome(self, item: Any, number: int | None) -> T | WooCommerceError:
        key = None if number is None else str(number)
        error = item.get("error") if isinstance(item, dict) else None
        if isinstance(error, dict):
            data = error.get("data")
            status = data.get("status") if isinstance(data, dict) else data
            return refusal(
                error,
                status if type(status) is int else 0,
                operation=self.operation,
                write=True,
                redactor=self.session.transport.redactor,
                key=key,
            )
        try:
            record = self.parse(item)
        except BadValue as problem:
            return unexpected_shape(self.operation, write=True, reason=str(problem), key=key)
        if number is not None and item["id"] != number:
            return unexpected_shape(self.operation, write=True, reason=f"it is record {item['id']}", key=key)
        return record
