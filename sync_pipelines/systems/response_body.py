"""Reading a response body whole, unpacked, and not larger than a limit."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import httpx


class BodyBroken(Exception):
    """The body does not unpack, or ends too early."""


class BodyTooLarge(Exception):
    """The body is larger than the limit."""


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """Return the unpacked body of a streamed response.

    gzip is unpacked here and not by httpx: httpx takes a gzip stream that stops half way for a complete one, and
    unpacks a chunk of any size before it can be measured.

    Arguments:
        response: a response opened with ``stream=True``.
        limit: largest unpacked size in bytes.

    Raises:
        BodyBroken: unknown or damaged encoding.
        BodyTooLarge: more than ``limit`` bytes.
        httpx.TransportError: the connection failed on the way.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return await _plain(response.aiter_raw(), limit)
    if encoding in ("gzip", "x-gzip"):
        return await _gunzip(response.aiter_raw(), limit)
    raise BodyBroken(f"unasked Content-Encoding {encoding!r}")


async def _plain(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(f"more than {limit} bytes")
    return bytes(body)


async def _gunzip(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    body = bytearray()
    empty = True
    async for chunk in chunks:
        empty = empty and not chunk
        try:
            body += unpacker.decompress(chunk, limit + 1 - len(body))
        except zlib.error as error:
            raise BodyBroken(f"gzip: {error}") from None
        if len(body) > limit:
            raise BodyTooLarge(f"more than {limit} bytes")
    # A HEAD answer names the encoding and has no body at all.
    if not empty and not unpacker.eof:
        raise BodyBroken("gzip stream ends too early")
    return bytes(body)
