"""Settings: environment variables, and the connections file with its secrets kept as references.

Every mistake is a :class:`ConfigurationError` that names the file, the place in it, the cause and the mend, raised
before anything starts.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from sync_pipelines.core.access import DEFAULT_ORGANIZATION
from sync_pipelines.core.errors import ConfigurationError

CONNECTIONS_VARIABLE = "SYNC_CONNECTIONS_FILE"
DEFAULT_CONNECTIONS = "connections.yaml"


class Strict(BaseModel):
    """A part of the connections file: unknown keys are mistakes, not extensions."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NamedConnection(Strict):
    """What every connection of the file has.

    Attributes:
        name: partition key, short and stable.
        organization: whose it is; callers of the service see the connections of their own.
        variables: dotted place of a field -> environment variable that stands in for it; for error messages.
    """

    variables: ClassVar[Mapping[str, str]] = {}
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    organization: str = Field(default=DEFAULT_ORGANIZATION, pattern=r"^\S(.*\S)?$", max_length=200)

    @classmethod
    def clash(cls, connections: Sequence[Self]) -> str | None:
        """Say why connections, each right in itself, must not be used together; ``None`` when they may."""
        return None

    @classmethod
    def together(cls, connections: Sequence[Self]) -> Sequence[Self]:
        """Return all connections of the file, each told what it has to know of the others."""
        return connections


_Model = TypeVar("_Model", bound=NamedConnection)


class Secret:
    """A secret value that does not show itself: ``repr`` and ``str`` are masked, :meth:`reveal` is explicit."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


def resolve_secret(reference: object, *, environment: Mapping[str, str] = os.environ, folder: Path = Path()) -> Secret:
    """Return the secret that a reference (``env:NAME`` or ``file:PATH``) stands for.

    Arguments:
        folder: what a relative path is relative to.

    Raises:
        ValueError: not a reference, or nothing is there.
    """
    if isinstance(reference, Secret):
        return reference
    kind, _, name = reference.partition(":") if isinstance(reference, str) else ("", "", "")
    if kind == "env" and name:
        value = environment.get(name, "").strip()
        if not value:
            raise ValueError(f"the environment variable {name} is not set; set it to the secret")
        return Secret(value)
    if kind == "file" and name:
        return Secret(_secret_file(folder / Path(name).expanduser()))
    raise ValueError("a secret is given as a reference, env:NAME or file:PATH, never as the value itself")


def _secret_file(path: Path) -> str:
    try:
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"the secret file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        # Its own message would show a part of the secret.
        raise ValueError(f"the secret file {path} is not UTF-8 text") from None
    if not value:
        raise ValueError(f"the secret file {path} is empty; write the secret into it")
    return value


def _resolved(reference: object, info: ValidationInfo) -> Secret:
    context = info.context or {}
    return resolve_secret(
        reference, environment=context.get("environment", os.environ), folder=context.get("folder", Path())
    )


def _resolved_if_given(reference: object, info: ValidationInfo) -> Secret | None:
    return None if reference is None else _resolved(reference, info)


SecretReference = Annotated[Any, BeforeValidator(_resolved)]
"""Field type of a secret in the connections file; holds a :class:`Secret` after loading."""

OptionalSecretReference = Annotated[Any, BeforeValidator(_resolved_if_given)]
"""The same for a secret that may be left out; ``None`` then."""


def connections_path(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the connections file: ``SYNC_CONNECTIONS_FILE``, else ``connections.yaml`` here, else ``None``.

    Raises:
        ConfigurationError: the variable names a file that does not exist.
    """
    named = environment.get(CONNECTIONS_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigurationError(
                f"{CONNECTIONS_VARIABLE}={named}: there is no such file; correct the variable or create the file "
                "(deploy/connections.example.yaml shows the format)"
            )
        return path.resolve()
    path = Path(DEFAULT_CONNECTIONS)
    return path.resolve() if path.is_file() else None


def has_section(section: str, *, known: Sequence[str], environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether the connections file has anything for a pipeline; no when there is no such file.

    Arguments:
        known: all sections that the file may have.

    Raises:
        ConfigurationError: the file cannot be read, is no valid YAML, or has another section.
    """
    path = connections_path(environment)
    return path is not None and _sections(path, known).get(section) is not None


def load_section(
    section: str, model: type[_Model], *, known: Sequence[str], environment: Mapping[str, str] = os.environ
) -> tuple[_Model, ...]:
    """Return the named connections of one pipeline; empty when there is no connections file.

    Arguments:
        section: top-level key of the pipeline, e.g. ``"offerings"``.
        model: what each of its connections looks like; its validators may use ``info.context["folder"]`` (a Path)
            for relative paths and ``info.context["environment"]``.
        known: all sections that the file may have.

    Raises:
        ConfigurationError: the file cannot be read, is no valid YAML, or a connection is wrong.
    """
    path = connections_path(environment)
    if path is None:
        return ()
    rows = _sections(path, known).get(section)
    if rows is None:
        return ()
    if not isinstance(rows, list):
        raise ConfigurationError(f"{path}: {section} must be a list of connections, each starting with '- name:'")
    context = {"folder": path.parent, "environment": environment}
    connections = tuple(_connection(path, section, index, row, model, context) for index, row in enumerate(rows))
    _refuse_double_names(path, section, [connection.name for connection in connections])
    if clash := model.clash(connections):
        raise ConfigurationError(f"{path}: {section}: {clash}")
    return tuple(model.together(connections))


class _StrictLoader(yaml.SafeLoader):
    """YAML without tags, in which a key that stands twice is a mistake and not an overwriting."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for part, _ in node.value:
            if not isinstance(part, yaml.ScalarNode) or part.value == "<<":
                continue
            if part.value in seen:
                problem = f"the key {part.value!r} stands here twice; remove one"
                raise yaml.constructor.ConstructorError(None, None, problem, part.start_mark)
            seen.add(part.value)
        return super().construct_mapping(node, deep)


def _sections(path: Path, known: Sequence[str]) -> Mapping[str, Any]:
    document = _read(path)
    unknown = sorted(str(name) for name in document if name not in known)
    if unknown:
        raise ConfigurationError(f"{path}: unknown section {unknown[0]!r}; the sections are {', '.join(known)}")
    return document


@lru_cache(maxsize=1)
def _parsed(text: str) -> Any:
    # Every pipeline asks for its own section of one and the same text.
    return yaml.load(text, _StrictLoader)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{path}{where}: is not valid YAML: {getattr(error, 'problem', error)}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: must be a mapping of sections (offerings: ...)")
    return document


def _connection(
    path: Path, section: str, index: int, row: object, model: type[_Model], context: dict[str, Any]
) -> _Model:
    try:
        return model.model_validate(row, context=context)
    except ValidationError as errors:
        name = row.get("name") if isinstance(row, dict) else None
        place = f"{section}[{index}]" + (f" ({name})" if name else "")
        reasons = [_reason(error, row, model, context["environment"]) for error in errors.errors()]
        raise ConfigurationError("\n".join(f"{path}: {place}{reason}" for reason in reasons)) from None


def _reason(error: Any, row: object, model: type[NamedConnection], environment: Mapping[str, str]) -> str:
    names = [str(part) for part in error["loc"]]
    place = "".join(f".{name}" for name in names)
    variable = next((v for field, v in model.variables.items() if f"{place}.".startswith(f".{field}.")), None)
    match error["type"]:
        case "extra_forbidden":
            return f"{place}: unknown key; remove it or correct its spelling"
        case "missing":
            return f"{place}: is missing; add it" + (f" or set {variable}" if variable else "")
        case "value_error":
            reason = f"{place}: {error['ctx']['error']}"
        case _:
            reason = f"{place}: {error['msg']}"
    from_environment = variable is not None and environment.get(variable) and not _given(row, names)
    return f"{reason} (from the environment variable {variable})" if from_environment else reason


def _given(row: object, names: Sequence[str]) -> bool:
    """Say whether the file itself has the field, down to where its own values end."""
    for name in names:
        if not isinstance(row, dict):
            return True
        if name not in row:
            return False
        row = row[name]
    return True


def _refuse_double_names(path: Path, section: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: {section}: two connections are named {name!r}; names must differ")
