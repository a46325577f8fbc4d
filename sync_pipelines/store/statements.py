"""SQL: statements made ready once, where those in files are, and the named ones among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, CursorResult, TextClause

from sync_pipelines.core.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent.parent
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


def sql_folder() -> Path:
    """The folder with the migrations and ``statements/``.

    A wheel carries it inside the package as ``_sql``; in a source checkout it is the top-level ``sql``.

    Raises:
        ConfigurationError: neither is there.
    """
    for folder in (_PACKAGE / "_sql", _PACKAGE.parent / "sql"):
        if folder.is_dir():
            return folder
    raise ConfigurationError(f"The SQL files are missing: neither {_PACKAGE / '_sql'} nor {_PACKAGE.parent / 'sql'}.")


@cache
def statement(name: str) -> str:
    """Text of ``sql/statements/<name>.sql``.

    Raises:
        ConfigurationError: there is no such file.
    """
    path = sql_folder() / "statements" / f"{name}.sql"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"There is no SQL statement {name}: {path} is missing.") from None


@cache
def text(sql: str) -> TextClause:
    """Return a statement ready to be executed; what is executed for every change is worth keeping."""
    return sqlalchemy.text(sql)


@dataclass(frozen=True, slots=True)
class Part:
    """A statement with its parameters, to be executed alone or together with others."""

    sql: str
    parameters: Mapping[str, Any]


def execute(connection: Connection, *parts: Part) -> CursorResult[Any]:
    """Execute statements in one round trip. Returns the rows of the last one.

    All of them see the database as it was before, so none may read or write what another one writes. They begin with
    INSERT, UPDATE or DELETE: WITH is not allowed within WITH.
    """
    if len(parts) == 1:
        return connection.execute(text(parts[0].sql), parts[0].parameters)
    parameters = {f"{name}_{n}": value for n, part in enumerate(parts) for name, value in part.parameters.items()}
    return connection.execute(text(_joined(tuple(part.sql for part in parts))), parameters)


@cache
def _joined(statements: tuple[str, ...]) -> str:
    *first, last = (_PARAMETER.sub(rf":\1_{n}", sql) for n, sql in enumerate(statements))
    return f"WITH {', '.join(f'part_{n} AS ({sql})' for n, sql in enumerate(first))} {last}"
