"""Writing many records at once.

A call is one transaction: one bad record of two hundred, and nothing is written. So a batch that is refused for good is
halved until the bad records stand alone; the others are written. A batch whose outcome is unknown, or that was only
refused for now, is never halved: that would send again what may have been done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.odoo.calls import Call, Calls
from sync_pipelines.systems.odoo.errors import OdooError, Reason, unexpected_shape

BATCH_SIZE = 100
"""Of partners, 200 at once take half a second, and larger batches gain little."""

_T = TypeVar("_T")


class Status(StrEnum):
    """What became of one item of a batch."""

    DONE = "done"
    REFUSED = "refused"
    """It will be refused again as it is."""
    UNKNOWN = "unknown"
    """It was sent, and may have been done. Look before it is sent again."""
    UNSENT = "unsent"
    """Nothing of it was done. It may be sent again when what stopped the batch is over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item of a batch.

    Attributes:
        id: of the record, when it is done.
        error: why it is not.
    """

    status: Status
    id: int | None = None
    error: PeerError | None = None

    @property
    def done(self) -> bool:
        """Whether it was done."""
        return self.status is Status.DONE


def done(record: int) -> Outcome:
    """Return the outcome of an item that was done."""
    return Outcome(Status.DONE, record)


async def in_halves(
    items: Sequence[_T], send: Callable[[Sequence[_T]], Awaitable[Sequence[Outcome]]], *, batch_size: int = BATCH_SIZE
) -> list[Outcome]:
    """Send items in batches, each in order, and return one outcome an item.

    A refusal of data halves the batch. Any other failure ends the whole: the items of the failed batch are unknown or
    unsent, those after it unsent. A missing right is taken for the fault of one record, until two have met it and none
    was done: then it is the user's.

    Arguments:
        send: writes some items, all or none, and returns their outcomes; raises ``PeerError``.
        batch_size: items a call, at first.
    """
    outcomes: list[Outcome | None] = [None] * len(items)
    pending = [range(start, min(start + batch_size, len(items))) for start in range(0, len(items), batch_size)][::-1]
    forbidden = 0
    while pending:
        part = pending.pop()
        try:
            answers = await send([items[place] for place in part])
        except PeerError as error:
            if not is_about_data(error):
                return _stopped(outcomes, part, error)
            if len(part) > 1:
                middle = part.start + len(part) // 2
                pending += [range(middle, part.stop), range(part.start, middle)]
                continue
            outcomes[part.start] = Outcome(Status.REFUSED, error=error)
            forbidden += isinstance(error, OdooError) and error.reason is Reason.FORBIDDEN
            if forbidden > 1 and not any(outcome and outcome.done for outcome in outcomes):
                return _stopped(outcomes, range(0), error)
        else:
            for place, answer in zip(part, answers, strict=True):
                outcomes[place] = answer
    return [outcome for outcome in outcomes if outcome is not None]


def is_about_data(error: PeerError) -> bool:
    """Whether a failure is the fault of some records of a batch, so that the others may go well without them."""
    if not isinstance(error, OdooError) or error.reason is Reason.SETTING:
        return False
    if error.reason is Reason.BAD_CALL and error.name.startswith("werkzeug."):
        # No such model, method or argument: the same for every record.
        return False
    return error.kind in (FailureKind.PERMANENT, FailureKind.GONE) or error.reason is Reason.FORBIDDEN


async def create(
    calls: Calls,
    model: str,
    records: Sequence[Mapping[str, Any]],
    *,
    batch_size: int = BATCH_SIZE,
    context: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Create records; outcomes carry the new ids.

    Nothing makes a repeated create the same one: after an unknown outcome look the record up by its natural key.
    """

    async def send(part: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        ids = await calls.call(model, "create", vals_list=[dict(record) for record in part], context=context or {})
        if not _are_ids(ids, len(part)):
            raise unexpected_shape(Call(model, "create"), f"not {len(part)} new ids")
        return [done(record) for record in ids]

    return await in_halves(records, send, batch_size=batch_size)


async def write(
    calls: Calls,
    model: str,
    changes: Sequence[tuple[int, Mapping[str, Any]]],
    *,
    batch_size: int = BATCH_SIZE,
    context: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Write values to records, one outcome a change.

    Odoo writes the same values to many records in one call, and different ones in a call each; :func:`load` can do the
    latter at once. Writing a value that is there already moves ``write_date`` all the same.

    Arguments:
        changes: record ids, each once, with the values to write; none may be without values.
    """
    if len({record for record, _ in changes}) < len(changes) or not all(values for _, values in changes):
        raise ValueError("changes are of distinct records, and each has values")
    groups: dict[str, list[int]] = {}
    for place, (_, values) in enumerate(changes):
        groups.setdefault(repr(sorted(values.items(), key=lambda item: item[0])), []).append(place)
    outcomes: list[Outcome] = [Outcome(Status.UNSENT)] * len(changes)
    stop: PeerError | None = None
    for places in groups.values():
        if stop is None:
            values = dict(changes[places[0]][1])
            ids = [changes[place][0] for place in places]
            found = await on_records(calls, model, "write", ids, batch_size=batch_size, vals=values, context=context)
        else:
            found = [Outcome(Status.UNSENT, error=stop)] * len(places)
        for place, outcome in zip(places, found, strict=True):
            outcomes[place] = outcome
            if outcome.status in (Status.UNKNOWN, Status.UNSENT):
                stop = stop or outcome.error
    return outcomes


async def unlink(calls: Calls, model: str, ids: Sequence[int], *, batch_size: int = BATCH_SIZE) -> list[Outcome]:
    """Remove records for good. One that is gone already counts as done."""
    found = await on_records(calls, model, "unlink", ids, batch_size=batch_size)
    return [
        done(record) if outcome.error is not None and outcome.error.kind is FailureKind.GONE else outcome
        for record, outcome in zip(ids, found, strict=True)
    ]


async def set_active(
    calls: Calls, model: str, ids: Sequence[int], active: bool, *, batch_size: int = BATCH_SIZE
) -> list[Outcome]:
    """Archive records, or bring them back. A template takes its variants along."""
    # Written, and not by action_archive: that answers null, and before 15 it is not there.
    return await on_records(calls, model, "write", ids, batch_size=batch_size, vals={"active": active})


async def on_records(
    calls: Calls,
    model: str,
    method: str,
    ids: Sequence[int],
    *,
    batch_size: int = BATCH_SIZE,
    accepted: tuple[object, ...] = (True,),
    context: Mapping[str, Any] | None = None,
    **named: Any,
) -> list[Outcome]:
    """Call a method on records, one outcome a record.

    Arguments:
        accepted: values that mean it was done. Odoo answers a dialogue (an object) where it wants to ask a person, and
            has done nothing then.
    """

    async def send(part: Sequence[int]) -> list[Outcome]:
        answer = await calls.call(model, method, ids=list(part), context=context or {}, **named)
        refuse_dialogue(Call(model, method, tuple(part)), answer)
        if not any(answer is value for value in accepted):
            raise unexpected_shape(Call(model, method), f"not {' or '.join(map(str, accepted))}")
        return [done(record) for record in part]

    return await in_halves(list(ids), send, batch_size=batch_size)


def refuse_dialogue(call: Call, answer: Any) -> None:
    """Raise a permanent ``OdooError`` when the answer is a dialogue for a person."""
    if isinstance(answer, dict):
        title = str(answer.get("name") or answer.get("res_model") or "a dialogue")
        message = f"Odoo asks for a decision ({title:.80}) and has done nothing; do it there by hand"
        raise OdooError(FailureKind.PERMANENT, Reason.VALIDATION, message, operation=call.operation)


def _stopped(outcomes: Sequence[Outcome | None], part: range, error: PeerError) -> list[Outcome]:
    status = Status.UNKNOWN if error.kind is FailureKind.AMBIGUOUS else Status.UNSENT
    return [
        outcome or Outcome(status if place in part else Status.UNSENT, error=error)
        for place, outcome in enumerate(outcomes)
    ]


def _are_ids(ids: Any, number: int) -> bool:
    if not isinstance(ids, list) or len(ids) != number or len(set(map(str, ids))) < number:
        return False
    return all(type(record) is int and record > 0 for record in ids)
