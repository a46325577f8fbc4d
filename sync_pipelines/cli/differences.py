"""What a change does to a record, field by field, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sync_pipelines.cli import output
from sync_pipelines.core.plan import Action, Change

_WIDEST_VALUE = 80


def difference(change: Change) -> str:
    """Return a line for each field: what was, and what will be."""
    before, after = change.before or {}, change.after or {}
    if not change.fields:
        return "linked, nothing is written" if change.action is Action.ADOPT else "-"
    if not before:
        # What is made without a value needs no line.
        told = [name for name in change.fields if after.get(name) not in (None, "", [], {})]
        return "\n".join(f"{name}: {_short(after[name])}" for name in told)
    return "\n".join(line for name in change.fields for line in _moved(name, before.get(name), after.get(name)))


def _moved(name: str, before: object, after: object) -> Iterator[str]:
    """Yield what differs, within attributes and components only the parts that do."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (was, will_be) in enumerate(zip(before, after, strict=True), 1):
            if was != will_be:
                yield from _moved(f"{name} {place}", was, will_be)
        return
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        yield f"{name}: {_short(before)} → {_short(after)}"
        return
    for part in sorted(before.keys() | after.keys()):
        if before.get(part) != after.get(part):
            yield from _moved(f"{name}.{part}", before.get(part), after.get(part))


def _short(value: object) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else output.json_line(value)
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST_VALUE else text[: _WIDEST_VALUE - 3] + "..."
