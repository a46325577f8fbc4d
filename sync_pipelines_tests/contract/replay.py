"""Replays recorded HTTP exchanges against a stand-in and tells where its answers differ.

A recording is a file of JSON lines, one exchange a line: ``scenario``, ``step``, ``note``, ``setup`` (what was done
outside the API before the step), ``request`` and ``response``. Identifiers differ from run to run, so a recorded one is
bound to the one seen at the same place of the answer and replaced by it in everything that is sent later.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

COMPARED_HEADERS = ("Content-Type", "X-Result-Count", "Link", "Allow", "WWW-Authenticate", "Location", "Retry-After")

_IDENTIFIER = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_CUT = re.compile(r"\.\.\. \[cut, \d+ characters\]$")


@dataclass(frozen=True)
class Step:
    """One recorded exchange."""

    scenario: str
    number: int
    note: str
    setup: tuple[Mapping[str, Any], ...]
    request: Mapping[str, Any]
    response: Mapping[str, Any]

    @property
    def title(self) -> str:
        return f"step {self.number} {self.request['method']} {self.request['path']} {self.note}".rstrip()


def read_scenarios(path: Path) -> dict[str, list[Step]]:
    """The scenarios of a recording, each with its steps in the order they were answered."""
    scenarios: dict[str, list[Step]] = {}
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        step = Step(
            row["scenario"], row["step"], row["note"], tuple(row.get("setup", ())), row["request"], row["response"]
        )
        scenarios.setdefault(step.scenario, []).append(step)
    return {name: sorted(steps, key=_answer_order) for name, steps in scenarios.items()}


def _answer_order(step: Step) -> int:
    """Steps sent at the same moment count in the order of their answers."""
    for item in step.setup:
        if item["do"] == "together":
            return int(item["steps"][0] + item["answered"] - 1)
    return step.number


@dataclass
class Replayer:
    """Sends recorded requests and compares the answers.

    Attributes:
        client: bound to the stand-in's base URL; redirects are not followed.
        host: the ``Host`` of the recording, so that links in answers can be compared as they are.
        fixed: identifiers that are the same in every run.
        ordered_keys: keys whose timestamps must keep the recorded order.
    """

    client: httpx.Client
    host: str
    fixed: frozenset[str] = frozenset()
    ordered_keys: frozenset[str] = frozenset({"created"})
    _seen: dict[str, str] = field(default_factory=dict)
    _times: dict[str, str] = field(default_factory=dict)

    def differences(self, step: Step) -> list[str]:
        """What the stand-in answered differently; empty when it agrees."""
        if step.response["status"] == 0:
            self._send_and_leave(step)
            return []
        answer = self._send(step)
        found = list(self._compare_heads(step.response, answer))
        if not found and "text/html" not in answer.headers.get("Content-Type", ""):
            found += self._compare(step.response["body"], _body(answer), "body")
        found += self._disordered_times()
        return [*found, f"answered {answer.text[:600]}"] if found else []

    def bound(self, value: Any) -> Any:
        """``value`` with recorded identifiers replaced by those of this run."""
        if isinstance(value, str):
            return _IDENTIFIER.sub(lambda match: self._seen.get(match[0], match[0]), value)
        if isinstance(value, list | tuple):
            return [self.bound(item) for item in value]
        if isinstance(value, Mapping):
            return {key: self.bound(item) for key, item in value.items()}
        return value

    def _send(self, step: Step) -> httpx.Response:
        method, url, headers, content = self._request(step.request)
        return self.client.request(method, url, headers=headers, content=content, follow_redirects=False)

    def _request(self, recorded: Mapping[str, Any]) -> tuple[str, str, dict[str, str], bytes | None]:
        query = urlencode([tuple(pair) for pair in self.bound(recorded["query"])])
        url = self.bound(recorded["path"]) + (f"?{query}" if query else "")
        headers = {"Host": self.host, **recorded["headers"]}
        body = self.bound(recorded["body"])
        if recorded.get("raw"):
            return recorded["method"], url, headers, _raw_bytes(body)
        has_body = body is not None or "Content-Type" in headers
        return recorded["method"], url, headers, json.dumps(body).encode() if has_body else None

    def _send_and_leave(self, step: Step) -> None:
        """Close the connection without reading the answer, as the recorded client did after 10 ms."""
        method, url, headers, content = self._request(step.request)
        body = content or b""
        lines = [f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        with socket.create_connection((self.client.base_url.host, self.client.base_url.port or 80)) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(0.01)

    def _compare_heads(self, recorded: Mapping[str, Any], answer: httpx.Response) -> Iterator[str]:
        if answer.status_code != recorded["status"]:
            yield f"status {answer.status_code}, recorded {recorded['status']} {recorded['body']}"
        for name in COMPARED_HEADERS:
            yield from self._compare(recorded["headers"].get(name), answer.headers.get(name), name)

    def _compare(self, recorded: Any, seen: Any, place: str) -> Iterator[str]:
        if isinstance(recorded, dict) and isinstance(seen, dict):
            yield from self._compare_objects(recorded, seen, place)
        elif isinstance(recorded, list) and isinstance(seen, list):
            if len(recorded) != len(seen):
                yield f"{place}: {len(seen)} items, recorded {len(recorded)}"
            for index, (left, right) in enumerate(zip(recorded, seen, strict=False)):
                yield from self._compare(left, right, f"{place}[{index}]")
        elif isinstance(recorded, str) and isinstance(seen, str):
            if not self._same_text(recorded, seen, place):
                yield f"{place}: {seen!r}, recorded {recorded!r}"
        elif not _same_scalar(recorded, seen):
            yield f"{place}: {seen!r}, recorded {recorded!r}"

    def _compare_objects(self, recorded: dict[str, Any], seen: dict[str, Any], place: str) -> Iterator[str]:
        if missing := recorded.keys() - seen.keys():
            yield f"{place}: without {sorted(missing)}"
        if extra := seen.keys() - recorded.keys():
            yield f"{place}: has also {sorted(extra)}"
        for key in recorded.keys() & seen.keys():
            yield from self._compare(recorded[key], seen[key], f"{place}.{key}")

    def _same_text(self, recorded: str, seen: str, place: str) -> bool:
        if _TIMESTAMP.fullmatch(recorded):
            if place.rpartition(".")[2] in self.ordered_keys:
                self._times[recorded] = seen
            return _TIMESTAMP.fullmatch(seen) is not None
        if cut := _CUT.search(recorded):
            return seen.startswith(recorded[: cut.start()])
        left, right = _IDENTIFIER.split(recorded), _IDENTIFIER.split(seen)
        pairs = zip(_IDENTIFIER.findall(recorded), _IDENTIFIER.findall(seen), strict=False)
        return left == right and all(self._bind(*pair) for pair in pairs)

    def _bind(self, recorded: str, seen: str) -> bool:
        if recorded in self.fixed:
            return recorded == seen
        if recorded not in self._seen and seen in self._seen.values():
            return False
        return self._seen.setdefault(recorded, seen) == seen

    def _disordered_times(self) -> Iterable[str]:
        ordered = [self._times[recorded] for recorded in sorted(self._times)]
        return [] if ordered == sorted(ordered) else [f"times out of order: {ordered}"]


def _body(answer: httpx.Response) -> Any:
    is_json = answer.headers.get("Content-Type") == "application/json" and answer.content
    return json.loads(answer.content) if is_json else answer.text


def _raw_bytes(text: str) -> bytes:
    """Bytes that are not UTF-8 are recorded as Latin-1."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def _same_scalar(recorded: Any, seen: Any) -> bool:
    numbers = (int, float)
    if isinstance(recorded, numbers) and isinstance(seen, numbers) and not isinstance(recorded, bool):
        places = Decimal("1e-10")
        return Decimal(recorded).quantize(places) == Decimal(seen).quantize(places) and not isinstance(seen, bool)
    return type(recorded) is type(seen) and bool(recorded == seen)


def explain(failures: Sequence[tuple[Step, list[str]]]) -> str:
    """A readable account of all differing steps."""
    return "\n".join(f"{step.title}\n  " + "\n  ".join(found) for step, found in failures)
