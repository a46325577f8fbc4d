"""Marked secrets, and where they turn up."""

from __future__ import annotations

import base64
import logging
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, text


class Marks:
    """Finds marked secrets in texts: as they are, in other cases, backwards, percent-encoded and in base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        self._pattern = re.compile("|".join(re.escape(form) for form in sorted(forms)), re.IGNORECASE)

    def found_in(self, text: str) -> list[str]:
        """Return what is around each mark in a text."""
        return [text[max(0, hit.start() - 60) : hit.end() + 20] for hit in self._pattern.finditer(text)]


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield secret[::-1]
    yield quote(secret, safe="")
    yield "".join(f"%{ord(character):02x}" for character in secret)
    for lead in range(3):
        # What surrounds a secret changes the characters at its ends; those in the middle are always there.
        yield base64.b64encode(b"x" * lead + secret.encode()).decode()[4:-4]


class Ear(logging.Handler):
    """Hears every log record of this process at any level, and keeps those that tell a secret.

    Attributes:
        heard: number of records.
        leaks: what they told.
    """

    def __init__(self, marks: Marks) -> None:
        super().__init__(logging.DEBUG)
        self.marks = marks
        self.heard = 0
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one record, its traceback included."""
        self.heard += 1
        self.leaks += [f"{record.name}: {hit}" for hit in self.marks.found_in(self.format(record))]


@contextmanager
def listening(marks: Marks) -> Iterator[Ear]:
    """Hear all logs within the block."""
    ear, root = Ear(marks), logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        yield ear
    finally:
        root.setLevel(level)
        root.removeHandler(ear)


def leaks_in_database(engine: Engine, marks: Marks) -> list[str]:
    """Return where marks stand in any table of the store."""
    leaks = []
    with engine.connect() as connection:
        tables = connection.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'sync' ORDER BY 1")
        ).scalars()
        for table in tables.all():
            rows = connection.execute(text(f'SELECT CAST(t AS text) FROM sync."{table}" t')).scalars()
            leaks += [f"sync.{table}: {hit}" for row in rows for hit in marks.found_in(row)]
    return leaks


def leaks_in_files(folder: Path, marks: Marks) -> list[str]:
    """Return where marks stand in the files below a folder; SQLite databases are read as what they hold."""
    leaks = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.read_bytes()[:15] == b"SQLite format 3":
            with closing(sqlite3.connect(path)) as database:
                lines = list(database.iterdump())
        else:
            lines = [path.read_bytes().decode("utf-8", "replace")]
        leaks += [f"{path.name}: {hit}" for line in lines for hit in marks.found_in(line)]
    return leaks
