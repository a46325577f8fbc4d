"""What PostgreSQL keeps of a record: its canonical texts, its digests, and what stands in for what it cannot hold."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from sync_pipelines.core.canonical import canonical_bytes, digest
from sync_pipelines.core.records import Record

NO_DETAIL = b""
EMPTY = b"{}"
LONGEST_KEY = 1000
"""Bytes of a key or a natural key. An entry of an index takes 2704, and some hold both keys of a link."""
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_NUL = "the record contains a NUL character"
_HALF = "the record contains half of a surrogate pair"
_LONG = f"what identifies the record is longer than {LONGEST_KEY} bytes"


StoredRecord = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes | None, bytes | None]
"""A record as it is stored: key, natural key, fingerprint, detail, content, meta, withheld, invalid.

Texts are UTF-8, content and meta canonical JSON. The fingerprint is the digest of the content (16 bytes), the detail
that of everything else (8 bytes; none for a plain record, as most records of a source are). A plain tuple, because it
is made for every record of a pass.
"""


def stored(record: Record) -> StoredRecord:
    """Return what is kept of a record: of an invalid one in its place when PostgreSQL cannot hold what it says."""
    try:
        content = canonical_bytes(record.content)
        meta = canonical_bytes(record.meta) if record.meta else EMPTY
        key = record.key.encode()
        natural_key = key if record.natural_key == record.key else record.natural_key.encode()
    except UnicodeEncodeError:
        return _refused(record, _HALF)
    except ValueError as error:
        return _refused(record, str(error))
    if b"\0" in key or b"\0" in natural_key:
        return _refused(record, _NUL)
    if len(key) > LONGEST_KEY or len(natural_key) > LONGEST_KEY:
        return _refused(record, _LONG)
    if (why := _unstorable(content)) or (meta is not EMPTY and (why := _unstorable(meta))):
        return _refused(record, why)
    fingerprint = digest(content)
    if natural_key is key and meta is EMPTY and record.withheld is None and record.invalid is None:
        return key, key, fingerprint, NO_DETAIL, content, EMPTY, None, None
    withheld, invalid = _remark(record.withheld), _remark(record.invalid)
    detail = _detail(record.natural_key, meta, withheld, invalid)
    return key, natural_key, fingerprint, detail, content, meta, withheld, invalid


def storable(record: Record) -> Record:
    """Return the record, or an invalid one in its place when PostgreSQL cannot hold what it says.

    One broken record of a peer must not stop the others.
    """
    key, natural_key, _, _, _, _, withheld_bytes, invalid_bytes = stored(record)
    withheld, invalid = _text(withheld_bytes), _text(invalid_bytes)
    if invalid_bytes != _remark(record.invalid):
        return Record(key.decode(), natural_key.decode(), {}, withheld=withheld, invalid=invalid)
    if (withheld, invalid) != (record.withheld, record.invalid):
        return replace(record, withheld=withheld, invalid=invalid)
    return record


def storable_text(value: str) -> str:
    """Return a text without what PostgreSQL's ``text`` and ``jsonb`` cannot hold."""
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _refused(record: Record, why: str) -> StoredRecord:
    key, natural_key = _short(storable_text(record.key)), _short(storable_text(record.natural_key))
    withheld, invalid = _remark(record.withheld), why.encode()
    detail = _detail(natural_key, EMPTY, withheld, invalid)
    return key.encode(), natural_key.encode(), digest(EMPTY), detail, EMPTY, EMPTY, withheld, invalid


def _short(key: str) -> str:
    """Return a key that an index can hold, and that no other key becomes."""
    encoded = key.encode()
    if len(encoded) <= LONGEST_KEY:
        return key
    return f"{encoded[:100].decode('utf-8', 'ignore')}... {digest(encoded).hex()}"


def _detail(natural_key: str, meta: bytes, withheld: bytes | None, invalid: bytes | None) -> bytes:
    rest = canonical_bytes([natural_key, _text(withheld), _text(invalid)])
    hasher = hashlib.blake2b(rest, digest_size=8)
    hasher.update(meta)
    return hasher.digest()


def _remark(value: str | None) -> bytes | None:
    return None if value is None else storable_text(value).encode()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _unstorable(document: bytes) -> str | None:
    """PostgreSQL's text and jsonb hold neither NUL nor half a surrogate pair; both come from broken peers."""
    # An escaped backslash before "u0000" is harmless text about NUL. Most documents have no backslash at all.
    if 0x5C in document and _ESCAPED_NUL.search(document):
        return _NUL
    # The lead byte of every half pair, and of some Korean letters.
    if 0xED in document:
        try:
            document.decode()
        except UnicodeDecodeError:
            return _HALF
    return None
