"""``/metrics``: Prometheus reads it, it holds what the documentation and the rules name, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from sync_pipelines.core.access import Scope as Right
from sync_pipelines.engine.ledger import COUNTERS, PEER_ERRORS, RETRIES
from sync_pipelines.pipelines.commerce import pairs
from sync_pipelines.pipelines.deployments import run_status
from sync_pipelines.pipelines.exposition import exposition
from sync_pipelines.pipelines.metric_table import ERRORS, FAMILIES, PREFIXES, ZEROED
from sync_pipelines.pipelines.offerings import pair as offerings
from sync_pipelines.service.settings import ServiceSettings
from sync_pipelines.store import access_tokens, metrics
from sync_pipelines.store.measured import measure
from sync_pipelines.store.plans import GUARD_TRIPS
from sync_pipelines_tests.service.running import ADMIN, READER, only_secret, serving
from sync_pipelines_tests.store.scopes import scope_of

DEPLOY = Path(__file__).parents[2] / "deploy"


def scraped(engine: Engine, settings: ServiceSettings, headers: Mapping[str, str]) -> httpx.Response:
    """Ask a new service once."""

    async def ask() -> httpx.Response:
        async with serving(settings, engine) as client:
            return await client.get("/metrics", headers=dict(headers))

    return asyncio.run(ask())


def read(written: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every number by its name and labels; as it is written, whatever the parser makes of names of counters."""
    samples: list[Sample] = [one for family in text_string_to_metric_families(written) for one in family.samples]
    values = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}
    assert len(values) == len(samples)
    return values


@pytest.fixture
def busy(engine: Engine) -> Engine:
    """A database in which something happened to every kind of connection."""
    nordlys = scope_of(engine, "offerings", "nordlys")
    lab = scope_of(engine, "deployments", "lab")
    shop = scope_of(engine, "commerce_odoo", "nordwind.orders")
    canister = scope_of(engine, "ledger", "decent-cloud")
    with engine.begin() as connection:
        metrics.begin(connection, nordlys, [f"offering_sync_{name}" for name in COUNTERS])
        metrics.count(connection, nordlys, "offering_sync_successful", 3)
        metrics.count(connection, nordlys, RETRIES, 2)
        metrics.add(connection, nordlys, {(ERRORS, "transient"): 2.0, ("of_another_release_total", ""): 1.0})
        metrics.add(connection, nordlys, metrics.duration("offering_sync_duration_seconds", [0.07, 0.3, 90.0]))
        metrics.count(connection, lab, "blacksmith_reconciler_runs_total", 4)
        metrics.count(connection, shop, "commerce_odoo_total", 5)
        for statement in (
            "INSERT INTO sync.record_state (scope_id, key, state, reason, updated_at) "
            f"VALUES ({nordlys.id}, 'k', 'pending', '', now() - interval '1 hour')",
            "INSERT INTO sync.finding (scope_id, kind, key, natural_key, detail) "
            f"VALUES ({lab.id}, 'orphan', 'a', 'a', ''), ({lab.id}, 'duplicate', 'b', 'b', '')",
            f"INSERT INTO sync.run_summary (scope_id, seconds, outcome) VALUES ({lab.id}, 2.5, 'successful')",
            "INSERT INTO sync.sync_conflict (scope_id, record_key, org_id, item_id, entity_type, conflict_type, data) "
            f"VALUES ({shop.id}, 'r', 'acme', 'i', 'orders', 'field', '{{}}')",
            "INSERT INTO sync.ledger_position (canister, canister_id, next_position, tip_position, moved_at) "
            f"VALUES ({canister.id}, 'aaaaa-aa', 100, 350, now())",
            "INSERT INTO sync.marketplace_connection (name, organization, marketplace, account, active, "
            "last_synced_at) VALUES ('cape-town', 'acme', 'takealot', 'x', true, to_timestamp(1000)), "
            "('closed', 'acme', 'takealot', 'y', false, NULL)",
            "INSERT INTO sync.sync_webhook_inbox (connection, delivery, topic, names) "
            "VALUES ('nordwind', 'd', 'order.updated', '[]')",
            "INSERT INTO sync.peer (name, tokens, refilled_at, failures, opened_at) "
            "VALUES ('waldur.example.com', 1, now(), 5, now()), ('vault.example.com', 1, now(), 0, NULL)",
        ):
            connection.execute(text(statement))
    return engine


def test_the_official_parser_reads_names_types_and_numbers(busy: Engine) -> None:
    answer = scraped(busy, only_secret(), READER)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")

    values = read(answer.text)
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", answer.text, re.MULTILINE))
    assert types == {family.name: family.kind for family in FAMILIES.values()}
    nordlys = (("connection", "nordlys"), ("pipeline", "offerings"))
    lab = (("connection", "lab"), ("pipeline", "deployments"))
    shop = (("connection", "nordwind.orders"), ("pipeline", "commerce_odoo"))
    ledger = (("connection", "decent-cloud"), ("pipeline", "ledger"))
    pulled = (("connection", "cape-town"), ("pipeline", "marketplaces"))
    expected = {
        # The parser gives the counters' names the ending that OpenMetrics wants.
        ("offering_sync_successful_total", nordlys): 3,
        ("offering_sync_events_dropped_total", nordlys): 0,
        ("offering_sync_queue_depth", nordlys): 1,
        ("sync_queue_depth", nordlys): 1,
        ("sync_retries_total", nordlys): 2,
        ("sync_retries_total", lab): 0,
        ("sync_guard_trips_total", shop): 0,
        (ERRORS, (("class", "transient"), *nordlys)): 2,
        (ERRORS, (("class", "auth"), *nordlys)): 0,
        ("offering_sync_duration_seconds_bucket", (nordlys[0], ("le", "0.1"), nordlys[1])): 1,
        ("offering_sync_duration_seconds_bucket", (nordlys[0], ("le", "60.0"), nordlys[1])): 2,
        ("offering_sync_duration_seconds_bucket", (nordlys[0], ("le", "+Inf"), nordlys[1])): 3,
        ("offering_sync_duration_seconds_count", nordlys): 3,
        ("blacksmith_reconciler_runs_total", lab): 4,
        ("blacksmith_reconciler_last_run_duration_seconds", lab): 2.5,
        ("sync_orphans", lab): 1,
        ("sync_conflicts_open", lab): 1,
        ("sync_conflicts_open", shop): 1,
        ("commerce_odoo_total", shop): 5,
        ("sync_ledger_bytes_behind", ledger): 250,
        ("sync_lag_seconds", ledger): 0,
        ("sync_last_success_timestamp_seconds", pulled): 1000,
        ("sync_item_errors_open", pulled): 0,
        ("sync_webhooks_waiting", (("connection", "nordwind"), ("pipeline", "commerce"))): 1,
        ("sync_peer_breaker_open", (("peer", "waldur.example.com"),)): 1,
        ("sync_peer_breaker_open", (("peer", "vault.example.com"),)): 0,
    }
    assert {key: values.get(key) for key in expected} == expected
    assert values["sync_lag_seconds", nordlys] >= 3600
    assert not [name for name, labels in values if "another_release" in name or ("connection", "closed") in labels]


def test_no_counter_goes_down_when_the_service_starts_again_or_a_run_is_killed(busy: Engine) -> None:
    counted = {
        name if name.endswith("_total") else f"{name}_total" for name, f in FAMILIES.items() if f.kind == "counter"
    }
    counted |= {
        f"{name}_{part}" for name, f in FAMILIES.items() if f.kind == "histogram" for part in ("bucket", "count", "sum")
    }
    before = read(scraped(busy, only_secret(), ADMIN).text)
    scope = scope_of(busy, "offerings", "nordlys")
    with busy.begin() as connection:
        metrics.count(connection, scope, "offering_sync_failed")
        metrics.add(connection, scope, metrics.duration("offering_sync_duration_seconds", [1.0]))
    with busy.connect() as connection:
        # Killed before it committed.
        metrics.count(connection, scope, "offering_sync_failed")
        connection.rollback()
    after = read(scraped(busy, only_secret(), ADMIN).text)

    grown = {key for key in before if key[0] in counted}
    assert grown
    assert all(after[key] >= before[key] for key in grown)
    place = (("connection", "nordlys"), ("pipeline", "offerings"))
    assert after["offering_sync_failed_total", place] == before["offering_sync_failed_total", place] + 1


def test_of_an_empty_database_every_metric_is_told_without_a_series(engine: Engine) -> None:
    written = exposition(engine)
    assert {name for name in FAMILIES if f"# TYPE {name} " in written} == FAMILIES.keys()
    assert read(written) == {}


def test_a_scrape_writes_nothing_and_ends_in_bounded_time(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        connection.execute(text("LOCK TABLE sync.plan IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(OperationalError, match="statement timeout"):
            measure(engine, longest_ms=50)
    assert measure(engine).counted == ()


@pytest.mark.parametrize(
    ("organization", "scopes", "status"),
    [(None, [Right.READ], 200), (None, [Right.OPERATE], 200), ("acme", [Right.ADMIN], 403)],
)
def test_who_may_read_all_organizations_may_scrape(
    organization: str | None, scopes: list[Right], status: int, engine: Engine
) -> None:
    with engine.begin() as connection:
        _, token = access_tokens.create(connection, "prometheus", organization, scopes, expires_at=None, by="test")
    assert scraped(engine, only_secret(), {"Authorization": f"Bearer {token}"}).status_code == status


def test_without_a_token_nobody_may_scrape_unless_that_is_set(engine: Engine) -> None:
    assert scraped(engine, only_secret(), {}).status_code == 401
    assert scraped(engine, only_secret(SYNC_METRICS_OPEN="true"), {}).status_code == 200


def expressions() -> Iterator[str]:
    """Every query of the rules and of the dashboard."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    board: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    yield from (one["query"] for one in board["templating"]["list"] if one["type"] == "query")


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_rules_and_dashboard_name_only_what_is_exported(expression: str) -> None:
    series = set(FAMILIES) | {
        f"{name}_{part}"
        for name, family in FAMILIES.items()
        if family.kind == "histogram"
        for part in ("bucket", "sum", "count")
    }
    prefixes = ("sync_", *(f"{prefix}_" for prefix in PREFIXES.values()))
    named = {word for word in re.findall(r"[a-z_]+", re.sub(r'"[^"]*"', "", expression)) if "_" in word}
    named -= {"histogram_quantile", "label_values"}
    assert named
    assert named <= series
    assert all(word.startswith(prefixes) for word in named)
    labels = {label for selector in re.findall(r"{([^}]*)}", expression) for label in re.findall(r"(\w+)=", selector)}
    of_all = {label for word in named & set(FAMILIES) for label in FAMILIES[word].labels}
    assert labels <= of_all | ({"pipeline", "connection"} if named - set(FAMILIES) else set())


def test_the_table_has_what_the_pipelines_count() -> None:
    assert PREFIXES["offerings"] == offerings.METRIC_PREFIX
    assert PREFIXES["deployments"] == run_status.METRIC_PREFIX
    assert {pair for pair in PREFIXES if pair.startswith("commerce")} == {
        f"commerce_{system}" for system in pairs.SYSTEMS.values()
    }
    counted = {f"{prefix}_{name}" for prefix in PREFIXES.values() for name in COUNTERS}
    counted |= {f"{run_status.METRIC_PREFIX}_{name}" for name in run_status.COUNTERS}
    counted |= {RETRIES, PEER_ERRORS, GUARD_TRIPS}
    assert counted == {name for name, family in FAMILIES.items() if family.kind == "counter"}
    assert {*ZEROED, ERRORS} == {RETRIES, PEER_ERRORS, GUARD_TRIPS}


def test_the_table_is_complete(busy: Engine) -> None:
    with busy.connect() as connection:
        rows = connection.execute(text("SELECT pair, name FROM sync.gauge"))
        gauges = {(row.pair, row.name) for row in rows}
    names = {f"{PREFIXES[pair]}_{name}" for pair, name in gauges if pair in PREFIXES}
    names |= {one.name for one in measure(busy).gauges if one.name.startswith("sync_")}
    assert names <= FAMILIES.keys()
    page = (DEPLOY.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == FAMILIES.keys()
