"""Decoding of arguments: from a GET's query string and from JSON, each with its own spelling rules.

By GET a string stands in double quotes, an integer bare or quoted, bytes as 0x-hex or quoted text. By JSON every
integer is a string, a hex argument has no prefix, a hash is base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from sync_pipelines.sandbox.cometbft.failures import RpcFailure, invalid_params

Kinds = Mapping[str, str]
"""Parameter name -> one of ``int``, ``string``, ``bool``, ``hex`` (bytes, hex in JSON), ``bytes`` (base64 in JSON)."""

_INTEGER = re.compile(r"-?\d+")
_LITERALS = {"t": "true", "f": "false", "n": "null"}


def from_query(kinds: Kinds, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a GET; absent and empty ones are left out. Raises :class:`RpcFailure`."""
    return {name: _from_text(kind, query[name]) for name, kind in kinds.items() if query.get(name)}


def from_json(kinds: Kinds, params: object) -> dict[str, Any]:
    """Return the arguments of a JSON call, by name or by position. Raises :class:`RpcFailure`."""
    if params is None:
        return {}
    if isinstance(params, list):
        if len(params) > len(kinds):
            raise invalid_params(f"error converting json params to arguments: expected {len(kinds)} parameters")
        params = dict(zip(kinds, params, strict=False))
    if not isinstance(params, dict):
        raise invalid_params("error converting json params to arguments: unknown type for JSON params")
    return {name: _from_value(kind, params[name]) for name, kind in kinds.items() if params.get(name) is not None}


def _from_text(kind: str, text: str) -> Any:
    if text.lower().startswith("0x"):
        if kind not in ("string", "hex", "bytes"):
            raise _http(f"got a hex string arg, but expected '{kind}'")
        content = _unhex(text[2:], _http)
        return content.decode("utf-8", "replace") if kind == "string" else content
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    match kind:
        case "int":
            digits = text[1:-1] if quoted else text
            if not _INTEGER.fullmatch(digits):
                raise _http(f'invalid 64-bit integer encoding "{text}", expected string')
            return int(digits)
        case "bool":
            if text not in ("true", "false"):
                raise _http(_go_json_error(text))
            return text == "true"
        case _:
            if not quoted:
                raise _http(_go_json_error(text))
            inner = text[1:-1].replace('\\"', '"')
            return inner if kind == "string" else inner.encode()


def _from_value(kind: str, value: Any) -> Any:
    match kind, value:
        case "int", str() if _INTEGER.fullmatch(value):
            return int(value)
        case "int", _:
            raise _json(f'invalid 64-bit integer encoding "{json.dumps(value).strip(chr(34))}", expected string')
        case "hex", str():
            return _unhex(value, _json)
        case "bytes", str():
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                raise _json("illegal base64 data at input byte 0") from None
        case ("string", str()) | ("bool", bool()):
            return value
    names = {"string": "string", "bool": "bool", "hex": "string", "bytes": "[]uint8"}
    raise _json(f"json: cannot unmarshal {_go_kind(value)} into Go value of type {names[kind]}")


def _unhex(text: str, wrap: Any) -> bytes:
    for character in text:
        if character not in "0123456789abcdefABCDEF":
            raise wrap(f"encoding/hex: invalid byte: U+{ord(character):04X} '{character}'")
    if len(text) % 2:
        raise wrap("encoding/hex: odd length hex string")
    return bytes.fromhex(text)


def _go_json_error(text: str) -> str:
    """Return what Go's JSON reader says about a text that is not one JSON value of the wanted type."""
    word = _LITERALS.get(text[0])
    if word is None:
        return f"invalid character '{text[0]}' looking for beginning of value"
    for position, expected in enumerate(word):
        if position >= len(text):
            return "unexpected end of JSON input"
        if text[position] != expected:
            return f"invalid character '{text[position]}' in literal {word} (expecting '{expected}')"
    return f"invalid character '{text[len(word) : len(word) + 1]}' after top-level value"


def _go_kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _http(text: str) -> RpcFailure:
    return invalid_params(f"error converting http params to arguments: {text}")


def _json(text: str) -> RpcFailure:
    return invalid_params(f"error converting json params to arguments: {text}")
