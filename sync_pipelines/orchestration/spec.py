"""What a pipeline says about itself so that the builders can make its assets, checks, sensors and schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from dagster import AssetKey, StaticPartitionsDefinition
from sqlalchemy import Engine

from sync_pipelines.engine.ports import Pair

SCOPE_TAG = "sync/scope"
"""Run tag with the scope a run works on; the run queue lets one run a value through at a time."""


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


@dataclass(frozen=True)
class Scoped:
    """One connection of a pipeline, as the builders see it.

    Attributes:
        name: partition key.
        interval: seconds between full reconciles.
    """

    name: str
    interval: int


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
    """

    name: str
    left: str
    right: str
    scopes: Sequence[Scoped]
    open: Callable[[str, Engine], AbstractAsyncContextManager[OpenPair]]
    owners: Sequence[str] = ("team:platform",)
    columns: Mapping[str, str] = field(default_factory=dict)

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
