"""Values as clients write them, turned into what is kept."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from sync_pipelines.sandbox.odoo import dates
from sync_pipelines.sandbox.odoo.errors import value_error
from sync_pipelines.sandbox.odoo.fields import Field

if TYPE_CHECKING:
    from sync_pipelines.sandbox.odoo.environment import Env
    from sync_pipelines.sandbox.odoo.records import Model

_BLOCK = re.compile(r"\s*<(p|div|h[1-6]|ul|ol|table|section|blockquote)\b", re.IGNORECASE)
_SCRIPT = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_LOOSE_AMPERSAND = re.compile(r"&(?!(\w+|#\d+|#x[0-9a-fA-F]+);)")


def converted(env: Env, model: Model, name: str, field: Field, value: Any, present: Any = None) -> Any:
    """Return what is kept of a value.

    Arguments:
        present: what is kept now; commands of a many2many change it.

    Raises:
        OdooError: a ValueError, for text that is no number or date, and for unknown selections.
    """
    if field.type == "many2many":
        return linked(env, field, value, present or ())
    if field.type == "boolean":
        return bool(value)
    if field.type in ("float", "monetary"):
        return _number(field, value)
    if field.type == "integer":
        return int(value or 0)
    if value is None or value is False:
        return None
    if field.type == "many2one":
        # A name in the place of an id is taken without an error and empties the field.
        return value if type(value) is int and value > 0 else None
    if field.type == "datetime":
        return dates.written(value)
    if field.type == "date":
        return str(value)[:10]
    if field.type == "selection":
        if value not in {option for option, _ in field.selection}:
            raise value_error(f"Wrong value for {model.name}.{name}: {value!r}")
        return value
    return sanitized(str(value)) if field.type == "html" else str(value)


def _number(field: Field, value: Any) -> float:
    try:
        # "NaN" and "Infinity" are numbers to Python, hence to Odoo.
        number = float(value or 0.0)
    except (TypeError, ValueError) as problem:
        raise value_error(str(problem)) from problem
    return number if field.digits is None else round(number, field.digits)


def linked(env: Env, field: Field, value: Any, present: tuple[int, ...]) -> tuple[int, ...]:
    """Return the ids of a many2many after commands, or after a plain list of ids, which replaces all."""
    links = list(present)
    items = value if isinstance(value, list | tuple) else []
    if items and not isinstance(items[0], list | tuple):
        return tuple(dict.fromkeys(items))
    target = env[field.relation]
    for command in items:
        code, one = command[0], command[1] if len(command) > 1 else 0
        if code == 0:
            links += target.create(env, [command[2]])
        elif code == 1:
            target.write(env, [one], command[2])
        elif code == 2:
            target.unlink(env, [one])
        elif code == 4:
            links.append(one)
        elif code == 6:
            links = list(command[2])
        if code in (2, 3):
            links = [link for link in links if link != one]
        if code == 5:
            links = []
    return tuple(dict.fromkeys(links))


def sanitized(source: str) -> str:
    """Return HTML as Odoo keeps it: without scripts, loose ampersands escaped, bare text in a paragraph."""
    clean = _LOOSE_AMPERSAND.sub("&amp;", _SCRIPT.sub("", source))
    if "<" not in clean:
        clean = clean.replace(">", escape(">"))
    return clean if not clean or _BLOCK.match(clean) else f"<p>{clean}</p>"
