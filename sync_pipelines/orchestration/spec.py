"""What a pipeline says about itself so that the builders can make its assets, checks, sensors and schedules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from dagster import AssetCheckSeverity, AssetKey, StaticPartitionsDefinition
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.engine.ports import Pair
from sync_pipelines.store.scopes import Scope

Metadata = dict[str, Any]
"""What an event of an asset says: numbers plot over time, texts read well in the UI."""

SCOPE_TAG = "sync/scope"
"""Run tag with the scope a run works on; the run queue lets one run a value through at a time."""

SHORTEST_INTERVAL = 60
"""Seconds; what looks more often does not look, it listens."""


class Named(Protocol):
    """A pipeline as far as only its name matters."""

    @property
    def name(self) -> str:
        """Of the pipeline, e.g. ``"offerings"``."""
        ...


class OpenPair(Protocol):
    """A pair whose peers can be talked to."""

    @property
    def pair(self) -> Pair:
        """The two sides and the policies between them."""
        ...

    @property
    def peer_seconds(self) -> Mapping[str, float]:
        """Seconds spent waiting for each peer."""
        ...

    @property
    def peer_requests(self) -> Mapping[str, int]:
        """Requests sent to each peer."""
        ...


@runtime_checkable
class Caching(Protocol):
    """What an open pair may be besides: one that keeps what it read for the next runs."""

    async def forget_cached(self) -> None:
        """Forget what was kept; called by a forced run before anything is read."""
        ...


@dataclass(frozen=True)
class Scoped:
    """One connection of a pipeline, as the builders see it.

    Attributes:
        name: partition key.
        interval: seconds between full reconciles, at least 60; 0 for none but those that something else starts.
        on_start: whether it is reconciled whenever Dagster's daemon starts.

    Raises:
        ConfigurationError: the interval is too short.
    """

    name: str
    interval: int
    on_start: bool = False

    def __post_init__(self) -> None:
        if self.interval and self.interval < SHORTEST_INTERVAL:
            raise ConfigurationError(
                f"connection {self.name}: interval {self.interval} s is too short; "
                f"use at least {SHORTEST_INTERVAL} s, or 0 for no schedule"
            )


@dataclass(frozen=True)
class Derived:
    """An asset between the left snapshot and the plan: what was made of the snapshot on the way.

    Attributes:
        name: of the asset, after the pipeline's.
        describe: ``(engine, scope, opened) -> metadata``, called in a thread after a full pass over the left side:
            numbers that plot, at best with one markdown table.
    """

    name: str
    description: str
    describe: Callable[[Engine, Scope, Any], Metadata]
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ProbeResult:
    """Answer of a probe.

    Attributes:
        severity: of an answer that is not ``passed``.
    """

    passed: bool
    description: str = ""
    severity: AssetCheckSeverity = AssetCheckSeverity.WARN
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """A check of the pipeline's own. It blocks nothing.

    Attributes:
        name: of the check.
        asset: name of the asset it is on, after the pipeline's: ``"applied"``.
        judge: ``(opened, engine, scope) -> result``, called when the plan was applied, or is not going to be. ``None``:
            this run cannot tell. A peer that fails meanwhile is a warning.
    """

    name: str
    asset: str
    description: str
    judge: Callable[[Any, Engine, Scope], Awaitable[ProbeResult | None]]


def _no_numbers(opened: OpenPair) -> Mapping[str, int | float]:
    return {}


@dataclass(frozen=True)
class ReconcilePipeline:
    """A reconciled pair of systems.

    Attributes:
        name: pipeline and asset group, e.g. ``"offerings"``.
        left, right: names of the two systems, for asset keys, pools and texts.
        scopes: the connections.
        open: opens a connection by its name.
        owners: owners of the assets.
        columns: mapped fields and what they mean, for the column schema.
        select: ``(opened, keys) -> natural keys``: what people may give as ``keys`` beside natural keys, which it has
            to let through as they are; called before anything is read. Raises ``ConfigurationError`` for what it does
            not know.
        derived: assets between the left snapshot and the plan.
        probes: checks of its own.
        numbers: ``opened -> numbers`` that plot on ``applied``, beside those that every pipeline has.
    """

    name: str
    left: str
    right: str
    scopes: Sequence[Scoped]
    open: Callable[[str, Engine], AbstractAsyncContextManager[OpenPair]]
    owners: Sequence[str] = ("team:platform",)
    columns: Mapping[str, str] = field(default_factory=dict)
    select: Callable[[Any, Sequence[str]], Awaitable[Sequence[str]]] | None = None
    derived: Sequence[Derived] = ()
    probes: Sequence[Probe] = ()
    numbers: Callable[[Any], Mapping[str, int | float]] = _no_numbers

    @property
    def partitions(self) -> StaticPartitionsDefinition:
        """One partition a connection."""
        return StaticPartitionsDefinition([scope.name for scope in self.scopes])

    @property
    def job_name(self) -> str:
        """Name of the job that reconciles one connection."""
        return f"{self.name}_reconcile"

    def asset(self, name: str) -> AssetKey:
        """Key of one of the pipeline's own assets."""
        return AssetKey([self.name, name])

    @property
    def made(self) -> list[AssetKey]:
        """Keys of the assets that a reconcile makes, in the order of their lineage: what its job selects."""
        names = [f"{self.left}_snapshot", *(derived.name for derived in self.derived), f"{self.right}_snapshot"]
        return [self.asset(name) for name in (*names, "plan", "applied")]

    @property
    def source(self) -> AssetKey:
        """The left system itself, outside of Dagster."""
        return AssetKey([self.left, f"{self.left}_{self.name}"])

    @property
    def target(self) -> AssetKey:
        """The right system itself, outside of Dagster."""
        return AssetKey([self.right, f"{self.right}_{self.name}"])

    def tag(self, scope: str) -> str:
        """Value of :data:`SCOPE_TAG` for a connection."""
        return f"{self.name}/{scope}"
