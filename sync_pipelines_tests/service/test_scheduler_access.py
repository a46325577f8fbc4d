"""Who may call the scheduler's route: tokens, the secret, and the policies."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_encode
from sqlalchemy import Engine
from starlette.datastructures import Headers

from sync_pipelines.service.google_token import TokenRefused, verify
from sync_pipelines.service.issuer_keys import IssuerKeys
from sync_pipelines.service.scheduler_gate import NotTheScheduler, SchedulerGate
from sync_pipelines.service.settings import load_service_settings
from sync_pipelines_tests.service.google import ACCOUNT, AUDIENCE, Google, claims, private_key, token
from sync_pipelines_tests.service.running import SCHEDULER, SECRET, call, called, environment, rows, serving

ADMIN_ROUTES = ("start", "stop", "interval", "trigger", "run-full")
REFUSAL = {"success": False, "message": "Unauthorized scheduler request"}


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    """Google with two keys."""
    with Google(kids=["first", "second"]).running() as google:
        yield google


def ago(seconds: int) -> int:
    """Return a time of the past as tokens have it."""
    return int(time.time()) - seconds


def confused() -> str:
    """Return a token whose HMAC secret is the public key; PyJWT itself does not sign with such a one."""
    public = private_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = (
        base64url_encode(json.dumps(part).encode())
        for part in ({"alg": "HS256", "kid": "first", "typ": "JWT"}, claims())
    )
    signature = jwt.get_algorithm_by_name("HS256").sign(head + b"." + body, public)
    return b".".join((head, body, base64url_encode(signature))).decode()


def unsigned() -> str:
    """Return a token that says that it has no signature."""
    return jwt.encode(claims(), "", algorithm="none", headers={"kid": "first"})


def altered() -> str:
    """Return a good token in which the audience was exchanged afterwards."""
    head, _, signature = token().split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(email="else@example.com")).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


TOKENS: dict[str, tuple[Callable[[], str], bool]] = {
    "good": (token, True),
    "good, by the second key": (lambda: token(key="second", kid="second"), True),
    "issuer without https": (lambda: token(claims(iss="accounts.google.com")), True),
    "expired within the leeway": (lambda: token(claims(iat=ago(3600), exp=ago(4))), True),
    "issued a moment ahead": (lambda: token(claims(iat=ago(-5))), True),
    "expired": (lambda: token(claims(iat=ago(4000), exp=ago(400))), False),
    "issued in the future": (lambda: token(claims(iat=ago(-300), exp=ago(-3900))), False),
    "another audience": (lambda: token(claims(aud="https://other.example.com")), False),
    "audience with a slash more": (lambda: token(claims(aud=f"{AUDIENCE}/")), False),
    "a list of audiences": (lambda: token(claims(aud=[AUDIENCE])), False),
    "another issuer": (lambda: token(claims(iss="https://accounts.example.com")), False),
    "no audience": (lambda: token(claims(aud=None)), False),
    "no issuer": (lambda: token(claims(iss=None)), False),
    "no expiry": (lambda: token(claims(exp=None)), False),
    "no time of issue": (lambda: token(claims(iat=None)), False),
    "no subject": (lambda: token(claims(sub=None)), False),
    "another account": (lambda: token(claims(email="else@project.iam.gserviceaccount.com")), False),
    "no e-mail address": (lambda: token(claims(email=None)), False),
    "address not verified": (lambda: token(claims(email_verified=False)), False),
    "address verified as a text": (lambda: token(claims(email_verified="true")), False),
    "nothing about verification": (lambda: token(claims(email_verified=None)), False),
    "a rogue key under a known name": (lambda: token(key="rogue"), False),
    "an unknown key": (lambda: token(key="rogue", kid="rogue"), False),
    "no name of a key": (lambda: token(kid=None), False),
    "another algorithm of the same key": (lambda: token(alg="RS512"), False),
    "HMAC with the public key": (confused, False),
    "no signature": (unsigned, False),
    "altered after it was signed": (altered, False),
    "longer than any": (lambda: token(claims(more="x" * 10_000)), False),
    "garbage": (lambda: "garbage.garbage.garbage", False),
    "nothing": (lambda: "", False),
}


@pytest.mark.parametrize(("made", "is_good"), TOKENS.values(), ids=TOKENS)
def test_a_token_is_good_only_when_everything_about_it_is_right(
    made: Callable[[], str], is_good: bool, google: Google
) -> None:
    async def judge() -> str:
        settings = load_service_settings(environment(google)).scheduler
        assert settings is not None
        keys = IssuerKeys(google.url)
        try:
            return await verify(made(), settings, keys)
        except TokenRefused as refused:
            return f"refused: {refused}"
        finally:
            await keys.close()

    answer = asyncio.run(judge())
    assert answer == ACCOUNT if is_good else answer.startswith("refused: ")


def test_given_a_bad_token_then_the_caller_learns_nothing_and_the_log_has_the_reason_alone(
    google: Google, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    shown = token(claims(email="else@project.iam.gserviceaccount.com"))
    status, answer = call(engine, google, called(bearer=shown))
    assert status == 403
    assert REFUSAL.items() <= answer.items()
    assert rows(engine, "SELECT count(*) FROM sync.sync_cycle") == [(0,)]
    assert "an account that is not allowed" in caplog.text
    assert shown not in caplog.text


def test_given_google_fails_before_it_ever_answered_then_nobody_is_blamed(engine: Engine) -> None:
    with Google(fault="500").running() as google:
        assert call(engine, google, called(bearer=token()))[0] == 503


@pytest.mark.parametrize(
    ("policy", "secret", "has_token", "status"),
    [
        ("oidc_and_secret", SECRET, True, 202),
        ("oidc_and_secret", SECRET, False, 403),
        ("oidc_and_secret", None, True, 403),
        ("oidc_and_secret", "wrong", True, 403),
        ("oidc_and_secret", "wrong", False, 403),
        ("oidc_and_secret", "", True, 403),
        ("oidc", None, True, 202),
        ("oidc", "wrong", True, 202),
        ("oidc", SECRET, False, 403),
        ("secret", SECRET, False, 202),
        ("secret", f"{SECRET}x", False, 403),
        ("secret", SECRET.upper(), False, 403),
        ("secret", None, True, 403),
        ("secret", "Ünïcode", False, 403),
    ],
)
def test_each_policy_wants_what_it_says(
    policy: str, secret: str | None, has_token: bool, status: int, google: Google
) -> None:
    headers = called(secret=None, bearer=token() if has_token else None)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    if secret is not None:
        raw.append((b"x-scheduler-secret", secret.encode()))
    assert judged(google, raw, SCHEDULER_AUTH=policy) == (status == 202)


def test_given_both_are_wrong_then_google_is_not_even_asked(engine: Engine) -> None:
    with Google().running() as google:
        status, _ = call(engine, google, called(secret="wrong", bearer=token(key="rogue", kid="rogue")))
        assert (status, google.reads) == (403, 0)


def test_given_the_secret_twice_then_the_call_is_refused(google: Google) -> None:
    assert not judged(google, [(b"x-scheduler-secret", SECRET.encode())] * 2, SCHEDULER_AUTH="secret")


def test_headers_of_the_scheduler_prove_nothing(google: Google) -> None:
    forged = called("2026-04-13T12:00:00Z", secret=None)
    assert not judged(google, [(name.lower().encode(), value.encode()) for name, value in forged.items()])


def test_given_nothing_is_set_up_then_nobody_is_let_in(engine: Engine) -> None:
    async def ask() -> int:
        async with serving(load_service_settings({}), engine) as client:
            return (await client.post(SCHEDULER, headers=called(bearer=token()))).status_code

    assert asyncio.run(ask()) == 403


def test_what_lets_the_scheduler_in_opens_nothing_else(google: Google, engine: Engine) -> None:
    async def ask() -> list[int]:
        async with serving(load_service_settings(environment(google)), engine) as client:
            headers = called(bearer=token())
            posts = [client.post(f"/api/sync/{route}", headers=headers) for route in ADMIN_ROUTES]
            answers = [*await asyncio.gather(*posts), await client.get("/api/sync/status", headers=headers)]
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [401] * 6


def test_given_development_and_skipping_then_everybody_is_let_in(engine: Engine) -> None:
    async def ask() -> int:
        settings = load_service_settings({"ENVIRONMENT": "development", "SKIP_SCHEDULER_AUTH": "true"})
        async with serving(settings, engine) as client:
            return (await client.post(SCHEDULER)).status_code

    assert asyncio.run(ask()) == 202


def judged(google: Google, raw: list[tuple[bytes, bytes]], **variables: str) -> bool:
    """Return whether a call with these headers is let in."""

    async def judge() -> bool:
        gate = SchedulerGate(load_service_settings(environment(google, **variables)).scheduler)
        try:
            await gate.admit(Headers(raw=raw))
        except NotTheScheduler:
            return False
        finally:
            await gate.close()
        return True

    return asyncio.run(judge())
