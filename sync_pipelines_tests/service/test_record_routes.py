"""Plans and dead letters over HTTP: shown to the organization whose they are, decided by who may, and by no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.access import Scope
from sync_pipelines.settings import NamedConnection
from sync_pipelines.store import access_tokens, audit, leases
from sync_pipelines.store.scopes import ensure_scope
from sync_pipelines_tests.service.running import only_secret, serving

HASH = "0123456789abcdef0123456789abcdef"
PAIRS = {"offerings": [NamedConnection(name="nordlys", organization="acme"), NamedConnection(name="kumo")]}


def given_a_plan(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "WITH s AS (INSERT INTO sync.scope (pair, name) VALUES ('offerings', 'nordlys') RETURNING id), "
                "t AS (INSERT INTO sync.snapshot (scope_id, side, selective, run_id, started_at, records, identity, "
                "complete) SELECT id, 'left', false, 'r', now(), 0, '', true FROM s RETURNING id) "
                "INSERT INTO sync.plan (scope_id, hash, state, run_id, left_snapshot, right_snapshot, counts) "
                "SELECT s.id, :hash, 'held', 'r', t.id, t.id, '{}' FROM s, t"
            ),
            {"hash": HASH},
        )


@pytest.mark.parametrize(("organization", "sees"), [("acme", True), (None, True), ("default", False), ("x", False)])
def test_given_a_plan_then_it_exists_for_its_organization_alone(
    organization: str | None, sees: bool, engine: Engine
) -> None:
    given_a_plan(engine)
    with engine.begin() as connection:
        _, token = access_tokens.create(connection, "a", organization, [Scope.READ], expires_at=None, by="test")

    async def run() -> list[httpx.Response]:
        async with serving(only_secret(), engine, pairs=PAIRS) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            paths = ("plans", f"plans/{HASH}", f"plans/{HASH[:8]}", f"plans/{'f' * 32}", "dead-letters")
            return [await client.get(f"/api/v1/{path}") for path in paths]

    listed, shown, short, unknown, letters = asyncio.run(run())
    assert [one["hash"] for one in listed.json()["plans"]] == ([HASH] if sees else [])
    assert shown.status_code == (200 if sees else 404)
    assert [short.status_code, unknown.status_code, letters.status_code] == [400, 404, 200]
    if not sees:
        assert shown.json()["message"] == unknown.json()["message"]


def posted(
    engine: Engine, paths: Sequence[tuple[str, Any]], *scopes: Scope, organization: str | None = "acme"
) -> list[httpx.Response]:
    """Post to some routes with one token, one after the other."""
    with engine.begin() as connection:
        _, token = access_tokens.create(connection, "ada", organization, scopes, expires_at=None, by="test")

    async def run() -> list[httpx.Response]:
        async with serving(only_secret(), engine, pairs=PAIRS) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            return [await client.post(f"/api/v1/{path}", json=body) for path, body in paths]

    return asyncio.run(run())


def audited(engine: Engine, action: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT entry FROM sync.audit WHERE entry->>'action' = :action ORDER BY number"), {"action": action}
        )
        return list(found.scalars())


APPROVE = (f"plans/{HASH}/approve", None)


def test_given_a_held_plan_when_it_is_approved_then_it_is_once_and_the_log_says_by_whom_and_from_where(
    engine: Engine,
) -> None:
    given_a_plan(engine)
    first, second = posted(engine, [APPROVE, APPROVE], Scope.APPROVE)
    assert (first.status_code, first.json()["plan"]["state"], first.json()["plan"]["approvedBy"]) == (
        200,
        "approved",
        "ada",
    )
    assert (second.status_code, second.json()["plan"]["state"]) == (200, "approved")
    entry = audited(engine, "approve")[0]
    assert (entry["by"], entry["plan"], entry["success"]) == ("ada", HASH, True)
    assert entry["from"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("scope", "organization", "status"),
    [(Scope.OPERATE, "acme", 403), (Scope.APPROVE, "default", 404), (Scope.APPROVE, None, 200)],
    ids=["operator", "another organization", "all organizations"],
)
def test_given_who_may_not_approve_then_the_plan_stays_held(
    scope: Scope, organization: str | None, status: int, engine: Engine
) -> None:
    given_a_plan(engine)
    (answer,) = posted(engine, [APPROVE], scope, organization=organization)
    assert answer.status_code == status
    with engine.connect() as connection:
        state = connection.execute(text("SELECT state FROM sync.plan")).scalar_one()
    assert state == ("approved" if status == 200 else "held")


def test_given_a_run_at_work_or_a_plan_that_is_done_then_approval_is_a_conflict(engine: Engine) -> None:
    given_a_plan(engine)
    with engine.begin() as connection:
        scope = ensure_scope(connection, "offerings", "nordlys")
        lease = leases.take(connection, scope.lease, "run-1", 60.0)
    (busy,) = posted(engine, [APPROVE], Scope.APPROVE)
    assert (busy.status_code, "run-1" in busy.json()["message"]) == (409, True)
    with engine.begin() as connection:
        leases.release(connection, lease)
        connection.execute(text("UPDATE sync.plan SET state = 'applied'"))
        connection.execute(text("DELETE FROM sync.access_token"))
    (done,) = posted(engine, [APPROVE], Scope.APPROVE)
    assert done.status_code == 409


def given_dead_letters(engine: Engine) -> list[int]:
    """Give up a record of a connection of acme's, and one of another organization's."""
    with engine.begin() as connection:
        return [
            connection.execute(
                text(
                    "INSERT INTO sync.dead_letter (scope_id, key, action, first_error, last_error, attempts, "
                    "first_attempt_at, last_attempt_at, payload_hash) "
                    "VALUES (:scope, 'k', 'create', 'e', 'e', 3, now(), now(), 'h') RETURNING id"
                ),
                {"scope": ensure_scope(connection, "offerings", name).id},
            ).scalar_one()
            for name in ("nordlys", "kumo")
        ]


def test_given_dead_letters_when_they_are_reprocessed_then_all_or_none_are_reset(engine: Engine) -> None:
    own, foreign = given_dead_letters(engine)
    path = "dead-letters/reprocess"
    both, alone, again, empty = posted(
        engine,
        [(path, {"ids": [own, foreign]}), (path, {"ids": [own]}), (path, {"ids": [own]}), (path, {"ids": []})],
        Scope.OPERATE,
    )
    assert [one.status_code for one in (both, alone, again, empty)] == [404, 200, 404, 400]
    assert str(own) not in both.json()["message"]
    assert alone.json()["reprocessed"] == [own]
    with engine.connect() as connection:
        states = {row.id: row.state for row in connection.execute(text("SELECT id, state FROM sync.dead_letter"))}
    assert states == {own: "reprocessed", foreign: "open"}
    (entry,) = audited(engine, "reprocess")
    assert (entry["by"], entry["key"]) == ("ada", "k")


def test_given_the_audit_log_then_an_organization_sees_what_is_about_its_own_connections(engine: Engine) -> None:
    with engine.begin() as connection:
        for chain, scope in (("offerings", "nordlys"), ("offerings", "kumo"), ("deployments", "nordlys")):
            audit.append(connection, chain, {"action": f"{chain} of {scope}"}, scope=scope, key="k")
        audit.append(connection, "offerings", {"action": "of another record"}, scope="nordlys", key="other")
        audit.append(connection, "commerce", {"action": "about no scope"})
        created = {
            owner: access_tokens.create(connection, str(owner), owner, [Scope.READ], expires_at=None, by="test")
            for owner in ("acme", None, "x")
        }

    async def run() -> dict[str, list[str]]:
        found = {}
        async with serving(only_secret(), engine, pairs=PAIRS) as client:
            for owner, query in (
                *(("acme", query) for query in ("", "?key=k", "?limit=1", "?pipeline=deployments", FUTURE)),
                *((None, query) for query in ("", "?pipeline=deployments")),
                ("x", ""),
            ):
                headers = {"Authorization": f"Bearer {created[owner][1]}"}
                answer = await client.get(f"/api/v1/audit{query}", headers=headers)
                found[f"{owner} {query}"] = [one["entry"]["action"] for one in answer.json()["entries"]]
        return found

    found = asyncio.run(run())
    assert sorted(found["acme "]) == ["of another record", "offerings of nordlys"]
    assert found["acme ?key=k"] == ["offerings of nordlys"]
    assert len(found["acme ?limit=1"]) == 1
    assert found["acme ?pipeline=deployments"] == found[f"acme {FUTURE}"] == found["x "] == []
    assert {"about no scope", "offerings of kumo", "token_created"} < set(found["None "])
    assert found["None ?pipeline=deployments"] == ["deployments of nordlys"]


FUTURE = "?since=2999-01-01T00:00:00Z"
