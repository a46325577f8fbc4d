"""The service's settings: what is missing or cannot be meant is refused before anything starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.marketplaces import asset_keys
from sync_pipelines.service.settings import CYCLE_JOB, CYCLE_STEP, VARIABLES, Policy, load_service_settings
from sync_pipelines_tests.service.running import SECRET, environment

PAGE = Path(__file__).parents[2] / "docs" / "service.md"


def test_the_default_policy_wants_token_and_secret() -> None:
    scheduler = load_service_settings(environment()).scheduler
    assert scheduler is not None
    assert scheduler.policy is Policy.OIDC_AND_SECRET
    assert not scheduler.skip


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SCHEDULER_SECRET": ""}, "SCHEDULER_SECRET"),
        ({"SCHEDULER_AUDIENCE": ""}, "SCHEDULER_AUDIENCE"),
        ({"SCHEDULER_SERVICE_ACCOUNTS": " , "}, "SCHEDULER_SERVICE_ACCOUNTS"),
        ({"SCHEDULER_AUTH": "oidc", "SCHEDULER_AUDIENCE": ""}, "SCHEDULER_AUDIENCE"),
        ({"SCHEDULER_AUTH": "secret", "SCHEDULER_SECRET": ""}, "SCHEDULER_SECRET"),
        ({"SCHEDULER_AUTH": "none"}, "SCHEDULER_AUTH"),
        ({"SCHEDULER_SECRET": "short"}, "SCHEDULER_SECRET"),
        ({"SYNC_ADMIN_TOKEN": "short"}, "SYNC_ADMIN_TOKEN"),
        ({"SCHEDULER_LEEWAY_SECONDS": "61"}, "SCHEDULER_LEEWAY_SECONDS"),
        ({"SCHEDULER_LEEWAY_SECONDS": "-1"}, "SCHEDULER_LEEWAY_SECONDS"),
        ({"SCHEDULER_KEYS_URL": "http://keys.example.com"}, "SCHEDULER_KEYS_URL"),
        ({"SCHEDULER_KEYS_URL": "keys"}, "SCHEDULER_KEYS_URL"),
        ({"SKIP_SCHEDULER_AUTH": "yes"}, "SKIP_SCHEDULER_AUTH"),
        ({"SYNC_DAGSTER_URL": "dagster:3000"}, "SYNC_DAGSTER_URL"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name_and_no_secret_is_told(changes: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as refused:
        load_service_settings(environment(**changes))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("where", [None, "", "production", "staging", "Development"])
def test_skipping_the_authentication_is_refused_outside_of_development(where: str | None) -> None:
    given = environment(SKIP_SCHEDULER_AUTH="true", **({} if where is None else {"ENVIRONMENT": where}))
    with pytest.raises(ConfigurationError, match="SKIP_SCHEDULER_AUTH"):
        load_service_settings(given)


def test_settings_do_not_show_their_secrets() -> None:
    settings = load_service_settings(environment())
    assert SECRET not in repr(settings)
    assert "an-admin-token" not in repr(settings)


def test_every_variable_is_explained() -> None:
    explained = set(re.findall(r"`([A-Z_]+)`", PAGE.read_text(encoding="utf-8")))
    assert {variable.name for variable in VARIABLES} <= explained


def test_the_job_that_is_started_is_the_pipeline_s() -> None:
    assert (CYCLE_JOB, CYCLE_STEP) == (asset_keys.CYCLE_JOB, asset_keys.CYCLE_STEP)
