"""A hosted endpoint, as providers of blockchain nodes sell them: the key of the customer is part of the path."""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class KeyInPath:
    """ASGI middleware that serves an application below ``/<key>`` only. Without a key it changes nothing."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._prefix = f"/{key}" if key else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._prefix or scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(self._prefix)
        if path == scope["path"] or path[:1] not in ("", "/"):
            await PlainTextResponse(f"no project for {scope['path']}\n", 403)(scope, receive, send)
            return
        await self._app({**scope, "path": path or "/"}, receive, send)
