"""Access tokens: who they let in, what for, and whose connections they show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from sync_pipelines.cli import main
from sync_pipelines.core.access import Scope, allowed_by
from sync_pipelines.service import access
from sync_pipelines.store import access_tokens, audit
from sync_pipelines.store.marketplaces import connections
from sync_pipelines.store.marketplaces.connections import Described
from sync_pipelines_tests.service.running import only_secret, rows, serving

STATUS = "/api/sync/status"


def made(
    engine: Engine,
    *scopes: Scope,
    name: str = "robot",
    organization: str | None = "acme",
    lasts: timedelta | None = None,
) -> str:
    """Make a token and return its text."""
    expires = None if lasts is None else datetime.now(UTC) + lasts
    with engine.begin() as connection:
        _, token = access_tokens.create(connection, name, organization, scopes, expires_at=expires, by="test")
    return token


def asked(engine: Engine, *calls: tuple[str, str, str, object]) -> Sequence[httpx.Response]:
    """Return the answers to calls: method, path, token and JSON of each."""

    async def run() -> Sequence[httpx.Response]:
        async with serving(only_secret(), engine) as client:
            return [
                await client.request(method, path, headers={"Authorization": f"Bearer {token}"}, json=body)
                for method, path, token, body in calls
            ]

    return asyncio.run(run())


def connect_two_organizations(engine: Engine) -> None:
    shops = [Described("oslo", "acme", "shopify", "oslo", True), Described("lima", "other", "shopify", "lima", True)]
    with engine.begin() as connection:
        connections.register(connection, shops)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({Scope.READ}, {Scope.READ}),
        ({Scope.OPERATE}, {Scope.READ, Scope.OPERATE}),
        ({Scope.APPROVE}, {Scope.READ, Scope.APPROVE}),
        ({Scope.OPERATE, Scope.APPROVE}, {Scope.READ, Scope.OPERATE, Scope.APPROVE}),
        ({Scope.ADMIN}, set(Scope)),
    ],
)
def test_what_scopes_include(scopes: set[Scope], allowed: set[Scope]) -> None:
    assert allowed_by(scopes) == allowed


def test_given_a_token_then_it_opens_what_its_scopes_allow_and_nothing_else(engine: Engine) -> None:
    connect_two_organizations(engine)
    reader, operator = made(engine, Scope.READ), made(engine, Scope.OPERATE, name="op")
    wanted = {"connectionIds": ["oslo"]}
    answers = asked(
        engine,
        ("GET", STATUS, reader, None),
        ("POST", "/api/sync/trigger", reader, wanted),
        ("POST", "/api/sync/trigger", operator, wanted),
        ("POST", "/api/sync/stop", operator, None),
    )
    assert [answer.status_code for answer in answers] == [200, 403, 202, 403]


def test_given_a_token_of_one_organization_then_others_do_not_exist(engine: Engine) -> None:
    connect_two_organizations(engine)
    own = made(engine, Scope.OPERATE)
    foreign = made(engine, Scope.ADMIN, name="foreign", organization="other")
    seen, refused, started = asked(
        engine,
        ("GET", STATUS, own, None),
        ("POST", "/api/sync/trigger", own, {"connectionIds": ["lima"]}),
        ("POST", "/api/sync/trigger", foreign, {"connectionIds": ["lima"]}),
    )
    assert [one["connectionId"] for one in seen.json()["connections"]] == ["oslo"]
    assert refused.status_code == 404
    cycle = started.json()["statusUrl"]
    answers = asked(
        engine,
        ("GET", cycle, own, None),
        ("GET", cycle, foreign, None),
        ("GET", STATUS, own, None),
        ("POST", "/api/sync/run-full", own, None),
        ("POST", "/api/sync/start", foreign, None),
    )
    assert [answer.status_code for answer in answers] == [404, 200, 200, 409, 403]
    assert answers[2].json()["cycles"] == []
    assert started.json()["cycleId"] not in answers[3].text


def test_given_run_full_of_one_organization_then_only_its_connections_are_pulled(engine: Engine) -> None:
    connect_two_organizations(engine)
    (answer,) = asked(engine, ("POST", "/api/sync/run-full", made(engine, Scope.OPERATE), None))
    assert answer.status_code == 202
    assert rows(engine, "SELECT connections FROM sync.sync_cycle") == [(["oslo"],)]


@pytest.mark.parametrize("kind", ["expired", "revoked", "changed", "cut", "label only", "not hex", "long", "blank"])
def test_given_a_token_that_does_not_work_then_nobody_is_let_in(kind: str, engine: Engine) -> None:
    token = made(engine, Scope.ADMIN, lasts=timedelta(seconds=-1) if kind == "expired" else None)
    if kind == "revoked":
        with engine.begin() as connection:
            access_tokens.revoke(connection, "robot", by="test")
    given = {
        "changed": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "cut": token[:-1],
        "label only": token[:12],
        "not hex": "spt_zzzzzzzz" + token[12:],
        "long": token + "A" * 4000,
        "blank": " ",
    }.get(kind, token)
    (answer,) = asked(engine, ("GET", STATUS, given, None))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_given_a_token_then_only_its_hash_is_kept(engine: Engine) -> None:
    token = made(engine, Scope.READ)
    ((kept,),) = rows(engine, "SELECT a::text FROM sync.access_token a")
    ((logged,),) = rows(engine, "SELECT entry::text FROM sync.audit")
    assert token[13:] not in kept + logged
    assert token[:12] in kept


def test_given_a_change_then_the_log_says_who_made_it_and_from_where(engine: Engine) -> None:
    connect_two_organizations(engine)
    asked(engine, ("POST", "/api/sync/trigger", made(engine, Scope.OPERATE), {"connectionIds": ["oslo"]}))
    with engine.connect() as connection:
        (entry,) = audit.entries(connection, "marketplaces")
    assert (entry.entry["by"], entry.entry["from"], entry.entry["action"]) == ("robot", "127.0.0.1", "cycle_requested")


def test_given_too_many_changes_then_the_organization_waits_and_others_do_not(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "CHANGES_PER_MINUTE", 2)
    connect_two_organizations(engine)
    own, other = made(engine, Scope.OPERATE), made(engine, Scope.OPERATE, name="b", organization="other")
    call = ("POST", "/api/sync/run-full", own, None)
    answers = asked(engine, call, call, call, ("GET", STATUS, own, None), ("POST", "/api/sync/run-full", other, None))
    assert [answer.status_code for answer in answers] == [202, 409, 429, 200, 409]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


def test_tokens_are_made_listed_and_revoked_at_the_command_line(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    run = CliRunner().invoke
    created = run(main, ["tokens", "create", "ci", "--organization", "acme", "--scope", "operate", "--days", "1"])
    assert created.exit_code == 0, created.stderr
    token = created.stdout.strip()
    assert asked(engine, ("GET", STATUS, token, None))[0].status_code == 200
    again = run(main, ["tokens", "create", "ci"])
    assert (again.exit_code, "revoke it first" in again.stderr) == (1, True)
    (listed,) = json.loads(run(main, ["tokens", "list", "--json"]).stdout)
    assert (listed["name"], listed["organization"], listed["state"]) == ("ci", "acme", "good")
    assert listed["last_used_at"] is not None
    assert "hash" not in listed
    assert run(main, ["tokens", "revoke", "ci"]).exit_code == 0
    assert asked(engine, ("GET", STATUS, token, None))[0].status_code == 401
    assert run(main, ["tokens", "revoke", "ci"]).exit_code == 1
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sync.audit WHERE chain = 'access'")).scalar_one() == 2
        assert audit.verify(connection, "access").intact
