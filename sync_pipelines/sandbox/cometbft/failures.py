"""Errors of the RPC, with the codes and texts of a real node."""

from __future__ import annotations

from typing import Any


class RpcFailure(Exception):
    """A JSON-RPC error object: code, message and the useful text in ``data``."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(data or message)
        self.body: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            self.body["data"] = data


def internal(data: str) -> RpcFailure:
    """The call was understood and failed."""
    return RpcFailure(-32603, "Internal error", data)


def invalid_params(data: str) -> RpcFailure:
    """An argument could not be decoded."""
    return RpcFailure(-32602, "Invalid params", data)


def invalid_request(data: str) -> RpcFailure:
    """The request as a whole is refused."""
    return RpcFailure(-32600, "Invalid Request", data)


def unknown_method() -> RpcFailure:
    """No such method (or a websocket method over plain HTTP)."""
    return RpcFailure(-32601, "Method not found")


def parse_error(data: str) -> RpcFailure:
    """The body is not JSON."""
    return RpcFailure(-32700, "Parse error. Invalid JSON", data)
