import base64
import json
from typing import Any

import pytest

from sync_pipelines.systems.bosh.scopes import granted_scopes, names_a_director, token_scope

UUID = "c0775b35-1d86-4b72-b7e2-7b882e06d7df"


def jwt(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJh.{payload}.c2ln"


@pytest.mark.parametrize(
    ("scopes", "identity", "everything"),
    [
        (["bosh.admin"], "bosh.admin", True),
        (["openid", "bosh.read"], "bosh.read", True),
        ([f"bosh.{UUID}.admin"], f"bosh.{UUID}.admin", True),
        ([f"bosh.{UUID}.read"], f"bosh.{UUID}.read", True),
        (["bosh.another.read", "bosh.teams.dba.admin"], "bosh.another.read bosh.teams.dba.admin", False),
        (["bosh.teams.ops.admin", "bosh.teams.dba.admin"], "bosh.teams.dba.admin bosh.teams.ops.admin", False),
        (["bosh.releases.upload"], "bosh.releases.upload", False),
        (["uaa.none"], "no scopes", False),
        (None, "unknown scopes", False),
    ],
)
def test_scopes_tell_whether_the_list_is_filtered(scopes: list[str] | None, identity: str, everything: bool) -> None:
    scope = token_scope(scopes, UUID)
    assert (scope.identity, scope.sees_everything) == (identity, everything)


@pytest.mark.parametrize(
    ("scopes", "needed"),
    [
        ([f"bosh.{UUID}.read"], True),
        ([f"bosh.{UUID}.read", "bosh.read"], False),
        (["bosh.teams.dba.admin"], False),
        (["bosh.teams.read"], False),
        (None, False),
    ],
)
def test_the_directors_uuid_is_asked_for_only_when_it_decides(scopes: list[str] | None, needed: bool) -> None:
    assert names_a_director(scopes) is needed


@pytest.mark.parametrize(
    ("answer", "scopes"),
    [
        ({"scope": "bosh.read openid"}, {"bosh.read", "openid"}),
        ({"scope": ""}, set()),
        ({"access_token": jwt({"scope": ["bosh.admin"]})}, {"bosh.admin"}),
        ({"access_token": jwt({"scope": ["bosh.admin"]}), "scope": "bosh.read"}, {"bosh.read"}),
        ({"access_token": jwt({"sub": "x"})}, None),
        ({"access_token": jwt([])}, None),
        ({"access_token": "opaque"}, None),
        ({"access_token": "a.!.b"}, None),
        ({"scope": 5}, None),
    ],
)
def test_scopes_come_from_the_answer_or_else_from_the_token(answer: dict[str, Any], scopes: set[str] | None) -> None:
    assert granted_scopes(answer) == scopes
