"""A server that gives the recorded answers of a real Director, scenario by scenario, and nothing else."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parent / "recordings" / "bosh"
_Key = tuple[str, str, tuple[tuple[str, str], ...], str]


@cache
def exchanges(file: str) -> tuple[dict[str, Any], ...]:
    """Return the exchanges of one file in their order."""
    return tuple(json.loads(line) for line in (FOLDER / f"{file}.jsonl").read_text("utf-8").splitlines())


def scenarios(file: str) -> list[str]:
    """Return the names of a file's scenarios."""
    return list(dict.fromkeys(exchange["scenario"] for exchange in exchanges(file)))


def content(exchange: dict[str, Any]) -> bytes:
    """Return a recorded body as it was on the wire, but for blanks in JSON."""
    body = exchange["response"]["body"]
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class RecordedDirector:
    """Answers each request as recorded; equal ones in the recorded order, the last answer again and again.

    Attributes:
        credentials: what a client sends, by the placeholder that stands for it in the recording.
        unknown: requests that were not recorded; they get status 599.
    """

    file: str
    scenario: str
    credentials: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._answers: dict[_Key, deque[dict[str, Any]]] = {}
        for exchange in self.recorded():
            request = exchange["request"]
            sent = request["headers"].get("Authorization", "")
            query = tuple(sorted(request["query"].items()))
            key = (request["method"], request["path"].rstrip("/"), query, self.credentials.get(sent, sent))
            self._answers.setdefault(key, deque()).append(exchange)

    def recorded(self) -> Iterator[dict[str, Any]]:
        """Yield the exchanges of the scenario."""
        return (exchange for exchange in exchanges(self.file) if exchange["scenario"] == self.scenario)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["raw_path"].decode("ascii")
        query = tuple(sorted(parse_qsl(request.url.query)))
        answers = self._answers.get((request.method, path, query, request.headers.get("Authorization", "")))
        if not answers:
            self.unknown.append(f"{request.method} {path} {query}")
            await Response(status_code=599)(scope, receive, send)
            return
        exchange = answers.popleft() if len(answers) > 1 else answers[0]
        told = exchange["response"]
        await Response(content(exchange), told["status"], told["headers"])(scope, receive, send)
