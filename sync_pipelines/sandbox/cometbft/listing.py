"""The answer to a subspace query as rows, so that a fault can rewrite it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from sync_pipelines.sandbox.cometbft.store import encode_pairs
from sync_pipelines.sandbox.exchange import Answer
from sync_pipelines.sandbox.rewriting import set_member


class StorePairs:
    """Pairs of a store in a JSON-RPC answer: ``result.response.value``, protobuf in base64. A row is (key, value)."""

    def rows(self, answer: Answer) -> list[Any] | None:
        """Return the pairs, ``None`` for answers to other calls."""
        document = _document(answer)
        value = None if document is None else document["result"]["response"].get("value")
        # A single value is JSON and begins with a brace; pairs begin with the tag of field 1.
        content = base64.b64decode(value or "")
        return list(_pairs(content)) if content.startswith(b"\x0a") else None

    def total(self, answer: Answer) -> int | None:
        """Return None: the node does not say how many pairs there are."""
        return None

    def rebuilt(self, answer: Answer, rows: Sequence[Any], total: int | None) -> Answer:
        """Return the answer with other pairs."""
        document = _document(answer)
        assert document is not None
        document["result"]["response"]["value"] = base64.b64encode(encode_pairs(iter(rows))).decode()
        return answer.with_body(json.dumps(document).encode())

    def with_field(self, row: Any, name: str, value: Any) -> Any:
        """Return the pair with a member of its JSON value set or left out."""
        key, document = row
        return key, json.dumps(set_member(json.loads(document), name, value)).encode()


def _document(answer: Answer) -> dict[str, Any] | None:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return None
    match document:
        case {"result": {"response": {"key": _}}}:
            found: dict[str, Any] = document
            return found
    return None


def _pairs(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    for inner in _parts(content):
        key, value, *_ = (*_parts(inner), b"", b"")
        yield key, value


def _parts(content: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(content):
        length, position = _varint(content, position + 1)
        yield content[position : position + length]
        position += length


def _varint(content: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position
