"""The route of the shops' syncs: its actions, their codes, and what other organizations see of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.access import Scope
from sync_pipelines.service.orchestrate_routes import EXAMPLES, PATH
from sync_pipelines.store import access_tokens, audit
from sync_pipelines_tests.pipelines.commerce.shop_runs import connection_of
from sync_pipelines_tests.service.running import ADMIN, only_secret, serving

SHOP = connection_of("http://shop.test", "http://odoo.test")
OWN = SHOP.organization


def tokens(engine: Engine) -> dict[str, str]:
    """Make a token for each scope, and one of another organization that may do everything."""
    wanted = [(scope.value, OWN, scope) for scope in Scope] + [("foreign", "foreign", Scope.ADMIN)]
    with engine.begin() as connection:
        return {
            name: access_tokens.create(connection, name, org, [scope], expires_at=None, by="test")[1]
            for name, org, scope in wanted
        }


def asked(engine: Engine, *calls: tuple[str, dict[str, Any]], **headers: str) -> Sequence[httpx.Response]:
    """Return the answers to calls: token and JSON of each."""

    async def run() -> Sequence[httpx.Response]:
        async with serving(only_secret(), engine, shops=[SHOP]) as client:
            return [
                await client.post(PATH, headers={"Authorization": f"Bearer {token}", **headers}, json=body)
                for token, body in calls
            ]

    return asyncio.run(run())


def test_given_the_examples_of_the_guide_then_each_is_answered_in_its_shape(engine: Engine) -> None:
    token = tokens(engine)["admin"]
    start = dict(EXAMPLES["start"])
    (started,) = asked(engine, (token, start))
    assert started.status_code == 202
    assert {"success", "syncId", "status", "message"} <= set(started.json())
    assert started.json()["status"] == "queued"
    about = {"syncId": started.json()["syncId"]}
    told, paused, resumed, conflicts, cancelled, over = asked(
        engine,
        *(
            (token, {"action": action, **about})
            for action in ("status", "pause", "resume", "conflicts", "cancel", "cancel")
        ),
    )
    assert {"orgId", "systems", "entityTypes", "queues", "conflicts", "startedAt", "progress"} <= set(told.json())
    assert set(told.json()["progress"]) == {"percentComplete", "estimatedTimeRemainingMs"}
    assert [one.json()["status"] for one in (paused, resumed, cancelled)] == ["paused", "queued", "cancelled"]
    assert set(conflicts.json()["stats"]) == {"totalConflicts", "unresolvedCount", "byType"}
    assert over.status_code == 409
    (unknown,) = asked(engine, (token, dict(EXAMPLES["resolve-conflict"])))
    assert (unknown.status_code, unknown.json()["success"]) == (404, False)


@pytest.mark.parametrize(
    "body", [{}, {"action": "explode"}, {"action": 1}, {"action": "start", "systems": ["x"]}, {"action": "status"}]
)
def test_given_a_wrong_request_then_it_is_a_problem_of_the_caller(body: dict[str, Any], engine: Engine) -> None:
    (answer,) = asked(engine, (tokens(engine)["admin"], body))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_given_no_token_then_nothing_is_told(engine: Engine) -> None:
    (answer,) = asked(engine, ("spt_00000000_" + "A" * 43, dict(EXAMPLES["status"])))
    assert answer.status_code == 401


@pytest.mark.parametrize("action", ["status", "pause", "resume", "cancel", "conflicts", "activity"])
def test_given_another_organization_then_a_sync_does_not_exist(action: str, engine: Engine) -> None:
    made = tokens(engine)
    (started,) = asked(engine, (made["admin"], dict(EXAMPLES["start"])))
    (answer,) = asked(engine, (made["foreign"], {"action": action, "syncId": started.json()["syncId"]}))
    assert answer.status_code == 404
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT status, requested FROM sync.sync_orchestration")).one()
    assert tuple(kept) == ("queued", None)


@pytest.mark.parametrize(
    ("token", "action", "is_allowed"),
    [
        ("read", "start", False),
        ("read", "list", True),
        ("operate", "start", True),
        ("operate", "resolve-conflict", False),
        ("approve", "resolve-conflict", True),
        ("approve", "start", False),
    ],
)
def test_what_each_scope_may_ask_for(token: str, action: str, is_allowed: bool, engine: Engine) -> None:
    (answer,) = asked(engine, (tokens(engine)[token], dict(EXAMPLES[action])))
    assert (answer.status_code != 403) is is_allowed


def test_given_a_token_of_all_organizations_then_the_header_says_which(engine: Engine) -> None:
    token = ADMIN["Authorization"].removeprefix("Bearer ")
    (started,) = asked(engine, (token, dict(EXAMPLES["start"])), **{"x-org-id": OWN})
    assert started.status_code == 202
    (other,) = asked(engine, (tokens(engine)["read"], {"action": "list"}), **{"x-org-id": "foreign"})
    assert other.status_code == 404


def test_given_the_eleventh_request_in_a_minute_then_it_has_to_wait(engine: Engine) -> None:
    made = tokens(engine)
    answers = asked(engine, *[(made["read"], {"action": "list"})] * 11, (made["foreign"], {"action": "list"}))
    assert [one.status_code for one in answers] == [200] * 10 + [429, 200]
    assert 1 <= int(answers[10].headers["retry-after"]) <= 60


def test_given_a_sync_was_started_then_the_log_says_by_whom_and_from_where(engine: Engine) -> None:
    made = tokens(engine)
    asked(engine, (made["operate"], dict(EXAMPLES["start"])), (made["read"], {"action": "list"}))
    with engine.connect() as connection:
        (entry,) = audit.entries(connection, "commerce")
    said = entry.entry
    assert (said["action"], said["by"], said["from"]) == ("orchestrate_start", "operate", "127.0.0.1")
