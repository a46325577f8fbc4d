"""The product as it runs: a real daemon, a real webserver, a real PostgreSQL, peers over HTTP."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, text

from sync_pipelines.pipelines.offerings import events
from sync_pipelines.pipelines.offerings.windows import windows_over
from sync_pipelines.sandbox.cometbft import ChainWorld, create_app, produce_blocks
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.waldur import DEMO_STAFF_TOKEN, WaldurStandIn
from sync_pipelines.store.database import connect_engine
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.end_to_end.services import Services, running_services, wait_for

pytestmark = pytest.mark.long

PROVIDER = "virtengine1provider"
CUSTOMER = "a" * 32
CATEGORY = "c" * 32
WINDOW = 10

_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_RUN_STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_BACKFILL_STATE = """
query State($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { numPartitions runs(limit: 10) { status } } }
}
"""


@dataclass(frozen=True)
class World:
    """Both peers, the services between them, and the store."""

    chain: ChainWorld
    waldur: WaldurStandIn
    services: Services
    store: Engine
    dagster: Engine

    def row(self, offering_id: str) -> Any:
        """Return the one Waldur offering with this backend id, ``None`` when there is none."""
        rows = self.waldur.world.by_backend_id(offering_id)
        assert len(rows) <= 1
        return rows[0] if rows else None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedServer) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("services")
    for database in ("daemon_sync", "daemon_dagster"):
        postgres_server.ensure_database(database)
    chain, waldur = ChainWorld(), WaldurStandIn()
    waldur.world.add_user("staff", DEMO_STAFF_TOKEN, is_staff=True)
    waldur.world.add_customer(CUSTOMER, "Provider")
    waldur.world.add_category(CATEGORY, "Compute")
    for number in (1, 2, 3):
        chain.create_offering(PROVIDER, offering(f"Offering {number}"))
    with waldur.running() as waldur_url, serve(create_app(chain)) as chain_url, produce_blocks(chain, 0.5):
        connections = folder / "connections.yaml"
        connections.write_text(yaml.safe_dump(connection(chain_url, waldur_url)))
        environment = {
            "SYNC_CONNECTIONS_FILE": str(connections),
            "SYNC_DATABASE_URL": postgres_server.url("daemon_sync"),
            "SYNC_DAGSTER_DATABASE_URL": postgres_server.url("daemon_dagster"),
            "TEST_WALDUR_TOKEN": DEMO_STAFF_TOKEN,
        }
        store = connect_engine(postgres_server.url("daemon_sync"))
        dagster = connect_engine(postgres_server.url("daemon_dagster"))
        with running_services(folder, environment) as services:
            wait_for(
                lambda: position(store) is not None, seconds=120, what="the sensor follows the chain", services=services
            )
            yield World(chain, waldur, services, store, dagster)
        store.dispose()
        dagster.dispose()


def test_given_a_reconcile_launched_from_the_launchpad_then_what_was_there_before_is_in_waldur(world: World) -> None:
    run_config = {"resources": {"options": {"config": {"mode": "apply"}}}}
    assert launch(world, run_config) == "SUCCESS"
    assert [world.row(f"{PROVIDER}/{number}").state for number in (1, 2, 3)] == ["Active"] * 3


def test_given_an_offering_changed_on_the_chain_then_waldur_follows_without_a_click(world: World) -> None:
    created = world.chain.create_offering(PROVIDER, offering("Made on the chain"))
    wait_for(
        lambda: (row := world.row(created)) is not None and row.state == "Active",
        seconds=60,
        what="the new offering is active in Waldur",
        services=world.services,
    )
    world.chain.update_offering(created, {"name": "Renamed on the chain"})
    wait_for(
        lambda: world.row(created).name == "Renamed on the chain",
        seconds=60,
        what="the new name is in Waldur",
        services=world.services,
    )


def test_given_a_run_then_its_events_are_rows_in_postgresql_and_the_ui_serves_them(world: World) -> None:
    with world.dagster.begin() as connection:
        wait_for(
            lambda: connection.execute(
                text("SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'")
            ).scalar_one(),
            seconds=60,
            what="a materialization is stored",
            services=world.services,
        )
    answer = world.services.query("query { assetNodes { assetKey { path } } }")
    keys = {"/".join(node["assetKey"]["path"]) for node in answer["assetNodes"]}
    assert {"offerings/chain_snapshot", "offerings/plan", "offerings/applied", "offerings/chain_events"} <= keys


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium")
def test_given_a_browser_then_the_asset_graph_is_drawn(world: World, tmp_path: Path) -> None:
    page = f"{world.services.url}/locations/sync_pipelines/asset-groups/offerings/lineage"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    drawn = subprocess.run(
        ["chromium", *flags, f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", "--dump-dom", page],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    for name in ("chain_offerings", "chain_snapshot", "waldur_snapshot", "plan", "applied", "waldur_offerings"):
        assert f">{name}<" in drawn


def test_given_three_windows_that_nobody_followed_when_backfilled_then_one_run_repairs_them(world: World) -> None:
    missed = missed_changes(world, count=3)
    first, last = missed[0][1], missed[-1][1]
    keys = [window.key for window in windows_over("virtengine-demo-1", first, last, WINDOW)]
    assert len(keys) >= 3
    assert [world.row(key).name for key, _ in missed] == ["Offering 1", "Offering 2", "Offering 3"]

    register(world, keys)
    params = {
        "assetSelection": [{"path": ["offerings", "chain_events"]}],
        "partitionNames": keys,
        "fromFailure": False,
    }
    launched = world.services.query(_BACKFILL, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    wait_for(
        lambda: [world.row(key).name for key, _ in missed] == ["Missed 0", "Missed 1", "Missed 2"],
        seconds=90,
        what="the three missed changes are in Waldur",
        services=world.services,
    )
    state = world.services.query(_BACKFILL_STATE, id=launched["backfillId"])["partitionBackfillOrError"]
    # On a busy machine a run's process may not come up in time; Dagster then starts the run anew.
    assert len([run for run in state["runs"] if run["status"] != "FAILURE"]) == 1, state["runs"]


def test_given_a_run_whose_process_is_killed_in_the_middle_of_a_create_then_the_next_one_finds_what_it_made(
    world: World,
) -> None:
    hung = world.waldur.faults.add("hang_after_commit", method="POST", path=r"offerings/$", times=1, seconds=600)
    created = world.chain.create_offering(PROVIDER, offering("Made by a run that died"))
    wait_for(
        lambda: hung.fired and world.row(created), seconds=60, what="a run has created it", services=world.services
    )
    ((killed,),) = rows(world.store, "SELECT run_id FROM sync.effect WHERE state = 'intended'")
    os.kill(process_of(world, killed), signal.SIGKILL)
    with world.store.begin() as store:
        store.execute(text("UPDATE sync.lease SET expires_at = now()"))

    assert launch(world, {"resources": {"options": {"config": {"mode": "apply"}}}}) == "SUCCESS"

    assert world.row(created).state == "Active"
    audited = "SELECT entry->>'action', entry->>'interrupted_run' FROM sync.audit WHERE key = :key"
    assert rows(world.store, audited, key=created) == [("create", killed)]
    wait_for(
        lambda: status(world, killed) == "FAILURE", seconds=90, what="the death is noticed", services=world.services
    )


def process_of(world: World, run_id: str) -> int:
    """Return the id of the process that executes a run, as the launcher noted it."""
    told = "SELECT substring(event from 'pid: ([0-9]+)') FROM event_logs WHERE run_id = :run_id ORDER BY id"
    (number, *_) = [number for (number,) in rows(world.dagster, told, run_id=run_id) if number]
    return int(number)


def status(world: World, run_id: str) -> str:
    """Return where a run stands."""
    return str(world.services.query(_RUN_STATUS, id=run_id)["runOrError"]["status"])


def rows(engine: Engine, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query), parameters)]


def missed_changes(world: World, *, count: int) -> list[tuple[str, int]]:
    """Change offerings in windows of their own and move the watermark past them, as if nobody had followed.

    Returns:
        (offering id, height) of each change.
    """
    changes = []
    for number in range(count):
        offering_id = f"{PROVIDER}/{number + 1}"
        # Nobody looks in between: the watermark is moved past each change before the sensor can see it.
        with world.store.begin() as connection:
            events.begin_at(connection, world.chain.chain_id, world.chain.height + 2 * WINDOW)
        changes.append((offering_id, world.chain.update_offering(offering_id, {"name": f"Missed {number}"})))
        for _ in range(WINDOW):
            world.chain.empty_block()
    return changes


def launch(world: World, run_config: dict[str, Any]) -> str:
    """Launch the reconcile job the way the Launchpad does, and return how the run ended."""
    params = {
        "selector": {
            "repositoryLocationName": "sync_pipelines",
            "repositoryName": "__repository__",
            "jobName": "offerings_reconcile",
        },
        "runConfigData": run_config,
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "provider"}]},
    }
    launched = world.services.query(_LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]

    def ended() -> str:
        stands = status(world, run_id)
        return stands if stands in ("SUCCESS", "FAILURE", "CANCELED") else ""

    return wait_for(ended, seconds=120, what="the launched run ended", services=world.services)


def register(world: World, keys: list[str]) -> None:
    """Register the windows as partitions, the way a person would whom they are missing."""
    document = """
    mutation Add($selector: RepositorySelector!, $name: String!, $key: String!) {
      addDynamicPartition(repositorySelector: $selector, partitionsDefName: $name, partitionKey: $key) { __typename }
    }
    """
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "sync_pipelines"}
    for key in keys:
        answer = world.services.query(document, selector=selector, name="offerings_block_windows", key=key)
        assert answer["addDynamicPartition"]["__typename"] in (
            "AddDynamicPartitionSuccess",
            "DuplicateDynamicPartitionError",
        )


def position(store: Engine) -> events.Position | None:
    """Return how far the chain was followed; ``None`` before the schema exists."""
    with store.begin() as connection:
        if connection.execute(text("SELECT to_regclass('sync.watermark')")).scalar() is None:
            return None
        return events.position(connection, "virtengine-demo-1")


def offering(name: str) -> dict[str, Any]:
    """Return an active offering with one price."""
    return {
        "state": 1,
        "category": "compute",
        "name": name,
        "description": "A machine.",
        "version": "1.0.0",
        "prices": [{"resource_type": "cpu", "unit": "hour", "price": {"denom": "uvirt", "amount": "50000"}}],
    }


def connection(chain_url: str, waldur_url: str) -> dict[str, Any]:
    """Return a connections file with one provider whose full reconcile is a day away."""
    return {
        "offerings": [
            {
                "name": "provider",
                "provider": PROVIDER,
                "interval": 86400,
                "chain": {"rpc_url": chain_url, "chain_id": "virtengine-demo-1", "window": WINDOW},
                "waldur": {
                    "url": waldur_url,
                    "token": "env:TEST_WALDUR_TOKEN",
                    "staff_token": "env:TEST_WALDUR_TOKEN",
                    "customer_uuid": CUSTOMER,
                },
                "category_map": {"compute": CATEGORY},
            }
        ]
    }
