"""Which Odoo is it? Asked without credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx

from sync_pipelines.systems.odoo.answers import NotJson, decoded, read_jsonrpc, refusal
from sync_pipelines.systems.odoo.calls import Call
from sync_pipelines.systems.odoo.errors import unexpected_shape
from sync_pipelines.systems.odoo.protocols import JSON, rpc_body
from sync_pipelines.systems.odoo.values import encoded
from sync_pipelines.systems.transport import Transport

JSON2_SINCE = 19
VERSION_PATHS = ("json/version", "web/version")

_CALL = Call("common", "version")
_NUMBER = re.compile(r"(?:saas[~-])?(\d+)")


@dataclass(frozen=True, slots=True)
class OdooVersion:
    """What a server says of itself.

    Attributes:
        major: e.g. 19; of a ``saas~18.2`` 18.
        text: as printed, e.g. ``19.0``.
    """

    major: int
    text: str

    @property
    def has_json2(self) -> bool:
        """Whether JSON-2 is there."""
        return self.major >= JSON2_SINCE


async def probe(transport: Transport) -> tuple[OdooVersion, httpx.Response]:
    """Return the server's version, and the answer that told it.

    Versions before 19 have no address for it and are asked over JSON-RPC.

    Raises:
        PeerError: nobody there answers as an Odoo does.
    """
    for path in VERSION_PATHS:
        if (found := await _by_get(transport, path)) is not None:
            return found
    if (found := await _by_rpc(transport)) is not None:
        return found
    raise unexpected_shape(_CALL, "no version; is this an Odoo server?")


async def _by_get(transport: Transport, path: str) -> tuple[OdooVersion, httpx.Response] | None:
    response = await transport.request("GET", path, operation=_CALL.operation)
    if response.status_code >= 500:
        raise refusal(_CALL, response, redactor=transport.redactor)
    try:
        body = decoded(response.content) if response.is_success else None
    except NotJson:
        body = None
    parsed = parse_version(body, "version_info", "version")
    return (parsed, response) if parsed else None


async def _by_rpc(transport: Transport) -> tuple[OdooVersion, httpx.Response] | None:
    response = await transport.request(
        "POST",
        "jsonrpc",
        content=encoded(rpc_body("common", "version", [], 0)),
        headers=JSON,
        write=False,
        operation=_CALL.operation,
    )
    body = read_jsonrpc(_CALL, response, request_id=0, uid=None, redactor=transport.redactor)
    parsed = parse_version(body, "server_version_info", "server_version")
    return (parsed, response) if parsed else None


def parse_version(body: Any, info_key: str, text_key: str) -> OdooVersion | None:
    """Return the version from ``{"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"}``, if it is one."""
    if not isinstance(body, dict):
        return None
    info = body.get(info_key)
    first = info[0] if isinstance(info, list) and info else body.get(text_key)
    match = _NUMBER.match(str(first))
    return OdooVersion(int(match[1]), str(body.get(text_key, ""))[:40]) if match else None
