"""The options of Blacksmith's reconciler: environment, then ``blacksmith.conf``, then the connection, then defaults.

Each option is looked for on its own.

``false`` and ``0`` are values: only an option that is absent, null or (in the environment) empty falls back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.deployments.go_duration import parse_duration

PREFIX = "BLACKSMITH_RECONCILER_"
BLOCK = "reconciler"
DEFAULT = "default"
CONNECTION = "the connection"

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """Backups of an instance before it is changed.

    Attributes:
        retention: backups kept of each instance; 0 keeps all.
        cleanup: whether older ones are removed at all.
        path: folder below the instance's in Vault.
    """

    enabled: bool = True
    retention: int = 10
    cleanup: bool = True
    path: str = "backups"


@dataclass(frozen=True, slots=True)
class ReconcilerOptions:
    """All options, with where each value comes from.

    Attributes:
        interval: between runs; zero for no schedule.
        max_concurrency: requests to the Director at the same time, scanning and writing alike.
        batch_size: deployments worked on together.
        retry_attempts: of a failed operation; 0 tries once.
        cache_ttl: how long details of a deployment are used again; zero for never.
        debug: tell of every deployment and every write, see ``debugging.py``.
        sources: option (``backup.path``) -> its environment variable, ``<file>: reconciler.<option>``,
            ``the connection: reconciler.<option>`` or ``default``.
        unknown: places that look like options and are none, for a warning.
    """

    enabled: bool = True
    interval: timedelta = timedelta(hours=1)
    max_concurrency: int = 5
    batch_size: int = 10
    retry_attempts: int = 3
    retry_delay: timedelta = timedelta(seconds=10)
    cache_ttl: timedelta = timedelta(minutes=5)
    debug: bool = False
    backup: BackupOptions = BackupOptions()
    sources: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def load_reconciler_options(
    path: Path | None = None, environment: Mapping[str, str] = os.environ, inline: object = None
) -> ReconcilerOptions:
    """Return the options of environment and file.

    Arguments:
        path: of ``blacksmith.conf``; its other blocks are not looked at. ``None`` for no file.
        inline: a block of the same shape in the connection itself, for options that neither of the two has.

    Raises:
        ConfigurationError: the file cannot be read, or values are wrong; every mistake is named with its place.
    """
    block = _block(path) if path is not None else {}
    own = _mapping(CONNECTION, inline)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    mistakes: list[str] = []
    for option, read in _OPTIONS.items():
        given = (
            _from_environment(option, environment)
            or _from_block(option, block, str(path))
            or _from_block(option, own, CONNECTION)
        )
        if given is None:
            sources[option] = DEFAULT
            continue
        place, value = given
        try:
            values[option] = read(value)
            sources[option] = place
        except ValueError as reason:
            mistakes.append(f"{place}: {reason}")
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    backup = {name.removeprefix("backup."): value for name, value in values.items() if name.startswith("backup.")}
    plain = {name: value for name, value in values.items() if not name.startswith("backup.")}
    unknown = (*_unknown(block, str(path), environment), *_unknown(own, CONNECTION, {}))
    return ReconcilerOptions(**plain, backup=BackupOptions(**backup), sources=sources, unknown=unknown)


def variable_of(option: str) -> str:
    """Return the environment variable of an option: ``BLACKSMITH_RECONCILER_BACKUP_PATH`` of ``backup.path``."""
    return PREFIX + option.replace(".", "_").upper()


def _boolean(value: object) -> bool:
    text = str(value).strip().lower() if isinstance(value, bool | int | str) else None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError("must be true, 1 or yes, or else false, 0 or no")


def _number(least: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if not _WHOLE_NUMBER.fullmatch(text):
            raise ValueError("must be a whole number")
        if int(text) < least:
            raise ValueError(f"must be at least {least}")
        return int(text)

    return read


def _retention(value: object) -> int:
    # Blacksmith takes a negative count for "keep all", too.
    return max(0, _number(-999_999_999)(value))


def _duration(value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a duration with units, such as 30m, 1h30m or 500ms")
    duration = parse_duration(str(value).strip())
    if duration < timedelta():
        raise ValueError("must not be negative")
    return duration


def _path(value: object) -> str:
    if not isinstance(value, str) or not _PATH.fullmatch(value) or len(value) > 200:
        raise ValueError("must be a path below the instance, of letters, digits, '.', '_' and '-', without '..'")
    if value.split("/")[0] in ("metadata", "manifest", "credentials", "bindings"):
        raise ValueError("must not be where the instance's own documents are; choose another name, such as backups")
    return value


_OPTIONS: Mapping[str, Callable[[object], Any]] = {
    "enabled": _boolean,
    "interval": _duration,
    "max_concurrency": _number(1),
    "batch_size": _number(1),
    "retry_attempts": _number(0),
    "retry_delay": _duration,
    "cache_ttl": _duration,
    "debug": _boolean,
    "backup.enabled": _boolean,
    "backup.retention": _retention,
    "backup.cleanup": _boolean,
    "backup.path": _path,
}
_BLOCK_KEYS = {option.split(".")[0] for option in _OPTIONS}
_BACKUP_KEYS = {option.split(".")[1] for option in _OPTIONS if "." in option}


def _from_environment(option: str, environment: Mapping[str, str]) -> tuple[str, object] | None:
    names = [variable_of(option)]
    if option == "debug":
        names.append("BLACKSMITH_DEBUG")
        # Many programs share this name, and give it other values.
        names += ["DEBUG"] if environment.get("DEBUG", "").strip().lower() in _TRUE + _FALSE else []
    return next(((name, environment[name]) for name in names if environment.get(name, "").strip()), None)


def _from_block(option: str, block: Mapping[str, Any], place: str) -> tuple[str, object] | None:
    value: Any = block
    for key in option.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is None else (f"{place}: {BLOCK}.{option}", value)


def _block(path: Path) -> Mapping[str, Any]:
    """Return the reconciler's block. Messages quote nothing: the file holds the broker's passwords."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{path}{where}: is not valid YAML in UTF-8") from None
    if document is not None and not isinstance(document, dict):
        raise ConfigurationError(f"{path}: must be a mapping with the block '{BLOCK}:'")
    return _mapping(str(path), (document or {}).get(BLOCK))


def _mapping(source: str, block: object) -> Mapping[str, Any]:
    for place, part in ((BLOCK, block), (f"{BLOCK}.backup", block.get("backup") if isinstance(block, dict) else None)):
        if part is not None and not isinstance(part, dict):
            raise ConfigurationError(f"{source}: {place}: must be a mapping of options")
    return block if isinstance(block, dict) else {}


def _unknown(block: Mapping[str, Any], place: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    known = set(map(variable_of, _OPTIONS))
    variables = [name for name in environment if name.startswith(PREFIX) and name not in known]
    keys = [str(key) for key in block if key not in _BLOCK_KEYS]
    keys += [f"backup.{key}" for key in block.get("backup") or {} if key not in _BACKUP_KEYS]
    return (*sorted(variables), *(f"{place}: {BLOCK}.{key}" for key in sorted(keys)))
