"""Asks a replica by hand: envelopes that are right, or wrong in one way."""

from __future__ import annotations

import time
from typing import Any

import cbor2
import httpx

from sync_pipelines.sandbox.internet_computer.candid_encoding import encode
from sync_pipelines.sandbox.internet_computer.principals import ANONYMOUS, principal_bytes

NO_ARGUMENTS = encode([], [])


def content(canister: str, method: str, arg: bytes = NO_ARGUMENTS, **others: Any) -> dict[str, Any]:
    """Return what a query consists of; ``others`` replace parts, and take them away where they are ``None``."""
    parts = {
        "request_type": "query",
        "sender": ANONYMOUS,
        "ingress_expiry": time.time_ns() + 180 * 10**9,
        "canister_id": principal_bytes(canister),
        "method_name": method,
        "arg": arg,
    }
    return {name: value for name, value in (parts | others).items() if value is not None}


def post(
    client: httpx.Client,
    address: str,
    asked: dict[str, Any] | bytes,
    *,
    tagged: bool = True,
    content_type: str = "application/cbor",
    **envelope: Any,
) -> httpx.Response:
    """Send a request to a path such as ``v2/canister/<id>/query``."""
    body = asked
    if isinstance(asked, dict):
        whole = {"content": asked, **envelope}
        body = cbor2.dumps(cbor2.CBORTag(55799, whole) if tagged else whole)
    assert isinstance(body, bytes)
    return client.post(f"/api/{address}", content=body, headers={"Content-Type": content_type})


def answer(response: httpx.Response) -> dict[str, Any]:
    """Return a CBOR answer."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/cbor"
    told = cbor2.loads(response.content)
    return dict(told.value if isinstance(told, cbor2.CBORTag) else told)
