"""``load``: create or update by external id, the one write of Odoo that may be repeated.

An external id such as ``woo.customer_9`` names one record for ever, and goes with it. Sent again after an unknown
outcome, the same record is written once more and no second one is made. Any user may load what he may write; reading
the table of external ids takes an administrator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.systems.odoo.batches import BATCH_SIZE, Outcome, Status, done, in_halves
from sync_pipelines.systems.odoo.calls import Call, Calls
from sync_pipelines.systems.odoo.errors import LONGEST_MESSAGE, OdooError, told_reason, unexpected_shape
from sync_pipelines.systems.odoo.values import wire_time

_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_-]+")

Cell = str | int | bool | Decimal | datetime | None


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """One record to load.

    Attributes:
        external_id: ``module.name``, e.g. ``woo.customer_9``.
        values: cells by column. A link is ``country_id/id`` with an external id, or ``country_id/.id`` with an id.
            ``None`` empties a field; a column that is left out leaves it alone.
        lines: rows of a one2many, by columns such as ``order_line/price_unit``. Loaded again they are *added* unless
            each carries an external id of its own in ``order_line/id``.
    """

    external_id: str
    values: Mapping[str, Cell] = field(default_factory=dict)
    lines: tuple[Mapping[str, Cell], ...] = ()


async def load(
    calls: Calls,
    model: str,
    records: Sequence[LoadRecord],
    *,
    batch_size: int = BATCH_SIZE,
    context: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Create or update records by external id, one outcome a record; those done carry the record's id.

    A row that Odoo refuses is named by it, and the others are sent again without it.

    Raises:
        ValueError: an external id is none, or is there twice (the second would overwrite the first without a word).
    """
    _check(records)
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}
    for place, record in enumerate(records):
        groups.setdefault(_columns(record), []).append(place)
    outcomes: list[Outcome] = [Outcome(Status.UNSENT)] * len(records)
    stopped: Outcome | None = None
    # Records with other columns go in a call of their own: an empty cell would empty the field.
    for columns, places in groups.items():
        part = [records[place] for place in places]
        if stopped is not None:
            found = [Outcome(Status.UNSENT, error=stopped.error)] * len(places)
        else:
            found = await _load_alike(calls, model, columns, part, batch_size, context or {})
        for place, outcome in zip(places, found, strict=True):
            outcomes[place] = outcome
            if outcome.status in (Status.UNKNOWN, Status.UNSENT):
                stopped = stopped or outcome
    return outcomes


async def _load_alike(
    calls: Calls,
    model: str,
    columns: tuple[tuple[str, ...], tuple[str, ...]],
    records: Sequence[LoadRecord],
    batch_size: int,
    context: Mapping[str, Any],
) -> list[Outcome]:
    fields = ["id", *columns[0], *columns[1]]

    async def send(part: Sequence[LoadRecord]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(part)
        left = list(range(len(part)))
        while left:
            rows = [row for place in left for row in _rows(part[place], columns)]
            answer = await calls.call(model, "load", fields=fields, data=rows, context=context)
            ids, refused = _read(model, answer, len(left))
            if ids is not None:
                for place, record in zip(left, ids, strict=True):
                    outcomes[place] = done(record)
                break
            for index, error in refused.items():
                error.key = part[left[index]].external_id
                outcomes[left[index]] = Outcome(Status.REFUSED, error=error)
            left = [place for index, place in enumerate(left) if index not in refused]
        return [outcome for outcome in outcomes if outcome is not None]

    return await in_halves(records, send, batch_size=batch_size)


def _read(model: str, answer: Any, number: int) -> tuple[list[int] | None, dict[int, OdooError]]:
    """Return the ids, or why which of the records was refused."""
    call = Call(model, "load")
    if not isinstance(answer, dict) or not isinstance(answer.get("messages"), list):
        raise unexpected_shape(call, "not the answer of a load")
    ids = answer.get("ids")
    if isinstance(ids, list):
        if len(ids) != number or any(type(record) is not int or record <= 0 for record in ids):
            raise unexpected_shape(call, f"not {number} ids")
        return ids, {}
    if ids is not False:
        raise unexpected_shape(call, "neither ids nor false")
    refused: dict[int, OdooError] = {}
    texts = []
    for message in answer["messages"]:
        if not isinstance(message, dict) or message.get("type") != "error":
            continue
        texts.append(str(message.get("message", "")))
        place = message.get("record")
        if type(place) is int and 0 <= place < number:
            refused.setdefault(place, _refusal(call, texts[-1], str(message.get("field") or "")))
    if not refused:
        # Nothing was stored, and no row is to blame: halves will tell.
        raise _refusal(call, "; ".join(texts) or "refused without a reason", "")
    return None, refused


def _refusal(call: Call, text: str, field_name: str) -> OdooError:
    message = f"{field_name}: {text}" if field_name else text
    return OdooError(FailureKind.PERMANENT, told_reason(text), message[:LONGEST_MESSAGE], operation=call.operation)


def _check(records: Sequence[LoadRecord]) -> None:
    seen = set()
    for record in records:
        if not _EXTERNAL_ID.fullmatch(record.external_id):
            # Others are accepted, and then belong to no module or cannot be found again.
            raise ValueError(f"{record.external_id!r} is no external id of the form module.name")
        if record.external_id in seen:
            raise ValueError(f"{record.external_id} is there twice")
        seen.add(record.external_id)
        if "id" in record.values or ".id" in record.values:
            raise ValueError(f"{record.external_id}: its id is no column of its values")


def _columns(record: LoadRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    of_lines = {name for line in record.lines for name in line}
    if any(line.keys() != of_lines for line in record.lines):
        raise ValueError(f"{record.external_id}: its lines have different columns")
    return tuple(sorted(record.values)), tuple(sorted(of_lines))


def _rows(record: LoadRecord, columns: tuple[tuple[str, ...], tuple[str, ...]]) -> list[list[str]]:
    heads, of_lines = columns
    # A row without an external id and values continues the record before it.
    lines = record.lines or ({},)
    first = [record.external_id, *(_cell(record.values[name]) for name in heads)]
    return [
        [*(first if index == 0 else [""] * len(first)), *(_cell(line[name]) for name in of_lines)]
        for index, line in enumerate(lines)
    ]


def _cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"{value} cannot be sent: it is not a finite number")
            return format(value, "f")
        case datetime():
            return wire_time(value)
        case _:
            return str(value)
