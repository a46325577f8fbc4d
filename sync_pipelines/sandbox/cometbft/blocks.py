"""Blocks, transactions and events of the stand-in chain, as values."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

OK_DATA = base64.b64encode(b"\x12\x2e\x0a\x2c/virtengine.market.v1.MsgUpdateOfferingResponse").decode()


@dataclass(frozen=True, slots=True)
class Attribute:
    """One key and value of an event; only attributes with ``index`` are found by ``tx_search``."""

    key: str
    value: str
    index: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """One ABCI event."""

    type: str
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def of(cls, event_type: str, /, **attributes: str) -> Event:
        """Build an event of indexed attributes, in the order given."""
        return cls(event_type, tuple(Attribute(key, value) for key, value in attributes.items()))


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction with its result. A failed one (``code`` not 0) has no data and only its fee events."""

    raw: bytes
    events: tuple[Event, ...] = ()
    code: int = 0
    data: str | None = OK_DATA
    log: str = ""
    gas_wanted: int = 300_000
    gas_used: int = 156_008
    codespace: str = ""

    @property
    def hash(self) -> str:
        """SHA-256 of the raw bytes, upper-case hex."""
        return hashlib.sha256(self.raw).hexdigest().upper()


@dataclass(frozen=True, slots=True)
class Block:
    """One committed block. ``time`` is aware UTC."""

    height: int
    time: datetime
    txs: tuple[Tx, ...] = ()
    events: tuple[Event, ...] = ()


def rfc3339(moment: datetime) -> str:
    """Return the time as Go prints it: UTC, nanoseconds, trailing zeros of the fraction dropped."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"


def digest(*parts: object) -> str:
    """Return an invented but stable 32-byte hash as upper-case hex."""
    return hashlib.sha256("|".join(str(part) for part in parts).encode()).hexdigest().upper()
