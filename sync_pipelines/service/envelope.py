"""What every request goes through: it gets an id, and no more of its body is read than may be."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_pipelines.service.problems import problem_reply

ID_HEADER = "x-request-id"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """ASGI middleware: request ids, a limit of the body, and headers that browsers heed.

    Arguments:
        max_body: bytes.
        longer: bytes that routes may take whose paths begin so.
    """

    def __init__(self, app: ASGIApp, max_body: int, longer: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._max_body = max_body
        self._longer = longer or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        told = headers.get(ID_HEADER, "")
        request_id = scope["request_id"] = told if _ID.fullmatch(told) else uuid.uuid4().hex

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                out[ID_HEADER] = request_id
                out["Cache-Control"] = "no-store"
                out["X-Content-Type-Options"] = "nosniff"
            await send(message)

        most = self._most(scope["path"])
        if _is_too_long(headers.get("content-length", "0"), most):
            await problem_reply(413, _too_long(most), request_id, {"Connection": "close"})(scope, receive, answer)
            return
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, _too_long(most), {"Connection": "close"})
            return message

        await self._app(scope, limited, answer)

    def _most(self, path: str) -> int:
        return next((most for prefix, most in self._longer.items() if path.startswith(prefix)), self._max_body)


def _is_too_long(length: str, most: int) -> bool:
    # What is no number, the server refuses by itself.
    return length.isdigit() and (len(length) > 18 or int(length) > most)


def _too_long(most: int) -> str:
    return f"The body is longer than {most} bytes"
