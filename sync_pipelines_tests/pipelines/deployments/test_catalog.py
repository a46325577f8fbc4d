"""The catalog: from a file or a broker's answer, with mistakes named by their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.deployments.catalog import load_catalog, parse_catalog
from sync_pipelines_tests.pipelines.deployments.demo_data import catalog

REDIS: dict[str, Any] = {
    "id": "redis",
    "name": "redis",
    "plans": [{"id": "redis-small", "name": "small", "free": True}],
}


def test_the_demo_catalog_has_ten_plans_of_three_services() -> None:
    assert [service.id for service in catalog().services] == ["redis", "postgresql", "rabbitmq"]
    assert len(catalog().offers) == 10
    assert catalog().by_plan_id["redis-cache-small"].service.name == "redis"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"services": []}, "broker: the catalog has no services"),
        ({}, "broker: services: is missing; add it"),
        (None, "broker: the catalog: must be a mapping with the key 'services'"),
        ({"services": [{**REDIS, "plans": []}]}, "broker: services[0].plans: is empty; a service needs"),
        ({"services": [{"id": "redis", "name": "redis"}]}, "broker: services[0].plans: is missing"),
        ({"services": [{**REDIS, "plans": [{"id": 3, "name": "x"}]}]}, "broker: services[0].plans[0].id: Input should"),
        (
            {"services": [REDIS, {**REDIS, "id": "r2"}]},
            "broker: services[1].plans[0]: plan id 'redis-small' stands at services[0].plans[0] already",
        ),
        ({"services": [REDIS, REDIS]}, "broker: services[1]: service id 'redis' stands at services[0] already"),
    ],
)
def test_a_wrong_catalog_is_refused_with_its_place(document: object, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_catalog(document, "broker")
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize("name", ["catalog.json", "catalog.yml"])
def test_a_file_is_json_or_yaml(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"services": [REDIS]}))
    assert [offer.plan.id for offer in load_catalog(path).offers] == ["redis-small"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("c.json", b'{\n "services": [', ", line 2, column 15: the catalog is not valid JSON"),
        ("c.yml", b"a: [\n", ", line 2, column 1: the catalog is not valid YAML"),
        ("c.yml", b"a: 2026-02-31", ": the catalog is not valid YAML"),
        ("c.yml", b"\xff", ": the catalog is not UTF-8 text (byte 0)"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        load_catalog(path)
    assert str(refused.value).startswith(f"{path}{told}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json: the catalog cannot be read"):
        load_catalog(tmp_path / "none.json")
