"""COPY in PostgreSQL's binary format for what comes by the million, and in its text format for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
import psycopg
from sqlalchemy import Connection

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": signature, flags, length of the extension;
# then rows, each the number of its fields and every field after its length; then the trailer.
_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_ESCAPES = {ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", 0: "\N{REPLACEMENT CHARACTER}"}


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """Return psycopg's connection, which is in the same transaction."""
    found = connection.connection.driver_connection
    assert isinstance(found, psycopg.Connection)
    return found


def copy_binary(connection: Connection, table: str, parts: Iterable[bytes]) -> None:
    """Append rows in the binary format.

    Arguments:
        table: the table and its columns, e.g. ``"sync.t (a, b)"``.
        parts: pieces which, joined, are the rows.
    """
    begin = f"COPY {table} FROM STDIN (FORMAT binary)".encode()
    with driver(connection).cursor() as cursor, cursor.copy(begin) as copy:
        copy.write(b"".join((_BEGIN, *parts, _END)))


def copy_rows(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Append rows of plain values: text, bytes, numbers, booleans, ``None``, and mappings or lists for ``jsonb``.

    PostgreSQL's text and jsonb cannot hold NUL: it becomes the replacement character.
    """
    # Encoded before anything is begun: what cannot be encoded then leaves the transaction as it was.
    copy_encoded(connection, table, columns, encoded_rows(rows))


def encoded_rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows in the text format. Needs no connection.

    Raises:
        UnicodeEncodeError: a text has half a surrogate pair.
    """
    return "".join([_line(row) for row in rows]).encode()


def copy_encoded(connection: Connection, table: str, columns: Sequence[str], lines: bytes) -> None:
    """Append what :func:`encoded_rows` returned."""
    if lines:
        begin = f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()
        with driver(connection).cursor() as cursor, cursor.copy(begin) as copy:
            copy.write(lines)


def _line(row: Sequence[Any]) -> str:
    # Few texts have anything to escape: all of a row are looked through at once.
    if _needs_escape("".join([value for value in row if type(value) is str])):
        return "\t".join([_field(value) for value in row]) + "\n"
    plain = [value if type(value) is str else "\\N" if value is None else _field(value) for value in row]
    return "\t".join(plain) + "\n"


def _field(value: Any) -> str:
    kind = type(value)
    if kind is int or kind is Decimal:
        return str(value)
    if kind is str:
        return value.translate(_ESCAPES) if _needs_escape(value) else value  # type: ignore[no-any-return]  # checked by its exact type
    if value is None:
        return "\\N"
    if kind is bytes:
        return "\\\\x" + value.hex()  # type: ignore[no-any-return]  # checked by its exact type
    if kind is bool:
        return "t" if value else "f"
    if isinstance(value, (Mapping, list, tuple)):
        return _json(value).translate(_ESCAPES)
    return str(value).translate(_ESCAPES)


def _needs_escape(value: str) -> bool:
    return "\\" in value or "\n" in value or "\t" in value or "\r" in value or "\0" in value


def _json(value: Any) -> str:
    return orjson.dumps(_without_nul(value)).decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in value else value
    if isinstance(value, Mapping):
        return {_without_nul(name): _without_nul(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nul(item) for item in value]
    return value
