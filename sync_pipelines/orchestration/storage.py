"""Where Dagster keeps its own data, so that ``dagster dev`` in the project folder needs no environment at all.

``dagster.yaml`` names these classes. Runs, events and schedules go to the same PostgreSQL server as our records; run
logs and artifacts go under the project's home folder and not to ``DAGSTER_HOME``, because without that variable
``dagster dev`` makes a temporary one and removes it at the end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster import Field, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from sync_pipelines.store.database import DAGSTER_VARIABLE, resolve_database_url
from sync_pipelines.store.home import home_folder

BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster's variable for how many materializations of a step are written at once; it has no setting for it."""
BATCHED_EVENTS = "500"


class SyncStorage(DagsterPostgresStorage):
    """Dagster's storage on the server that :func:`sync_pipelines.store.database.resolve_database_url` finds.

    Configuration: ``postgres_url`` (text or ``env:``), only to put Dagster's data elsewhere. The environment is asked
    in every process anew, so no password is passed on between Dagster's processes.
    """

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {
            "postgres_url": Field(StringSource, is_required=False),
            "should_autocreate_tables": Field(bool, is_required=False, default_value=True),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        env = dict(os.environ)
        if config_value.get("postgres_url"):
            env[DAGSTER_VARIABLE] = config_value["postgres_url"]
        # A run over a range tells of every partition of every asset; one by one that would be some 50 a second.
        os.environ.setdefault(BATCH_VARIABLE, BATCHED_EVENTS)
        return cls(
            postgres_url=resolve_database_url(env).dagster_url,
            should_autocreate_tables=config_value["should_autocreate_tables"],
            inst_data=inst_data,
        )


class HomeArtifactStorage(LocalArtifactStorage):
    """Dagster's local files in ``dagster/`` of the home folder; ``base_dir`` names another place."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {"base_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        folder = Path(config_value.get("base_dir") or home_folder() / "dagster")
        folder.mkdir(parents=True, exist_ok=True)
        return cls(base_dir=str(folder), inst_data=inst_data)


class HomeComputeLogs(LocalComputeLogManager):
    """What the runs print, in ``dagster/logs/`` of the home folder; ``base_dir`` names another place."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {"base_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        folder = config_value.get("base_dir") or str(home_folder() / "dagster" / "logs")
        return cls(base_dir=folder, inst_data=inst_data)
