"""What commands print: tables and JSON on stdout, notes and progress on stderr."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from io import UnsupportedOperation
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from sync_pipelines.core.canonical import canonical_json

_WIDEST = 160
# What an operator copies into the next command stays in one piece.
_COPIED = frozenset({"record", "plan", "connection", "conflict"})
_WITHOUT_TERMINAL = 120


def print_json(value: object) -> None:
    """Print a value as indented JSON with exact numbers; dataclasses become objects, times RFC 3339 text."""
    click.echo(_indented(value, "\n"))


def json_line(value: object) -> str:
    """Return a value as one line of canonical JSON."""
    return canonical_json(value)


def note(message: str) -> None:
    """Tell the operator something that is not the result."""
    click.echo(clean(message), err=True)


def show(*renderables: Any) -> None:
    """Print to stdout, never wider than a screen."""
    console = _console(sys.stdout)
    for renderable in renderables:
        console.print(Text(clean(renderable)) if isinstance(renderable, str) else renderable)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()
) -> Table:
    """Return a table; long cells are folded, and nothing in them is taken as markup.

    Arguments:
        numbers: columns that are aligned to the right.
    """
    heading = Text(title, style="bold", no_wrap=True)
    made = Table(title=heading, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        justify: JustifyMethod = "right" if column in numbers else "left"
        made.add_column(column, overflow="fold", justify=justify, no_wrap=column in _COPIED)
    for row in rows:
        made.add_row(*(Text(clean(_cell(value))) for value in row))
    return made


def names(connections: Sequence[tuple[str, str]]) -> list[str]:
    """Return what connections are called in a table: with their pipelines when there is more than one.

    Arguments:
        connections: pipeline and name of each.
    """
    several = len({pipeline for pipeline, _ in connections}) > 1
    return [f"{pipeline}/{name}" if several else name for pipeline, name in connections]


def facts(values: Mapping[str, object]) -> Table:
    """Return names and values as a table of two columns without a frame."""
    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in values.items():
        made.add_row(name, Text(clean(_cell(value))))
    return made


def clean(text: str) -> str:
    """Replace control characters but line ends: texts come from strangers, and a terminal obeys them."""
    return "".join("�" if unicodedata.category(c) == "Cc" and c != "\n" else c for c in text)


def moment(value: datetime | None) -> str:
    """Return a time as an operator reads it, in UTC."""
    return "-" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def progress_console() -> Console:
    """Return a console on stderr that stays out of the run logs: Dagster diverts the descriptor itself."""
    stream = sys.stderr
    try:
        is_real = stream.fileno() == 2
    except (UnsupportedOperation, OSError, ValueError):
        is_real = False
    return _console(os.fdopen(os.dup(2), "w", encoding=stream.encoding, errors="replace") if is_real else stream)


def _console(stream: Any) -> Console:
    found = Console(file=stream, highlight=False, markup=False, emoji=False)
    found.width = min(found.width, _WIDEST) if found.is_terminal else _WITHOUT_TERMINAL
    return found


def _cell(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return moment(value)
        case float():
            return f"{value:.1f}"
        case _:
            return str(value)


def _indented(value: object, line_end: str) -> str:
    """Return what ``json`` would, which cannot write a Decimal as a number."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    inner = line_end + "  "
    if isinstance(value, Mapping) and value:
        parts = [f"{canonical_json(str(key))}: {_indented(item, inner)}" for key, item in value.items()]
        return "{" + inner + f",{inner}".join(parts) + line_end + "}"
    if isinstance(value, list | tuple) and value:
        return "[" + inner + f",{inner}".join(_indented(item, inner) for item in value) + line_end + "]"
    return canonical_json(value)
