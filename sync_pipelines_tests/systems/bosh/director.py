"""A Director and its UAA that answer what a test tells them to, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sync_pipelines.core.errors import PeerError
from sync_pipelines.sandbox.server import serve
from sync_pipelines.systems.bosh import BoshClient, BoshSession, ClientLogin

UUID = "c0775b35-1d86-4b72-b7e2-7b882e06d7df"
LOGIN = ClientLogin("reader", "s3cret-of-the-reader")
NOT_AUTHORIZED = Response("Not authorized: '/deployments'\n", 401, media_type="text/html")
_T = TypeVar("_T")

Reply = Response | Callable[[Request], Response | Awaitable[Response]]
Conversation = Callable[[BoshClient], Awaitable[_T]]


def reply(body: Any, status: int = 200, **headers: str) -> Response:
    """Return JSON that says it is HTML, as most of a Director's does."""
    return Response(json.dumps(body), status, headers, "text/html")


def error(code: int, description: str, status: int) -> Response:
    return reply({"code": code, "description": description}, status)


def info(kind: str = "basic", url: str | None = None, **other: Any) -> Response:
    options = {} if url is None else {"url": url, "urls": [url]}
    told = {"name": "d", "uuid": UUID, "version": "282.1.17 (00000000)", "user": None}
    return reply({**told, "user_authentication": {"type": kind, "options": options}, **other})


def token(text: str = "token-1", scope: str = "bosh.read", expires_in: int = 600, **other: Any) -> Response:
    return reply({"access_token": text, "token_type": "bearer", "expires_in": expires_in, "scope": scope, **other})


@dataclass
class Director:
    """What it answers, by path; of several replies the last one again and again."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: float = 0.0
    url: str = ""

    def answers(self, path: str, *replies: Reply) -> None:
        self.replies[path] = list(replies)

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]

    def sent(self, path: str) -> list[str]:
        """The credentials that a path was asked with."""
        return [request.headers.get("Authorization", "") for request in self.requests if request.url.path == path]

    def talk(self, conversation: Conversation[_T], **options: Any) -> _T:
        """Hold a conversation; waiting takes no time but moves the clock."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.now += seconds
            await asyncio.sleep(0)

        async def run() -> _T:
            async with BoshSession(
                options.pop("url", self.url),
                options.pop("login", LOGIN),
                read_delay=0.0,
                clock=lambda: self.now,
                **options,
            ) as session:
                return await conversation(BoshClient(session, sleep=sleep, clock=lambda: self.now))

        return asyncio.run(run())

    def refused(self, conversation: Conversation[Any], **options: Any) -> PeerError:
        with pytest.raises(PeerError) as caught:
            self.talk(conversation, **options)
        return caught.value

    @contextmanager
    def running(self) -> Iterator[None]:
        with serve(self) as self.url:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.requests.append(request)
        if request.method == "POST":
            self.forms.append(dict(parse_qsl((await request.body()).decode())))
        replies = self.replies.get(scope["path"]) or [Response(f"Not Found: {request.url.path}", 404)]
        told = replies.pop(0) if len(replies) > 1 else replies[0]
        if not isinstance(told, Response):
            made = told(request)
            told = made if isinstance(made, Response) else await made
        await told(scope, receive, send)
