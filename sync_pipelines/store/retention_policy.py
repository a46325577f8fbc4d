"""How long history is kept: one environment variable for each kind of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.settings import Strict
from sync_pipelines.store.home import home_folder

_MOST_DAYS = 36_500


class RetentionPolicy(Strict):
    """Days that each kind of history is kept at least; 0 keeps it for ever.

    Attributes:
        archive_folder: where the audit log is exported to before it is pruned.
    """

    snapshots: int = Field(default=90, ge=0, le=_MOST_DAYS, alias="SYNC_KEEP_SNAPSHOTS_DAYS")
    plans: int = Field(default=90, ge=0, le=_MOST_DAYS, alias="SYNC_KEEP_PLANS_DAYS")
    effects: int = Field(default=90, ge=0, le=_MOST_DAYS, alias="SYNC_KEEP_EFFECTS_DAYS")
    audit: int = Field(default=400, ge=0, le=_MOST_DAYS, alias="SYNC_KEEP_AUDIT_DAYS")
    runs: int = Field(default=90, ge=0, le=_MOST_DAYS, alias="SYNC_KEEP_RUNS_DAYS")
    archive_folder: Path = Field(alias="SYNC_AUDIT_ARCHIVE")


VARIABLES: tuple[str, ...] = tuple(str(field.alias) for field in RetentionPolicy.model_fields.values())
"""Every variable of the policy."""


def load_retention_policy(environment: Mapping[str, str] = os.environ) -> RetentionPolicy:
    """Read the policy. A variable that is set but empty is as one that is not set.

    Raises:
        ConfigurationError: a number of days cannot be meant.
    """
    given = {name: value for name in VARIABLES if (value := environment.get(name, "").strip())}
    folder = Path(given.get("SYNC_AUDIT_ARCHIVE") or home_folder(environment) / "audit").expanduser().absolute()
    try:
        return RetentionPolicy.model_validate({**given, "SYNC_AUDIT_ARCHIVE": folder})
    except ValidationError as errors:
        wrong = str(errors.errors()[0]["loc"][0])
        raise ConfigurationError(
            f"{wrong}={given[wrong]}: must be a whole number of days from 0 (keep for ever) to {_MOST_DAYS}"
        ) from None
