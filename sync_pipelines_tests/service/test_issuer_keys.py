"""The keys of the tokens' issuer: rotated, unreachable, brand-new, forged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import httpx
import pytest

from sync_pipelines.service.issuer_keys import (
    DEFAULT_AGE,
    LOOK_SECONDS,
    LOOKS,
    PAUSE_SECONDS,
    STALE_SECONDS,
    IssuerKeys,
    KeysUnavailable,
    UnknownKey,
    usable_keys,
)
from sync_pipelines_tests.service.google import Google

T = TypeVar("T")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def google() -> Iterator[Google]:
    """Google with one key."""
    with Google().running() as google:
        yield google


def with_keys(google: Google, work: Callable[[IssuerKeys, Clock], Awaitable[T]], *, seconds: float = 5.0) -> T:
    """Do something with the keys of Google."""

    async def run() -> T:
        clock = Clock()
        keys = IssuerKeys(google.url, clock=clock, timeout=httpx.Timeout(seconds))
        try:
            return await work(keys, clock)
        finally:
            await keys.close()

    return asyncio.run(run())


def test_given_a_hundred_calls_at_once_then_the_keys_are_read_once(google: Google) -> None:
    async def work(keys: IssuerKeys, _: Clock) -> None:
        await asyncio.gather(*(keys.key("first") for _ in range(100)))

    with_keys(google, work)
    assert google.reads == 1


@pytest.mark.parametrize(("max_age", "seconds"), [(3600, 3600.0), (None, DEFAULT_AGE), (1, 60.0), (10**8, 86_400.0)])
def test_the_keys_are_used_as_long_as_their_reply_says(google: Google, max_age: int | None, seconds: float) -> None:
    google.max_age = max_age

    async def work(keys: IssuerKeys, clock: Clock) -> list[int]:
        seen = []
        for passed in (0.0, seconds - 1, 2.0):
            clock.now += passed
            await keys.key("first")
            seen.append(google.reads)
        return seen

    assert with_keys(google, work) == [1, 1, 2]


def test_given_a_rotation_then_the_new_key_is_known_and_the_old_one_gone(google: Google) -> None:
    async def work(keys: IssuerKeys, clock: Clock) -> None:
        await keys.key("first")
        google.kids = ["second"]
        clock.now += 3601
        await keys.key("second")
        with pytest.raises(UnknownKey):
            await keys.key("first")

    with_keys(google, work)


def test_given_a_brand_new_key_then_it_is_found_at_once(google: Google) -> None:
    async def work(keys: IssuerKeys, _: Clock) -> None:
        await keys.key("first")
        google.kids = ["first", "second"]
        await asyncio.gather(*(keys.key("second") for _ in range(20)))

    with_keys(google, work)
    assert google.reads == 2


def test_given_many_forged_names_then_google_is_asked_a_few_times_only(google: Google) -> None:
    async def work(keys: IssuerKeys, clock: Clock) -> None:
        await keys.key("first")
        for number in range(50):
            with pytest.raises(UnknownKey):
                await keys.key(f"forged-{number}")
        assert google.reads == 1 + LOOKS
        google.kids = ["first", "second"]
        clock.now += LOOK_SECONDS
        await keys.key("second")

    with_keys(google, work)


@pytest.mark.parametrize("fault", ["500", "html", "huge", "redirect", "hangs"])
def test_given_a_warm_cache_and_google_fails_then_the_keys_are_used_for_a_day_more(google: Google, fault: str) -> None:
    async def work(keys: IssuerKeys, clock: Clock) -> None:
        await keys.key("first")
        google.fault = fault
        clock.now += 3601
        await keys.key("first")
        await keys.key("first")
        assert google.reads == 2, "it is left alone for a while"
        clock.now += PAUSE_SECONDS
        await keys.key("first")
        assert google.reads == 3
        clock.now += STALE_SECONDS
        with pytest.raises(KeysUnavailable):
            await keys.key("first")
        google.fault = ""
        clock.now += PAUSE_SECONDS
        await keys.key("first")

    with_keys(google, work, seconds=1.0 if fault == "hangs" else 5.0)


def test_given_a_cold_cache_and_google_fails_then_nothing_can_be_said(google: Google) -> None:
    google.fault = "500"

    async def work(keys: IssuerKeys, clock: Clock) -> None:
        for _ in range(5):
            with pytest.raises(KeysUnavailable):
                await keys.key("first")

    with_keys(google, work)
    assert google.reads == 1


def test_given_one_caller_goes_away_then_the_others_get_their_answer(google: Google) -> None:
    async def work(keys: IssuerKeys, _: Clock) -> None:
        first, second = (asyncio.create_task(keys.key("first")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).key_id == "first"

    with_keys(google, work)


RSA = {"kty": "RSA", "e": "AQAB", "n": "u" * 342, "kid": "good"}


@pytest.mark.parametrize(
    "row",
    [
        {**RSA, "use": "enc"},
        {**RSA, "alg": "RS512"},
        {**RSA, "kid": 7},
        {**RSA, "n": "u" * 171},
        {**RSA, "n": "***"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
        {"kty": "EC", "crv": "P-256", "kid": "curve"},
        "text",
    ],
)
def test_keys_that_are_not_for_these_signatures_are_left_out(row: object) -> None:
    assert list(usable_keys({"keys": [row, RSA]})) == ["good"]


@pytest.mark.parametrize("document", [[], "text", {}, {"keys": {}}])
def test_what_is_no_key_set_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="no key set"):
        usable_keys(document)
