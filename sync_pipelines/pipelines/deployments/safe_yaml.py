"""Foreign YAML as plain data: bounded in size, depth and expansion, without ever quoting it in an error.

PyYAML's own loaders are no choice here: they recurse as deep as the text nests, expand an alias bomb without a limit,
refuse tags that the Director accepts, and take three times as long. Its parser's events are turned into data directly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from sync_pipelines.core.canonical import canonical_json

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_TYPED = frozenset({"null", "bool", "int", "float"})
_MOST_BITS = 14_000
"""Of an integer; Python refuses to write one of more than 4300 digits."""
_LONGEST_NUMBER = 20_000
"""Characters. Each part of ``1:59:59`` costs more than the one before: millions of them take days."""
_NO_KEY = object()
_MERGE = object()


class Fault(StrEnum):
    """What is wrong with a text."""

    TOO_LARGE = "too large"
    MALFORMED = "no valid YAML"
    SEVERAL_DOCUMENTS = "more than one YAML document"
    UNKNOWN_ALIAS = "an alias without its anchor"
    SELF_REFERENCE = "an alias within its own anchor"
    EXPANSION = "aliases that expand without measure"
    TOO_MANY = "more values than are read"
    TOO_DEEP = "nested too deep"
    NOT_A_MAPPING = "no mapping at its top"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read at all.

    Attributes:
        max_bytes: of the text, in UTF-8; aliases may expand it to four times that.
        max_nodes: scalars, lists and mappings, with every alias counted as all it stands for.
        max_depth: lists and mappings within each other.
    """

    max_bytes: int = 8 * 1024 * 1024
    max_nodes: int = 2_000_000
    max_depth: int = 100


class YamlFault(Exception):
    """A text that is not read. The message names kind and place, and quotes nothing: the text may hold secrets.

    Attributes:
        line: counted from 1, where known; ``column`` likewise.
    """

    def __init__(self, fault: Fault, line: int | None = None, column: int | None = None) -> None:
        self.fault = fault
        self.line = line
        self.column = column
        place = "" if line is None else f" (line {line}, column {column})"
        super().__init__(f"{fault.value}{place}")


def read_yaml(text: str, limits: Limits | None = None, *, verbatim: frozenset[str] = frozenset()) -> Any:
    """Return the one document of a text as JSON types; lists and mappings behind an anchor are shared, not copied.

    Keys become text as they are written (``2`` is ``"2"``), or canonical JSON where a key is a list or a mapping. Of a
    key that stands twice the last one counts. Times, binaries and values of unknown tags stay text. Numbers that JSON
    has no form for (infinity, not-a-number, some 4200 digits and more) stay text too.

    Arguments:
        verbatim: keys at the top below which every scalar stays text: ``version: 1.10`` is not ``1.1``.

    Raises:
        YamlFault: it is not read, and why.
    """
    limits = limits or Limits()
    if len(text) > limits.max_bytes:
        raise YamlFault(Fault.TOO_LARGE)
    try:
        # Half a surrogate pair cannot be encoded, and not be parsed.
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise YamlFault(Fault.MALFORMED) from None
    if size > limits.max_bytes:
        raise YamlFault(Fault.TOO_LARGE)
    return _Builder(limits, verbatim).build(_events(text))


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        # Its own message may name an anchor, a tag or a character of the text.
        raise YamlFault(Fault.MALFORMED, *place) from None


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being filled."""

    value: Any
    anchor: str | None
    nodes: int
    characters: int
    key: Any = _NO_KEY
    height: int = 1
    merged: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    nodes: int
    characters: int
    height: int


class _Builder:
    def __init__(self, limits: Limits, verbatim: frozenset[str]) -> None:
        self._limits = limits
        self._verbatim = verbatim
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._scalars: dict[str, Any] = {}
        self._nodes = 0
        self._characters = 0
        self._root: Any = None
        self._is_verbatim = False
        self._constructor = SafeConstructor()

    def build(self, events: Iterator[Any]) -> Any:
        documents = 0
        for event in events:
            kind = type(event)
            if kind is ScalarEvent:
                self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open({} if kind is MappingStartEvent else [], event)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._close()
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise _at(Fault.SEVERAL_DOCUMENTS, event)
        return self._root

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        self._count(event)
        self._characters += len(text)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and type(frame.value) is dict and frame.key is _NO_KEY:
            if len(self._stack) == 1:
                self._is_verbatim = text in self._verbatim
            frame.key = _MERGE if text == "<<" and event.implicit[0] else text
            if event.anchor:
                self._anchors[event.anchor] = _Anchored(text, 1, len(text), 0)
            return
        value = text if self._is_verbatim else self._typed(event, text)
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 1, len(text), 0)
        self._put(value)

    def _typed(self, event: Any, text: str) -> Any:
        if event.tag is not None and event.tag != "!":
            kind = event.tag.removeprefix(_CORE)
            return self._constructed(kind, text) if kind in _TYPED else text
        if not event.implicit[0]:
            return text
        if text not in self._scalars:
            self._scalars[text] = self._constructed(_implicit_kind(text), text)
        return self._scalars[text]

    def _constructed(self, kind: str, text: str) -> Any:
        if len(text) > _LONGEST_NUMBER:
            return text
        node = yaml.ScalarNode(_CORE + kind, text)
        try:
            match kind:
                case "null":
                    return None
                case "bool":
                    return self._constructor.construct_yaml_bool(node)
                case "int":
                    whole: int = self._constructor.construct_yaml_int(node)
                    # Hexadecimal digits and parts of an hour are read at any length.
                    return whole if whole.bit_length() <= _MOST_BITS else text
                case "float":
                    number = self._constructor.construct_yaml_float(node)
                    return number if math.isfinite(number) else text
        except (ValueError, KeyError, IndexError, OverflowError):
            # "!!int seven", more digits than Python converts, or a fraction of more parts than a float has room for.
            return text
        return text

    def _open(self, value: Any, event: Any) -> None:
        if len(self._stack) >= self._limits.max_depth:
            raise _at(Fault.TOO_DEEP, event)
        self._stack.append(_Open(value, event.anchor, self._nodes, self._characters))
        self._count(event)

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > self._limits.max_nodes:
            raise _at(Fault.TOO_MANY, event)

    def _close(self) -> None:
        frame = self._stack.pop()
        for source in frame.merged or ():
            # Keys of the mapping itself win over merged ones, and earlier merged ones over later ones.
            frame.value = {**source, **frame.value}
        if frame.anchor:
            self._anchors[frame.anchor] = _Anchored(
                frame.value, self._nodes - frame.nodes, self._characters - frame.characters, frame.height
            )
        if self._stack:
            parent = self._stack[-1]
            parent.height = max(parent.height, frame.height + 1)
        self._put(frame.value)

    def _alias(self, event: Any) -> None:
        meant = self._anchors.get(event.anchor)
        if any(frame.anchor == event.anchor for frame in self._stack):
            raise _at(Fault.SELF_REFERENCE, event)
        if meant is None:
            raise _at(Fault.UNKNOWN_ALIAS, event)
        self._nodes += meant.nodes
        self._characters += meant.characters
        limits = self._limits
        if self._nodes > limits.max_nodes or self._characters > 4 * limits.max_bytes:
            raise _at(Fault.EXPANSION, event)
        if len(self._stack) + meant.height > limits.max_depth:
            raise _at(Fault.TOO_DEEP, event)
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, meant.height + 1)
        self._put(meant.value)

    def _put(self, value: Any) -> None:
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        if type(frame.value) is list:
            frame.value.append(value)
        elif frame.key is _NO_KEY:
            frame.key = value if isinstance(value, str) else canonical_json(value)
        elif frame.key is _MERGE:
            sources = value if isinstance(value, list) else [value]
            frame.merged = [*(frame.merged or ()), *(source for source in sources if isinstance(source, dict))]
            frame.key = _NO_KEY
        else:
            frame.value[frame.key] = value
            frame.key = _NO_KEY


def _implicit_kind(text: str) -> str:
    resolvers: dict[str | None, list[tuple[str, Any]]] = yaml.SafeLoader.yaml_implicit_resolvers
    for tag, form in [*resolvers.get(text[:1], ()), *resolvers.get(None, ())]:
        if form.match(text):
            return str(tag).removeprefix(_CORE)
    return "str"


def _at(fault: Fault, event: Any) -> YamlFault:
    return YamlFault(fault, event.start_mark.line + 1, event.start_mark.column + 1)
