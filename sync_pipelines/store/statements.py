"""SQL that is kept in files: where they are, and the named statements among them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sync_pipelines.core.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent.parent


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
