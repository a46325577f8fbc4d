"""A pipeline between two sides in memory, with everything that a pipeline may say about itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from dagster import (
    AssetCheckSeverity,
    AssetSelection,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    MetadataValue,
    define_asset_job,
    in_process_executor,
)
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import ConfigurationError, FailureKind, PeerError
from sync_pipelines.engine.ports import Pair
from sync_pipelines.orchestration.assets import reconcile_assets
from sync_pipelines.orchestration.resources import RunOptions
from sync_pipelines.orchestration.spec import Derived, Metadata, Probe, ProbeResult, ReconcilePipeline, Scoped
from sync_pipelines.store.scopes import Scope
from sync_pipelines_tests.engine.worlds import World


@dataclass
class OpenWorld:
    """An open pair that keeps what it read."""

    pair: Pair
    forgotten: int = 0
    peer_seconds: Mapping[str, float] = field(default_factory=lambda: {"source": 0.0, "target": 0.0})
    peer_requests: Mapping[str, int] = field(default_factory=lambda: {"source": 0, "target": 0})

    async def forget_cached(self) -> None:
        """Count how often that was asked for."""
        self.forgotten += 1


async def _select(opened: OpenWorld, keys: Sequence[str]) -> list[str]:
    selected: list[str] = []
    for key in keys:
        kind, _, name = key.rpartition(":")
        if kind not in ("", "name", "none"):
            raise ConfigurationError(f"{key!r}: there is no {kind}; use name:NAME or a natural key")
        selected += [f"nk-{name}", f"nk-{name}"] if kind == "name" else [key] if not kind else []
    return selected


def _describe(engine: Engine, scope: Scope, opened: OpenWorld) -> Metadata:
    query = "SELECT count(*) FROM sync.record WHERE scope_id = :id AND side = 'left'"
    with engine.connect() as connection:
        count = connection.execute(text(query), {"id": scope.id}).scalar_one()
    return {"matched": count, "table": MetadataValue.md("| name |\n|---|")}


async def _full(opened: OpenWorld, engine: Engine, scope: Scope) -> ProbeResult:
    with engine.connect() as connection:
        linked = connection.execute(text("SELECT count(*) FROM sync.base")).scalar_one()
    return ProbeResult(linked > 1, f"{linked} linked", AssetCheckSeverity.ERROR, {"linked": linked})


async def _silent(opened: OpenWorld, engine: Engine, scope: Scope) -> None:
    return None


async def _failing(opened: OpenWorld, engine: Engine, scope: Scope) -> ProbeResult:
    raise PeerError("target", FailureKind.TRANSIENT, "no reply")


def pipeline_of(world: World, opened: OpenWorld | None = None, **changes: Any) -> ReconcilePipeline:
    """Describe the pipeline of a world."""

    @asynccontextmanager
    async def open_world(name: str, engine: Engine) -> AsyncIterator[OpenWorld]:
        yield opened or OpenWorld(world.pair)

    about: dict[str, Any] = {
        "scopes": [Scoped("one", 300)],
        "select": _select,
        "derived": [Derived("matches", "What matched.", _describe, frozenset({"table"}))],
        "probes": [
            Probe("well_linked", "applied", "More than one is linked.", _full),
            Probe("unasked", "matches", "Nobody can tell.", _silent),
            Probe("answering", "target_snapshot", "The target answers.", _failing),
        ],
        "numbers": lambda opened: {"forgotten": opened.forgotten},
    }
    return ReconcilePipeline(name="worlds", left="source", right="target", open=open_world, **(about | changes))


def defined(world: World, pipeline: ReconcilePipeline) -> Definitions:
    """Return the definitions of a pipeline and its job."""
    job = define_asset_job(pipeline.job_name, AssetSelection.assets(*pipeline.made).without_checks())
    return Definitions(
        assets=reconcile_assets(pipeline),
        jobs=[job],
        resources={"store": world.engine, "options": RunOptions()},
        executor=in_process_executor,
    )


def run(
    world: World, instance: DagsterInstance, options: Mapping[str, Any] | None = None, **about: Any
) -> ExecuteInProcessResult:
    """Reconcile the world as a run of its job."""
    pipeline = pipeline_of(world, **about)
    return (
        defined(world, pipeline)
        .resolve_job_def(pipeline.job_name)
        .execute_in_process(
            instance=instance,
            partition_key="one",
            run_config={"resources": {"options": {"config": dict(options or {})}}},
            raise_on_error=False,
        )
    )
