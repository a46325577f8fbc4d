"""Hints over the websocket that the chain moved. Never data: nothing is replayed, and silence is not health.

One subscription on a common attribute (the query language has no OR, and a client may have five), one on block
headers as a heartbeat. Whatever ends the connection, or keeps it silent, leads to a new one and to a wake-up, because
events may have been missed meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.address_keys import keys_in_path
from sync_pipelines.systems.cometbft.errors import classify_rpc_error, failure

EVENTS, HEARTBEAT, STATUS = "events", "heartbeat", "status"
MAX_FRAME = 64 * 1024 * 1024
_OPERATION = "websocket"


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Look now.

    Attributes:
        height: newest height heard of.
        reason: ``event`` for a marketplace transaction, ``connected`` after every new connection.
    """

    height: int
    reason: Literal["event", "connected"]


async def wake_ups(
    url: str,
    event_type: str,
    *,
    silence: float = 60.0,
    first_pause: float = 1.0,
    longest_pause: float = 60.0,
) -> AsyncGenerator[WakeUp, None]:
    """Yield a hint for every marketplace transaction and every new connection, for ever.

    Arguments:
        url: base URL of the RPC (``http``, ``https``); the websocket is ``<url>/websocket``.
        event_type: ABCI type of the marketplace's events.
        silence: seconds without any frame after which the connection is given up; longer than a block takes.
        first_pause, longest_pause: seconds before a new connection; doubled while none works.

    Raises:
        PeerError: permanent when the node refuses the subscription itself, or the URL cannot be used.
    """
    pause = first_pause
    while True:
        try:
            async with (
                connect(_socket_url(url), max_size=MAX_FRAME, open_timeout=silence) as socket,
                aclosing(_listen(socket, event_type, silence, Redactor(keys_in_path(url)))) as heard,
            ):
                async for wake_up in heard:
                    pause = first_pause
                    yield wake_up
        except InvalidURI as problem:
            raise failure(FailureKind.PERMANENT, f"unusable URL: {problem.msg}", operation=_OPERATION) from None
        except PeerError as problem:
            if problem.kind is not FailureKind.TRANSIENT:
                raise
        except (OSError, TimeoutError, WebSocketException, InvalidHandshake):
            # Closed, refused, silent: all are answered by the next connection and its wake-up.
            pass
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest_pause)


async def _listen(
    socket: ClientConnection, event_type: str, silence: float, redactor: Redactor
) -> AsyncGenerator[WakeUp, None]:
    await _send(socket, EVENTS, "subscribe", query=f"tm.event='Tx' AND {event_type}.event_id EXISTS")
    await _send(socket, HEARTBEAT, "subscribe", query="tm.event='NewBlockHeader'")
    # A subscription begins at no particular height: what the node has now is read after it was acknowledged.
    await _send(socket, STATUS, "status")
    while True:
        frame = await _receive(socket, silence)
        if isinstance(frame.get("error"), dict):
            raise classify_rpc_error(frame["error"], f"{_OPERATION} {frame.get('id')}", redactor=redactor)
        if frame.get("id") == STATUS:
            yield WakeUp(_height(frame, "result", "sync_info", "latest_block_height"), "connected")
        # The empty result is the acknowledgement of the subscription.
        elif frame.get("id") == EVENTS and frame.get("result"):
            yield WakeUp(_height(frame, "result", "data", "value", "TxResult", "height"), "event")


async def _send(socket: ClientConnection, call_id: str, method: str, **params: str) -> None:
    await socket.send(json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}))


async def _receive(socket: ClientConnection, silence: float) -> dict[str, Any]:
    async with asyncio.timeout(silence):
        text = await socket.recv()
    try:
        frame = json.loads(text)
    except ValueError:
        raise failure(FailureKind.TRANSIENT, "a frame is not JSON", operation=_OPERATION) from None
    return frame if isinstance(frame, dict) else {}


def _height(frame: dict[str, Any], *path: str) -> int:
    value: Any = frame
    try:
        for name in path:
            value = value[name]
        return int(value)
    except (KeyError, TypeError, ValueError):
        raise failure(FailureKind.TRANSIENT, f"a frame has no {'.'.join(path)}", operation=_OPERATION) from None


def _socket_url(url: str) -> str:
    scheme, separator, rest = url.rstrip("/").partition("://")
    schemes = {"http": "ws", "https": "wss"}
    return f"{schemes.get(scheme, scheme)}{separator}{rest}/websocket"
