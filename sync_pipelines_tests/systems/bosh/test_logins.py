"""Logging in: what is sent where, when a token is renewed, and what a refusal leads to."""

import asyncio
import base64
from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.core.errors import ConfigurationError, FailureKind
from sync_pipelines.systems.bosh import BoshClient, BoshSession, Deployments, Forbidden, TokenScope, UserLogin
from sync_pipelines_tests.systems.bosh.director import LOGIN, NOT_AUTHORIZED, UUID, Director, error, info, reply, token

LIST = "/deployments"
TOKEN = "/oauth/token"
BASIC = "Basic " + base64.b64encode(b"reader:s3cret-of-the-reader").decode()
BAD_CREDENTIALS = reply({"error": "unauthorized", "error_description": "Bad credentials"}, 401)


@pytest.fixture
def uaa(director: Director) -> Director:
    """The same server, with its UAA on the same port."""
    director.answers("/info", info("uaa", director.url))
    director.answers(TOKEN, token("token-1"), token("token-2"), token("token-3"))
    return director


def listing(client: BoshClient) -> Awaitable[Deployments]:
    return client.deployments()


def accepts(*tokens: str) -> Callable[[Request], Response]:
    """A list for these tokens only."""

    def answer(request: Request) -> Response:
        return (
            reply([]) if request.headers["Authorization"] in {f"bearer {text}" for text in tokens} else NOT_AUTHORIZED
        )

    return answer


def test_a_director_with_basic_logins_gets_the_clients_name_and_secret(director: Director) -> None:
    found = director.talk(listing)
    assert director.sent("/info") == [""]
    assert director.sent(LIST) == [BASIC]
    assert found == Deployments((), TokenScope("user reader", sees_everything=True))


def test_info_is_not_asked_when_the_kind_of_login_is_known(uaa: Director) -> None:
    uaa.talk(listing, auth="basic")
    uaa.talk(listing, uaa_url=uaa.url)
    assert "/info" not in uaa.paths
    assert uaa.sent(LIST) == [BASIC, "bearer token-1"]


def test_a_client_asks_the_uaa_for_a_token(uaa: Director) -> None:
    found = uaa.talk(listing)
    assert uaa.forms == [{"grant_type": "client_credentials"}]
    assert uaa.sent(TOKEN) == [BASIC]
    assert uaa.sent(LIST) == ["bearer token-1"]
    assert found.scope == TokenScope("bosh.read", sees_everything=True)


def test_a_user_asks_through_the_public_client(uaa: Director) -> None:
    uaa.talk(listing, login=UserLogin("admin", "p&ss wörd"))
    assert uaa.forms == [{"grant_type": "password", "username": "admin", "password": "p&ss wörd"}]
    assert uaa.sent(TOKEN) == ["Basic " + base64.b64encode(b"bosh_cli:").decode()]


def test_one_token_serves_many_requests(uaa: Director) -> None:
    async def many(client: BoshClient) -> None:
        await asyncio.gather(*(client.deployments() for _ in range(12)))

    uaa.talk(many)
    assert (len(uaa.sent(TOKEN)), len(uaa.sent("/info"))) == (1, 1)


@pytest.mark.parametrize(
    ("lifetime", "passed", "asked"), [(600, 539, 1), (600, 541, 2), (8, 5.9, 1), (8, 6.1, 2), (0, 10_000, 1)]
)
def test_a_token_is_renewed_ahead_of_its_end(uaa: Director, lifetime: int, passed: float, asked: int) -> None:
    uaa.answers(TOKEN, token("token-1", expires_in=lifetime), token("token-2"))

    async def twice(client: BoshClient) -> None:
        await client.deployments()
        uaa.now += passed
        await client.deployments()

    uaa.talk(twice)
    assert len(uaa.sent(TOKEN)) == asked


def test_requests_whose_token_is_refused_share_one_new_token(uaa: Director) -> None:
    uaa.answers(LIST, accepts("token-2"))

    async def together(client: BoshClient) -> None:
        await asyncio.gather(*(client.deployments() for _ in range(6)))

    uaa.talk(together)
    assert len(uaa.sent(TOKEN)) == 2
    assert set(uaa.sent(LIST)) == {"bearer token-1", "bearer token-2"}


def test_a_fresh_token_that_is_refused_too_ends_the_attempt(uaa: Director) -> None:
    uaa.answers(LIST, NOT_AUTHORIZED)
    assert uaa.refused(listing).kind is FailureKind.AUTH
    assert len(uaa.sent(TOKEN)) == 2


def test_a_missing_scope_is_not_answered_with_a_fresh_token(uaa: Director) -> None:
    uaa.answers(LIST, error(600000, "Require one of the scopes: bosh.admin", 401))
    assert isinstance(uaa.refused(listing), Forbidden)
    assert len(uaa.sent(TOKEN)) == 1


def test_wrong_basic_credentials_are_sent_once(director: Director) -> None:
    director.answers(LIST, NOT_AUTHORIZED)
    assert director.refused(listing).kind is FailureKind.AUTH
    assert len(director.sent(LIST)) == 1


def test_a_login_that_the_uaa_refuses_is_not_tried_again(uaa: Director) -> None:
    uaa.answers(TOKEN, BAD_CREDENTIALS)

    async def thrice(client: BoshClient) -> list[object]:
        return list(await asyncio.gather(*(client.deployments() for _ in range(3)), return_exceptions=True))

    assert [getattr(failed, "kind", failed) for failed in uaa.talk(thrice)] == [FailureKind.AUTH] * 3
    assert len(uaa.sent(TOKEN)) == 1
    assert LIST not in uaa.paths


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"error": "invalid_client"}, 400), FailureKind.AUTH),
        (Response("<html>gone</html>", 404, media_type="text/html"), FailureKind.TRANSIENT),
        (Response("no such page", 404), FailureKind.PERMANENT),
        (Response("", 500), FailureKind.TRANSIENT),
        (Response("<html>log in</html>", media_type="text/html"), FailureKind.TRANSIENT),
        (reply({"token_type": "bearer"}), FailureKind.TRANSIENT),
        (token("two lines\r\nX-Injected: 1"), FailureKind.TRANSIENT),
        (Response("", 307, {"Location": "http://elsewhere.test/oauth/token"}), FailureKind.PERMANENT),
    ],
)
def test_each_answer_of_the_uaa_has_one_meaning(uaa: Director, answer: Response, kind: FailureKind) -> None:
    uaa.answers(TOKEN, answer)
    assert uaa.refused(listing).kind is kind
    assert LIST not in uaa.paths


def test_a_uaa_in_trouble_is_asked_again(uaa: Director) -> None:
    uaa.answers(TOKEN, Response("", 503), token())
    assert uaa.talk(listing).entries == ()


def test_a_renewed_token_with_other_scopes_is_told(uaa: Director) -> None:
    uaa.answers(TOKEN, token("token-1"), token("token-2", "bosh.teams.dba.admin"))
    uaa.answers(LIST, reply([]), accepts("token-2"))

    async def twice(client: BoshClient) -> list[TokenScope]:
        return [(await client.deployments()).scope for _ in range(2)]

    assert uaa.talk(twice) == [
        TokenScope("bosh.read", sees_everything=True),
        TokenScope("bosh.teams.dba.admin", sees_everything=False),
    ]


@pytest.mark.parametrize(("uuid", "everything"), [(UUID, True), ("11111111-1111-4111-8111-111111111111", False)])
def test_a_scope_for_one_director_is_held_against_its_uuid(uaa: Director, uuid: str, everything: bool) -> None:
    uaa.answers(TOKEN, token(scope=f"bosh.{uuid}.read"))
    assert uaa.talk(listing, uaa_url=uaa.url).scope.sees_everything is everything


def test_a_director_that_wants_something_else_is_named(director: Director) -> None:
    director.answers("/info", info("saml"))
    failed = director.refused(listing)
    assert (failed.kind, "'saml'" in failed.message) == (FailureKind.PERMANENT, True)


@pytest.mark.parametrize("url", ["", "ftp://uaa.test", "https://["])
def test_a_secret_is_not_sent_to_an_odd_uaa(director: Director, url: str) -> None:
    director.answers("/info", info("uaa", url))
    assert director.refused(listing).kind is FailureKind.PERMANENT
    assert director.paths == ["/info"]


def test_what_is_no_director_is_told(director: Director) -> None:
    director.answers("/info", reply({"hello": "world"}))
    assert "is this a BOSH Director?" in director.refused(listing).message


def test_neither_secret_nor_token_gets_into_an_error(uaa: Director) -> None:
    uaa.answers(TOKEN, token("eyJtoken.of.the-run"))
    uaa.answers(LIST, lambda request: Response(f"you sent {request.headers['Authorization'].split()[1]}", 400))
    assert "you sent ***" in str(uaa.refused(listing))
    assert "s3cret" not in repr(LOGIN)
    assert "p4ss" not in repr(UserLogin("admin", "p4ss", "client", "p4ss too"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ("no certificate", "holds no usable PEM"), ("-----BEGIN CERTIFICATE-----\n", "PEM")],
)
def test_a_ca_that_cannot_be_used_is_told(
    tmp_path_factory: pytest.TempPathFactory, content: str | None, reason: str
) -> None:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        BoshSession("https://bosh.test:25555", LOGIN, ca=str(path))
    assert str(path) in str(caught.value)
