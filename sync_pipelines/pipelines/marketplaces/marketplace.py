"""What a kind of marketplace consists of. A module that makes one of these, and a line in ``kinds``, add a kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core.marketplace_port import Adapter, CallLimit
from sync_pipelines.settings import Strict
from sync_pipelines.systems.throttle import Throttle
from sync_pipelines.systems.transport import READ_DELAY


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Opening:
    """What an adapter is opened with.

    Attributes:
        throttle: operation, as named in ``calls`` -> the limit that all runs share, for the operation's transport.
        clock: the time now, aware, UTC.
        read_delay: seconds before a read that failed is sent again.
    """

    throttle: Callable[[str], Throttle]
    clock: Callable[[], datetime] = field(default=_now)
    read_delay: float = READ_DELAY


class Access(Strict, ABC):
    """How an account is reached: address, identifiers and secrets, in the section of its marketplace."""

    @property
    @abstractmethod
    def server(self) -> str:
        """What the marketplace counts calls by, without secrets: connections that share it share the limits."""


@dataclass(frozen=True, slots=True)
class Marketplace:
    """A kind of marketplace.

    Attributes:
        kind: its name in the connections file, also that of the section with the access.
        title: its name for people.
        access: model of that section.
        calls: access -> limit of each operation, by name.
        open: opens an adapter for the time of a block; sends nothing.
        at_once: connections of this kind that are pulled at the same time.
    """

    kind: str
    title: str
    access: type[Access]
    calls: Callable[[Any], Mapping[str, CallLimit]]
    open: Callable[[Any, Opening], AbstractAsyncContextManager[Adapter]]
    at_once: int = 4
