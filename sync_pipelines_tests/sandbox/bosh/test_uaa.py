"""Tokens: who gets which, how long they are good for, and what Directors make of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.bosh import Clock, DirectorStandIn, DirectorWorld, UaaStandIn, UaaWorld

CLIENT = ("reader", "secret")
CLI = ("bosh_cli", "")


@pytest.fixture
def uaa() -> UaaWorld:
    world = UaaWorld(Clock(standing_at=1_795_000_000.0))
    world.add_client(*CLIENT, "bosh.read")
    world.add_user("ada", "pass word", "bosh.teams.dba.admin")
    return world


@pytest.fixture
def director(uaa: UaaWorld) -> Iterator[tuple[DirectorStandIn, str]]:
    world = DirectorWorld(uaa=uaa)
    world.deploy("a", "name: a", teams=("dba",))
    world.deploy("b", "name: b")
    standin = DirectorStandIn(world)
    with standin.running() as url:
        yield standin, url


def asked(uaa: UaaWorld, auth: tuple[str, str], **form: str) -> httpx.Response:
    return httpx.post(f"{uaa.url}/oauth/token", auth=auth, data=form)


def listed(url: str, token: str) -> httpx.Response:
    return httpx.get(f"{url}/deployments", headers={"Authorization": f"bearer {token}"})


def test_given_a_client_when_it_asks_then_its_token_opens_the_director(
    uaa: UaaWorld, director: tuple[DirectorStandIn, str]
) -> None:
    info = httpx.get(f"{director[1]}/info").json()
    assert info["user_authentication"]["options"]["url"] == uaa.url
    answer = asked(uaa, CLIENT, grant_type="client_credentials").json()
    assert [row["name"] for row in listed(director[1], answer["access_token"]).json()] == ["a", "b"]
    assert uaa.issued == 1


def test_given_a_user_when_logged_in_and_refreshed_then_both_tokens_are_of_the_user(
    uaa: UaaWorld, director: tuple[DirectorStandIn, str]
) -> None:
    first = asked(uaa, CLI, grant_type="password", username="ada", password="pass word").json()
    second = asked(uaa, CLI, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    for answer in (first, second):
        assert [row["name"] for row in listed(director[1], answer["access_token"]).json()] == ["a"]
    assert listed(director[1], first["refresh_token"]).text == "Not authorized: '/deployments'\n"


def test_given_a_token_when_its_time_is_over_then_the_director_refuses_it_without_json(
    uaa: UaaWorld, director: tuple[DirectorStandIn, str]
) -> None:
    token = asked(uaa, CLIENT, grant_type="client_credentials").json()["access_token"]
    uaa.clock.advance(599)
    assert listed(director[1], token).status_code == 200
    uaa.clock.advance(1)
    refused = listed(director[1], token)
    assert (refused.status_code, refused.text) == (401, "Not authorized: '/deployments'\n")


def test_given_a_client_that_loses_its_scopes_then_old_tokens_end_and_new_ones_are_refused_with_json(
    uaa: UaaWorld, director: tuple[DirectorStandIn, str]
) -> None:
    token = uaa.token("reader")
    uaa.narrow("reader", "openid")
    assert listed(director[1], token).text.startswith("Not authorized")
    assert listed(director[1], uaa.token("reader")).json()["code"] == 600000


@pytest.mark.parametrize(
    ("auth", "form", "status", "error"),
    [
        (("reader", "wrong"), {"grant_type": "client_credentials"}, 401, "unauthorized"),
        (("nobody", "secret"), {"grant_type": "client_credentials"}, 401, "unauthorized"),
        (CLI, {"grant_type": "password", "username": "ada", "password": "x"}, 401, "unauthorized"),
        (CLIENT, {"grant_type": "password", "username": "ada", "password": "pass word"}, 401, "invalid_client"),
        (CLI, {"grant_type": "refresh_token", "refresh_token": "x.y.z"}, 401, "invalid_token"),
        (CLIENT, {"grant_type": "magic"}, 400, "unsupported_grant_type"),
        (CLIENT, {}, 400, "invalid_request"),
        (CLIENT, {"grant_type": "client_credentials", "scope": "bosh.admin"}, 400, "invalid_scope"),
    ],
)
def test_given_a_bad_request_for_a_token_then_the_error_says_why(
    uaa: UaaWorld, auth: tuple[str, str], form: dict[str, Any], status: int, error: str
) -> None:
    with UaaStandIn(uaa).running():
        answer = asked(uaa, auth, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_given_two_directors_of_one_uaa_then_a_scope_of_one_does_not_open_the_other(uaa: UaaWorld) -> None:
    shared = UaaStandIn(uaa)
    one = DirectorStandIn(DirectorWorld("one", "uuid-1", uaa=uaa), shared)
    two = DirectorStandIn(DirectorWorld("two", "uuid-2", uaa=uaa), shared)
    with one.running() as first, two.running() as second:
        token = uaa.token("reader", "bosh.uuid-1.read")
        assert listed(first, token).status_code == 200
        assert listed(second, token).json()["code"] == 600000
        assert httpx.get(f"{second}/info").json()["uuid"] == "uuid-2"
