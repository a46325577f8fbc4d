"""The node's websocket: subscriptions by query, and every other method as well.

All frames of a subscription re-use the id of the ``subscribe`` call. Nothing is ever replayed. The socket can be made
silent (open, but nothing arrives), dropped without a close frame, or told that the node stops.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from sync_pipelines.sandbox.cometbft import query
from sync_pipelines.sandbox.cometbft.blocks import Block
from sync_pipelines.sandbox.cometbft.failures import RpcFailure, internal, parse_error
from sync_pipelines.sandbox.cometbft.rpc import NO_ID, answer_call, envelope
from sync_pipelines.sandbox.cometbft.stream import publications
from sync_pipelines.sandbox.cometbft.world import ChainWorld
from sync_pipelines.sandbox.server import transport_of

MAX_CLIENTS = 100
MAX_PER_CLIENT = 5
BUFFER = 200
OVERFLOW = "internal subscription event buffer is out of capacity"


@dataclass(eq=False)
class _Connection:
    loop: asyncio.AbstractEventLoop
    outgoing: asyncio.Queue[dict[str, Any]] = field(default_factory=lambda: asyncio.Queue(2 * BUFFER))
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    subscriptions: dict[str, tuple[object, tuple[query.Condition, ...]]] = field(default_factory=dict)
    dropping: asyncio.Task[None] | None = None

    def drop(self) -> None:
        """End the connection once everything queued is sent."""
        self.dropping = self.loop.create_task(self._drop())

    async def _drop(self) -> None:
        await self.outgoing.join()
        self.dropped.set()


class EventSockets:
    """All open websockets of a node."""

    def __init__(self, world: ChainWorld) -> None:
        self.silent = False
        self.max_clients = MAX_CLIENTS
        self._world = world
        self._lock = threading.Lock()
        self._connections: list[_Connection] = []
        world.listen(self._publish)

    @property
    def subscriptions(self) -> list[str]:
        """Queries subscribed to at present, over all sockets."""
        with self._lock:
            return [text for connection in self._connections for text in connection.subscriptions]

    def drop(self) -> None:
        """Cut every connection without a close frame, as after a missed write deadline."""
        for connection in self._snapshot():
            connection.loop.call_soon_threadsafe(connection.drop)

    def stop_node(self) -> None:
        """Tell every subscription that the node exits, then cut the connections."""
        self.cancel("CometBFT exited")
        self.drop()

    def cancel(self, reason: str = OVERFLOW) -> None:
        """End every subscription with an error frame; the connections stay open and silent."""
        for connection in self._snapshot():
            connection.loop.call_soon_threadsafe(self._cancel, connection, reason)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection until it ends."""
        await websocket.accept()
        connection = _Connection(asyncio.get_running_loop())
        with self._lock:
            self._connections.append(connection)
        tasks = [
            asyncio.create_task(self._read(websocket, connection)),
            asyncio.create_task(self._write(websocket, connection)),
            asyncio.create_task(connection.dropped.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if connection.dropped.is_set():
                transport_of(websocket.scope).abort()
        finally:
            with self._lock:
                self._connections.remove(connection)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, websocket: WebSocket, connection: _Connection) -> None:
        try:
            while True:
                await connection.outgoing.put(self._answer(await websocket.receive_text(), connection))
        except WebSocketDisconnect:
            return

    async def _write(self, websocket: WebSocket, connection: _Connection) -> None:
        while True:
            frame = await connection.outgoing.get()
            await websocket.send_text(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))
            connection.outgoing.task_done()

    def _answer(self, text: str, connection: _Connection) -> dict[str, Any]:
        try:
            call = json.loads(text)
        except ValueError:
            return envelope(NO_ID, parse_error("error unmarshaling request: unexpected end of JSON input"))
        if not isinstance(call, dict):
            return envelope(NO_ID, parse_error("error unmarshaling request: json: cannot unmarshal"))
        try:
            match call.get("method"):
                case "subscribe":
                    self._subscribe(call, connection)
                case "unsubscribe":
                    _unsubscribe(_query_of(call), connection)
                case "unsubscribe_all":
                    if not connection.subscriptions:
                        raise internal("subscription not found")
                    connection.subscriptions.clear()
                case _:
                    return answer_call(self._world, call)
        except RpcFailure as failure:
            return envelope(call.get("id"), failure)
        return envelope(call.get("id"), {})

    def _subscribe(self, call: Mapping[str, Any], connection: _Connection) -> None:
        text = _query_of(call)
        with self._lock:
            clients = sum(1 for other in self._connections if other.subscriptions)
        if not connection.subscriptions and clients >= self.max_clients:
            raise internal(f"max_subscription_clients {self.max_clients} reached")
        if len(connection.subscriptions) >= MAX_PER_CLIENT:
            raise internal(f"max_subscriptions_per_client {MAX_PER_CLIENT} reached")
        if len(text) > query.MAX_LENGTH:
            raise internal("maximum query length exceeded")
        try:
            conditions = query.parse(text)
        except query.QueryError as problem:
            raise internal(f"failed to parse query: {problem}") from None
        if text in connection.subscriptions:
            raise internal("already subscribed")
        connection.subscriptions[text] = (call.get("id"), conditions)

    def _publish(self, block: Block) -> None:
        if self.silent:
            return
        frames = publications(self._world, block)
        for connection in self._snapshot():
            connection.loop.call_soon_threadsafe(self._deliver, connection, frames)

    def _deliver(self, connection: _Connection, frames: list[tuple[dict[str, Any], dict[str, list[str]]]]) -> None:
        for data, values in frames:
            for text, (call_id, conditions) in list(connection.subscriptions.items()):
                if not query.matches_flat(conditions, values):
                    continue
                if connection.outgoing.qsize() >= BUFFER:
                    self._cancel(connection, OVERFLOW)
                    return
                connection.outgoing.put_nowait(envelope(call_id, {"query": text, "data": data, "events": values}))

    def _cancel(self, connection: _Connection, reason: str) -> None:
        for call_id, _ in connection.subscriptions.values():
            failure = RpcFailure(-32000, "Server error", f"subscription was canceled (reason: {reason})")
            connection.outgoing.put_nowait(envelope(call_id, failure))
        connection.subscriptions.clear()

    def _snapshot(self) -> list[_Connection]:
        with self._lock:
            return list(self._connections)


def _query_of(call: Mapping[str, Any]) -> str:
    given = call.get("params") or {}
    text = given[0] if isinstance(given, list) and given else given.get("query", "") if isinstance(given, dict) else ""
    return str(text)


def _unsubscribe(text: str, connection: _Connection) -> None:
    if connection.subscriptions.pop(text, None) is None:
        raise internal("subscription not found")
