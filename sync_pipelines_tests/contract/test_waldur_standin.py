"""The Waldur stand-in answers recorded requests as the real 7.0.7 server did.

Left out of the copied recordings, because the offerings pipeline never sends such requests:

- ``auth.jsonl``: scenarios "password login" and "password lockout", and what follows the login in "token expired"
  (the pipeline is given tokens, it never logs in);
- ``faults.jsonl``: the login in "message broker down: 500, but committed";
- ``errors.jsonl``: OPTIONS on an offering in "methods and paths" (18 kB of form metadata nobody reads).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.waldur import WaldurStandIn, WaldurWorld
from sync_pipelines_tests.contract.replay import Replayer, Step, explain, read_scenarios

RECORDINGS = Path(__file__).parent / "recordings" / "waldur"

SCENARIOS = [
    pytest.param(steps, id=f"{path.stem}: {name}")
    for path in sorted(RECORDINGS.glob("*.jsonl"))
    for name, steps in read_scenarios(path).items()
]

SETUPS: dict[str, Callable[[WaldurWorld, Mapping[str, Any]], None]] = {
    "broker_stop": lambda world, item: world.broker_stop(),
    "broker_start": lambda world, item: world.broker_start(),
    "database_stop": lambda world, item: world.database_stop(),
    "database_start": lambda world, item: world.database_start(),
    "customer_blocked": lambda world, item: world.block_customer(item["customer"], item["value"]),
    "token_expired": lambda world, item: world.expire_token(item["user"]),
    "user_active": lambda world, item: world.set_user_active(item["user"], item["value"]),
    "resource_added": lambda world, item: world.add_resource(item["plan"]),
    "together": lambda world, item: None,
}


class Stage:
    """Lets one server play all scenarios, each against a fresh stand-in."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Stage, httpx.Client]]:
    stage = Stage()
    with serve(stage) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield stage, client


@pytest.mark.parametrize("steps", SCENARIOS)
def test_given_a_recorded_scenario_when_replayed_then_every_answer_agrees(
    steps: list[Step], stage: tuple[Stage, httpx.Client]
) -> None:
    standin = WaldurStandIn.recorded()
    server, client = stage
    server.app = standin.app
    fixed = frozenset(standin.world.customers) | frozenset(standin.world.categories)
    replayer = Replayer(client, host="waldur.test", fixed=fixed)
    failures = []
    for step in steps:
        for item in step.setup:
            SETUPS[item["do"]](standin.world, replayer.bound(item))
        if found := replayer.differences(step):
            failures.append((step, found))
    assert not failures, explain(failures)


USED_PATHS = (
    "/api/users/me/",
    "/api/customers/",
    "/api/marketplace-plugins/",
    "/api/marketplace-categories/",
    "/api/marketplace-service-providers/",
    "/api/marketplace-provider-offerings/",
    "/api/marketplace-plans/",
    "/update_overview/",
    "/update_description/",
    "/update_integration/",
    "/update_attributes/",
    "/set_backend_metadata/",
    "/create_offering_component/",
    "/update_offering_component/",
    "/remove_offering_component/",
    "/activate/",
    "/pause/",
    "/unpause/",
    "/archive/",
    "/draft/",
    "/update_prices/",
    "/update_quotas/",
)


@pytest.mark.parametrize("ending", USED_PATHS)
def test_given_a_path_the_pipeline_uses_then_it_was_recorded(ending: str) -> None:
    recorded = {
        step.request["path"]
        for path in RECORDINGS.glob("*.jsonl")
        for steps in read_scenarios(path).values()
        for step in steps
    }
    assert any(path.endswith(ending) for path in recorded)
