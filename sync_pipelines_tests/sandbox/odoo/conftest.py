"""A stand-in with time that stands, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.odoo import SYNC_KEY, OdooStandIn, fresh_world

NOON = 1_795_348_800.0
"""2026-11-22 12:00:00 UTC."""

Ask = Callable[..., Any]


@pytest.fixture
def odoo() -> OdooStandIn:
    return OdooStandIn(fresh_world(Clock(standing_at=NOON)))


@pytest.fixture
def url(odoo: OdooStandIn) -> Iterator[str]:
    with odoo.running() as served:
        yield served


@pytest.fixture
def post(url: str) -> Iterator[Callable[..., httpx.Response]]:
    """Send one JSON-2 call: model, method, key and the named arguments."""
    with httpx.Client(base_url=url) as client:

        def send(model: str, method: str, key: str = SYNC_KEY, **arguments: Any) -> httpx.Response:
            headers = {"Authorization": f"bearer {key}"}
            return client.post(f"/json/2/{model}/{method}", json=arguments, headers=headers)

        yield send


@pytest.fixture
def ask(post: Callable[..., httpx.Response]) -> Ask:
    """Send one JSON-2 call and return its result, or of a refusal the status and the name."""

    def result(model: str, method: str, **arguments: Any) -> Any:
        answer = post(model, method, **arguments)
        return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["name"])

    return result
