"""The section ``ledger`` of the connections file, with the variables that the guide knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.registry import SECTIONS
from sync_pipelines.settings import load_section

CANISTER = "ggi4a-wyaaa-aaaai-actqq-cai"
OTHER = "gplx4-aqaaa-aaaai-actra-cai"
USUAL: dict[str, Any] = {"name": "dc", "canister_id": CANISTER}

Load = Callable[..., tuple[LedgerConnection, ...]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the section of a file with these connections."""

    def load(*rows: Mapping[str, Any], environment: Mapping[str, str] = {}) -> tuple[LedgerConnection, ...]:
        file = tmp_path / "connections.yaml"
        file.write_text(yaml.safe_dump({"ledger": list(rows)}))
        return load_section(
            "ledger", LedgerConnection, known=SECTIONS, environment={**environment, "SYNC_CONNECTIONS_FILE": str(file)}
        )

    return load


def test_a_canister_is_all_that_has_to_be_said(load: Load) -> None:
    (connection,) = load(USUAL)

    assert (connection.address, connection.source) == ("https://icp-api.io", "decent_cloud")
    assert (connection.interval, connection.max_retries, connection.first_day) == (600, 3, date(2023, 12, 31))
    assert (connection.live, connection.verify_queries, connection.verify_certificates) == (False, False, False)


def test_the_variables_of_the_guide_stand_in_for_what_the_file_leaves_out(load: Load) -> None:
    environment = {
        "CANISTER_ID": CANISTER,
        "ENVIRONMENT": "development",
        "FLUSH_INTERVAL_SECONDS": "5",
        "MAX_RETRY_ATTEMPTS": "7",
    }
    (connection,) = load({"name": "dc"}, environment=environment)
    assert (connection.canister_id, connection.address) == (CANISTER, "http://localhost:4943")
    assert (connection.poll_seconds, connection.max_retries) == (5, 7)

    (own,) = load(
        {"name": "dc", "canister_id": OTHER, "environment": "production", "poll_seconds": 60}, environment=environment
    )
    assert (own.canister_id, own.address, own.poll_seconds) == (OTHER, "https://icp-api.io", 60)


@pytest.mark.parametrize(
    ("changes", "environment", "told"),
    [
        ({"canister_id": "ggi4a-wyaaa-aaaai-actqq-caj"}, {}, "dc).canister_id: 'ggi4a-wyaaa-aaaai-actqq-caj' is not"),
        ({"batchsize": 5}, {}, "dc).batchsize: unknown key; remove it or correct its spelling"),
        ({"batch_size": 0}, {}, "dc).batch_size: "),
        ({"interval": 420}, {}, "dc).interval: must be minutes that divide an hour"),
        ({"first_day": "yesterday"}, {}, "dc).first_day: "),
        ({"verify_certificates": True}, {}, "verify_certificates needs source: icrc3"),
        ({"url": "icp-api.io"}, {}, "dc).url: 'icp-api.io' is not an http(s) URL"),
        ({}, {"ENVIRONMENT": "staging"}, "(from the environment variable ENVIRONMENT)"),
        ({}, {"MAX_RETRY_ATTEMPTS": "many"}, "(from the environment variable MAX_RETRY_ATTEMPTS)"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    load: Load, changes: Mapping[str, Any], environment: Mapping[str, str], told: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load({**USUAL, **changes}, environment=environment)
    assert told in str(refused.value)


def test_a_missing_canister_names_the_variable_that_would_do(load: Load) -> None:
    with pytest.raises(ConfigurationError, match=r"dc\).canister_id: is missing; add it or set CANISTER_ID"):
        load({"name": "dc"})


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"name": "again", "canister_id": CANISTER}, "dc and again name the same canister"),
        ({"name": "d-c", "canister_id": OTHER}, None),
        ({"name": "eu", "canister_id": OTHER, "limits": {"requests_per_second": 5}}, "with different limits"),
    ],
)
def test_connections_that_get_in_each_others_way_are_refused(
    load: Load, second: Mapping[str, Any], told: str | None
) -> None:
    if told is None:
        assert len(load(USUAL, second)) == 2
        with pytest.raises(ConfigurationError, match="are the same name in Dagster"):
            load({**USUAL, "name": "d_c"}, second)
        return
    with pytest.raises(ConfigurationError, match=told):
        load(USUAL, second)
