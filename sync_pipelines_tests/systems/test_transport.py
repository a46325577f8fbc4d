import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar

import httpx
import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.systems.retry_after import retry_after_seconds
from sync_pipelines.systems.transport import Transport, segment
from sync_pipelines_tests.systems.scripted_peer import SILENCE, ScriptedPeer, answer, scripted_peer

GOOD = answer(200, {"ok": True})
BODY = gzip.compress(b'{"ok": true, "filler": "' + b"x" * 5000 + b'"}')
_T = TypeVar("_T")


class Recorded:
    """A throttle that lets everything pass and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def admit(self, peer: str) -> None:
        self.told.append("admit")

    async def succeeded(self, peer: str) -> None:
        self.told.append("succeeded")

    async def failed(self, peer: str, error: PeerError) -> None:
        self.told.append(("failed", error.kind))

    async def wait_until(self, peer: str, seconds: float) -> None:
        self.told.append(("wait", seconds))


class Meeting:
    """What is left after a conversation with a scripted peer."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.throttle = Recorded()
        self.peer = ScriptedPeer()
        self.transport: Transport

    def talk(
        self,
        replies: list[bytes],
        conversation: Callable[[Transport], Awaitable[_T]],
        *,
        delay: float = 0.0,
        **options: Any,
    ) -> _T:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        async def run() -> _T:
            async with scripted_peer(replies, delay=delay) as self.peer:
                self.transport = Transport(
                    "peer",
                    self.peer.url + options.pop("base", ""),
                    throttle=self.throttle,
                    sleep=sleep,
                    jitter=lambda: 1.0,
                    **options,
                )
                async with self.transport:
                    return await conversation(self.transport)

        return asyncio.run(run())

    def failure(self, replies: list[bytes], method: str, **options: Any) -> PeerError:
        with pytest.raises(PeerError) as caught:
            self.talk(replies, lambda transport: transport.request(method, "/things/"), **options)
        return caught.value


def gzipped(body: bytes) -> bytes:
    return answer(200, body, {"Content-Encoding": "gzip"})


BROKEN_ANSWERS = {
    "no answer": SILENCE,
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "not HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "shorter than its Content-Length": answer(200, b"{}", {"Content-Length": "10"}),
    "last chunk missing": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2\r\n",
    "damaged gzip": gzipped(BODY[:20] + b"\0\0\0\0" + BODY[24:]),
    "gzip cut short": gzipped(BODY[:-6]),
    "not gzip at all": gzipped(b"{}"),
    "encoding nobody asked for": answer(200, b"{}", {"Content-Encoding": "br"}),
}


@pytest.mark.parametrize("reply", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
def test_a_write_whose_answer_is_broken_is_ambiguous_and_sent_once(reply: bytes) -> None:
    meeting = Meeting()
    error = meeting.failure([reply], "POST")
    assert error.kind is FailureKind.AMBIGUOUS
    assert len(meeting.peer.requests) == 1
    assert meeting.throttle.told == ["admit", ("failed", FailureKind.AMBIGUOUS)]


@pytest.mark.parametrize("reply", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
def test_a_read_whose_answer_is_broken_is_sent_again(reply: bytes) -> None:
    meeting = Meeting()
    response = meeting.talk([reply, GOOD], lambda transport: transport.request("GET", "/things/"))
    assert response.json() == {"ok": True}
    assert meeting.slept == [0.5]
    assert meeting.transport.stats.retries == 1


def test_a_read_is_given_up_after_three_attempts_with_growing_pauses() -> None:
    meeting = Meeting()
    error = meeting.failure([SILENCE], "GET")
    assert error.kind is FailureKind.TRANSIENT
    assert len(meeting.peer.requests) == 3
    assert meeting.slept == [0.5, 1.0]


@pytest.mark.parametrize(("method", "attempts"), [("GET", 3), ("POST", 1)])
def test_nobody_listening_is_transient_for_reads_and_writes(method: str, attempts: int) -> None:
    throttle = Recorded()

    async def run() -> None:
        async with scripted_peer([GOOD]) as gone:
            pass
        async with Transport("peer", gone.url, throttle=throttle, sleep=no_sleep) as transport:
            await transport.request(method, "/things/")

    with pytest.raises(PeerError) as caught:
        asyncio.run(run())
    assert caught.value.kind is FailureKind.TRANSIENT
    assert throttle.told.count("admit") == attempts
    assert re.fullmatch(rf"peer \[{method} /things/\]: http://127\.0\.0\.1:\d+: no connection .*", str(caught.value))


def test_an_error_names_the_server_without_credentials_and_the_request_by_its_name() -> None:
    async def run() -> str:
        async with scripted_peer([GOOD]) as gone:
            pass
        url = gone.url.replace("http://", "http://user:hunter2@") + "/k3y"
        async with Transport("chain", url) as transport:
            with pytest.raises(PeerError) as caught:
                await transport.request("POST", "", operation="status")
            return str(caught.value).replace(gone.url, "URL")

    assert asyncio.run(run()).startswith("chain [status]: URL: no connection (ConnectError")


@pytest.mark.parametrize(("method", "kind"), [("GET", FailureKind.TRANSIENT), ("POST", FailureKind.AMBIGUOUS)])
@pytest.mark.parametrize(
    "limits", [{"timeout": httpx.Timeout(0.05, connect=5)}, {"deadline": 0.05}], ids=["read timeout", "deadline"]
)
def test_an_answer_that_does_not_come_in_time(limits: dict[str, Any], method: str, kind: FailureKind) -> None:
    error = Meeting().failure([GOOD], method, delay=0.3, **limits)
    assert error.kind is kind
    assert "in time" in error.message


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_read_is_sent_again_when_a_gateway_fails_and_its_last_answer_is_returned(status: int) -> None:
    meeting = Meeting()
    response = meeting.talk([answer(status, "bad gateway")], lambda transport: transport.request("GET", "/x/"))
    assert response.status_code == status
    assert len(meeting.peer.requests) == 3
    assert meeting.throttle.told == ["admit", ("failed", FailureKind.TRANSIENT)] * 3


@pytest.mark.parametrize(("method", "status"), [("POST", 503), ("DELETE", 502), ("GET", 500), ("GET", 404)])
def test_other_answers_are_returned_at_once_for_the_client_to_classify(method: str, status: int) -> None:
    meeting = Meeting()
    response = meeting.talk([answer(status)], lambda transport: transport.request(method, "/x/"))
    assert response.status_code == status
    assert len(meeting.peer.requests) == 1


def test_a_post_that_only_reads_is_sent_again_when_said_so() -> None:
    meeting = Meeting()
    meeting.talk([SILENCE, GOOD], lambda transport: transport.request("POST", "/rpc", json={}, write=False))
    assert len(meeting.peer.requests) == 2


def test_a_rate_limited_read_waits_as_told_and_tells_the_throttle() -> None:
    meeting = Meeting()
    limited = answer(429, "slow down", {"Retry-After": "7"})
    response = meeting.talk([limited, GOOD], lambda transport: transport.request("GET", "/x/"))
    assert response.status_code == 200
    assert meeting.slept == [7.0]
    assert meeting.throttle.told == ["admit", ("wait", 7.0), "admit", "succeeded"]
    assert meeting.transport.stats.rate_limited == 1


@pytest.mark.parametrize(
    ("method", "retry_after", "expected"),
    [("POST", "7", 7.0), ("POST", "0", 0.0), ("POST", None, None), ("GET", "61", 61.0), ("POST", "soon", None)],
)
def test_a_rate_limit_that_is_not_waited_for_is_raised_with_its_seconds(
    method: str, retry_after: str | None, expected: float | None
) -> None:
    meeting = Meeting()
    headers = {"Retry-After": retry_after} if retry_after else {}
    error = meeting.failure([answer(429, "slow down", headers)], method)
    assert (error.kind, error.status, error.retry_after) == (FailureKind.RATE_LIMITED, 429, expected)
    assert len(meeting.peer.requests) == 1


def test_retry_after_as_a_date_is_measured_against_the_answers_own_clock() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    theirs = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)

    def date(moment: datetime) -> str:
        return format_datetime(moment, usegmt=True)

    later = {"Retry-After": date(theirs + timedelta(seconds=90)), "Date": date(theirs)}
    assert retry_after_seconds(later, now) == 90
    assert retry_after_seconds({"Retry-After": date(now + timedelta(seconds=5))}, now) == 5
    assert retry_after_seconds({"Retry-After": date(now - timedelta(days=1))}, now) == 0
    assert retry_after_seconds({"Retry-After": "2.5"}, now) == 2.5
    assert retry_after_seconds({"Retry-After": "inf"}, now) is None
    assert retry_after_seconds({}, now) is None


def test_a_read_follows_a_redirect_on_the_same_origin_with_its_credentials() -> None:
    meeting = Meeting()
    replies = [answer(301, "", {"Location": "/things/?field=uuid"}), GOOD]
    response = meeting.talk(
        replies, lambda transport: transport.request("GET", "/things"), headers={"Authorization": "Token abc"}
    )
    assert response.json() == {"ok": True}
    assert meeting.peer.request_lines == ["GET /things HTTP/1.1", "GET /things/?field=uuid HTTP/1.1"]
    assert all(b"Authorization: Token abc" in request for request in meeting.peer.requests)


def test_a_redirect_is_the_answer_of_a_read_that_does_not_follow() -> None:
    meeting = Meeting()
    moved = answer(302, b"", {"Location": "http://elsewhere.test/tasks/7"})
    response = meeting.talk([moved], lambda transport: transport.request("GET", "/things/", follow=False))
    assert (response.status_code, response.headers["Location"]) == (302, "http://elsewhere.test/tasks/7")
    assert len(meeting.peer.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_write_is_never_answered_with_a_redirect(status: int) -> None:
    meeting = Meeting()
    moved = answer(status, b"", {"Location": "/other/"})
    with pytest.raises(PeerError) as caught:
        meeting.talk([moved], lambda transport: transport.request("POST", "/things/", follow=False))
    assert caught.value.kind is FailureKind.PERMANENT


def test_a_form_is_sent_as_one() -> None:
    meeting = Meeting()
    meeting.talk([GOOD], lambda transport: transport.request("POST", "/form", form={"name": "a b&ü"}, write=False))
    [request] = meeting.peer.requests
    assert request.endswith(b"\r\n\r\nname=a+b%26%C3%BC")
    assert b"application/x-www-form-urlencoded" in request


def test_a_read_is_redirected_three_times_at_most() -> None:
    meeting = Meeting()
    error = meeting.failure([answer(302, "", {"Location": "/things/"})], "GET")
    assert error.kind is FailureKind.PERMANENT
    assert len(meeting.peer.requests) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_redirected_write_is_refused_and_names_the_likely_cause(method: str, status: int) -> None:
    meeting = Meeting()
    error = meeting.failure([answer(status, "", {"Location": "/things/"})], method)
    assert error.kind is FailureKind.PERMANENT
    assert "slash" in error.message
    assert len(meeting.peer.requests) == 1


@pytest.mark.parametrize("target", ["{other}/things/", "//127.0.0.1:9/things/", "https://127.0.0.1/", "ftp://x/", ""])
def test_a_redirect_to_another_origin_is_refused_and_nothing_is_sent_there(target: str) -> None:
    async def run() -> tuple[PeerError, ScriptedPeer]:
        async with scripted_peer([GOOD]) as other:
            location = target.format(other=other.url)
            async with (
                scripted_peer([answer(302, "", {"Location": location})]) as peer,
                Transport("peer", peer.url, headers={"Authorization": "Token abc"}) as transport,
            ):
                with pytest.raises(PeerError) as caught:
                    await transport.request("GET", "/things/")
            return caught.value, other

    error, other = asyncio.run(run())
    assert error.kind is FailureKind.PERMANENT
    assert error.status == 302
    assert other.requests == []


@pytest.mark.parametrize(
    ("base", "path", "sent"),
    [
        ("", "/api/x/", "/api/x/"),
        ("/", "/api/x/", "/api/x/"),
        ("/api/", "x/", "/api/x/"),
        ("/api//", "/x/", "/api/x/"),
        ("/api", "x%2Fy/", "/api/x%2Fy/"),
    ],
)
def test_base_and_path_are_joined_with_one_slash(base: str, path: str, sent: str) -> None:
    meeting = Meeting()
    meeting.talk([GOOD], lambda transport: transport.request("GET", path), base=base)
    assert meeting.peer.request_lines == [f"GET {sent} HTTP/1.1"]


def test_a_repeated_parameter_is_sent_repeatedly() -> None:
    meeting = Meeting()
    params = [("field", "uuid"), ("field", "state")]
    meeting.talk([GOOD], lambda transport: transport.request("GET", "/x/", params=params))
    assert meeting.peer.request_lines == ["GET /x/?field=uuid&field=state HTTP/1.1"]


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "/", "a\\b", "a\nb", "\x7f"])
def test_a_value_that_would_address_something_else_is_no_segment(value: str) -> None:
    with pytest.raises(ValueError, match="segment"):
        segment(value)


@pytest.mark.parametrize(("value", "quoted"), [("a b", "a%20b"), ("a%2Fb", "a%252Fb"), ("ö?#", "%C3%B6%3F%23")])
def test_a_segment_is_quoted(value: str, quoted: str) -> None:
    assert segment(value) == quoted


def test_a_path_with_dot_segments_is_refused() -> None:
    with pytest.raises(ValueError, match="dot segments"):
        Meeting().talk([GOOD], lambda transport: transport.request("GET", "/things/../secrets/"))


def test_text_without_a_utf8_form_is_a_permanent_failure_of_the_record() -> None:
    meeting = Meeting()
    with pytest.raises(PeerError) as caught:
        meeting.talk([GOOD], lambda transport: transport.request("POST", "/x/", json={"name": "half \ud800"}))
    assert caught.value.kind is FailureKind.PERMANENT
    assert meeting.peer.requests == []


@pytest.mark.parametrize(("method", "kind"), [("GET", FailureKind.PERMANENT), ("POST", FailureKind.AMBIGUOUS)])
@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_larger_than_the_limit_is_not_read_to_its_end(packed: bool, method: str, kind: FailureKind) -> None:
    body = b" " * 2_000_000
    reply = gzipped(gzip.compress(body)) if packed else answer(200, body)
    error = Meeting().failure([reply], method, max_body=100_000)
    assert error.kind is kind
    assert "too large" in error.message


def test_an_unpacked_gzip_answer_is_returned_and_counted() -> None:
    meeting = Meeting()
    response = meeting.talk([gzipped(BODY)], lambda transport: transport.request("GET", "/x/"))
    assert response.json()["ok"] is True
    stats = meeting.transport.stats
    assert stats.bytes_received == len(gzip.decompress(BODY))
    assert stats.requests == {"GET": 1}
    assert stats.total_seconds == stats.seconds["GET"] > 0


def test_no_more_requests_are_under_way_than_allowed() -> None:
    meeting = Meeting()

    async def many(transport: Transport) -> None:
        await asyncio.gather(*(transport.request("GET", "/x/") for _ in range(12)))

    meeting.talk([GOOD], many, delay=0.02, max_in_flight=3)
    assert meeting.peer.most_at_once == 3
    assert len(meeting.peer.requests) == 12


def test_a_turn_is_asked_for_when_there_is_a_slot_for_the_request_and_not_before() -> None:
    waiting = most = 0

    class Slow(Recorded):
        async def admit(self, peer: str) -> None:
            nonlocal waiting, most
            waiting += 1
            most = max(most, waiting)
            await asyncio.sleep(0.005)
            waiting -= 1

    async def many(transport: Transport) -> None:
        await asyncio.gather(*(transport.request("GET", "/x/") for _ in range(20)))

    meeting = Meeting()
    meeting.throttle = Slow()
    meeting.talk([GOOD], many, max_in_flight=3)

    assert most == 3
    assert len(meeting.peer.requests) == 20


def test_a_redirected_read_keeps_its_only_slot() -> None:
    replies = [answer(302, "", {"Location": "/y/"}), GOOD]
    response = Meeting().talk(replies, lambda transport: transport.request("GET", "/x/"), max_in_flight=1)
    assert response.json() == {"ok": True}


def test_an_open_breaker_stops_a_request_before_it_is_sent() -> None:
    class Open(Recorded):
        async def admit(self, peer: str) -> None:
            raise PeerError(peer, FailureKind.TRANSIENT, "the breaker is open")

    meeting = Meeting()
    meeting.throttle = Open()
    error = meeting.failure([GOOD], "GET")
    assert error.kind is FailureKind.TRANSIENT
    assert meeting.peer.requests == []


def test_a_cookie_is_never_sent_back() -> None:
    meeting = Meeting()

    async def twice(transport: Transport) -> None:
        await transport.request("GET", "/x/")
        await transport.request("GET", "/x/")

    meeting.talk([answer(200, {}, {"Set-Cookie": "sessionid=1; Path=/"})], twice)
    assert not any(b"cookie" in request.lower() for request in meeting.peer.requests)


def test_an_error_shows_status_and_a_short_redacted_beginning_of_the_body() -> None:
    secret = "s3cr3t-value"
    page = "<h1>" + "x" * 285 + secret + " and more" * 100
    meeting = Meeting()
    error = meeting.failure([answer(429, page)], "POST", redactor=Redactor([secret]))
    assert secret[:4] not in str(error)
    assert "HTTP 429" in str(error)
    assert "POST /things/" in str(error)
    assert len(str(error)) < 420


def test_a_base_url_that_is_none_is_refused_without_showing_its_password() -> None:
    with pytest.raises(ValueError, match="not an http") as caught:
        Transport("peer", "ldap://user:hunter2@host")
    assert "hunter2" not in str(caught.value)


async def no_sleep(seconds: float) -> None:
    """Wait for nothing."""
