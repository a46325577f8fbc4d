"""Dagster resources: the store's database, and what a run was asked to do."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from dagster import ConfigurableResource
from pydantic import Field
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.store.database import connect_engine, resolve_database_url
from sync_pipelines.store.migrations import migrate


@lru_cache(maxsize=1)
def store_engine() -> Engine:
    """Return this process's engine on the store; the schema is brought up to date the first time."""
    engine = connect_engine(resolve_database_url().sync_url)
    migrate(engine)
    return engine


class SyncStore(ConfigurableResource[Engine]):
    """The store's database: ``SYNC_DATABASE_URL``, or the embedded server."""

    def create_resource(self, context: object) -> Engine:
        """Return the engine, shared by all steps of a process."""
        return store_engine()


class Mode(StrEnum):
    """Whether a run changes anything. Run config is written with the members' names, hence their lower case."""

    plan = "plan"
    apply = "apply"


class RunOptions(ConfigurableResource):  # type: ignore[type-arg]  # it is its own value
    """What a reconcile run is asked to do; shown in the Launchpad."""

    mode: Mode = Field(default=Mode.apply, description="plan: write the plan and change nothing. apply: carry it out.")
    # Under another name in Python: Dagster copies the model by dict(), which takes "keys" for a mapping's method.
    chosen: list[str] = Field(
        default_factory=list, alias="keys", description="Reconcile only what these select; empty: everything."
    )
    approve: str = Field(
        default="", description="Hash of a held plan (at least 6 digits): let that one plan through, once."
    )
    force_full: bool = Field(
        default=False, description="Compare field by field, whatever was agreed before, and repair every difference."
    )

    @property
    def selected(self) -> list[str] | None:
        """Keys of a selective run, ``None`` for all."""
        return list(self.chosen) or None

    def refuse_contradictions(self) -> None:
        """Raise ``ConfigurationError`` when the options cannot be meant together."""
        if self.approve and self.mode is Mode.plan:
            raise ConfigurationError(
                "options.approve and options.mode: plan exclude each other: an approval is there to apply. "
                "Remove one of the two and launch again"
            )
        if self.approve and self.chosen:
            raise ConfigurationError(
                "options.approve and options.keys exclude each other: a plan is let through whole. "
                "Remove one of the two and launch again"
            )
