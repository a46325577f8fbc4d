"""The recorded exchanges of an Odoo 19 server, and the calls they were."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sync_pipelines.systems.odoo.calls import MODEL_METHODS, POSITIONAL, Call

FILES = sorted((Path(__file__).parent / "recordings" / "odoo").glob("*.jsonl"))


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange.

    Attributes:
        call: the call it was; ``None`` for what the client never asks.
        uid: of the caller, over JSON-RPC.
    """

    title: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    call: Call | None
    uid: int | None = None

    @property
    def is_json2(self) -> bool:
        return str(self.request["path"]).startswith("/json/2/")

    @property
    def is_page(self) -> bool:
        return "json" not in self.response["headers"]["Content-Type"]

    @property
    def content(self) -> bytes:
        body = self.response["body"]
        return body.encode() if self.is_page else json.dumps(body).encode()

    @property
    def answer(self) -> httpx.Response:
        return httpx.Response(self.response["status"], headers=self.response["headers"], content=self.content)

    @property
    def error(self) -> Mapping[str, Any] | None:
        """What the server said of its failure: its ``name`` and ``message``; ``None`` for a success or a page."""
        body = self.response["body"]
        if self.is_page or not isinstance(body, dict):
            return None
        if self.is_json2:
            return body if self.response["status"] >= 400 else None
        return body["error"]["data"] if "error" in body else None


def exchanges(path: Path) -> Iterator[Exchange]:
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        request = row["request"]
        call, uid = _call_of(request)
        title = f"{path.stem}: {row['scenario']} {row['step']} {request['path']} {row['note']}"
        yield Exchange(title, request, row["response"], call, uid)


def _call_of(request: Mapping[str, Any]) -> tuple[Call | None, int | None]:
    body = request["body"]
    if request["path"].startswith("/json/2/"):
        model, method = request["path"].removeprefix("/json/2/").split("/")
        named = dict(body) if isinstance(body, dict) else {}
        ids = named.pop("ids", None)
        return Call(model, method, None if ids is None else tuple(ids if isinstance(ids, list) else [ids]), named), None
    if request["path"] != "/jsonrpc" or not isinstance(body, dict):
        return None, None
    params = body["params"]
    arguments = params["args"]
    if params["method"] != "execute_kw":
        return Call(params["service"], params["method"]), None
    _, uid, _, model, method, positional, named = arguments
    is_for_model = method in MODEL_METHODS
    ids = None if is_for_model else tuple(positional[0])
    leading = positional if is_for_model else positional[1:]
    return Call(model, method, ids, {**dict(zip(POSITIONAL.get(method, ()), leading, strict=False)), **named}), uid
