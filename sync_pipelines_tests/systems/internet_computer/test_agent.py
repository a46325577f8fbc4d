"""The agent against the stand-in replica, and against answers that no replica gives."""

import asyncio
import contextlib
import gzip
import itertools
import sys
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest

from sync_pipelines.core.errors import ConfigurationError, FailureKind, PeerError
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn
from sync_pipelines.sandbox.internet_computer.faults import QUERY, rate_limited, reject, wrong_content_type
from sync_pipelines.systems.internet_computer import (
    MAINNET_ROOT_KEY,
    CanisterGone,
    ClockSkew,
    IcAgent,
    MethodNotOffered,
    Rejected,
    ReplicaStatus,
)
from sync_pipelines.systems.internet_computer.principal import principal_bytes
from sync_pipelines_tests.systems.internet_computer.network import CANISTER, refused, talk
from sync_pipelines_tests.systems.scripted_peer import answer, scripted_peer

LEDGER = principal_bytes(CANISTER)
NO_ARGUMENTS = b"DIDL\x00\x00"


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[InternetComputerStandIn, str]]:
    """A replica with the ledger canister."""
    standin = InternetComputerStandIn()
    with standin.running() as url:
        yield standin, url


@pytest.fixture
def replica(network: tuple[InternetComputerStandIn, str]) -> Iterator[InternetComputerStandIn]:
    """The same replica, in order again afterwards."""
    standin, _ = network
    yield standin
    standin.faults.clear()
    standin.replica.rejects.clear()
    standin.replica.skew_seconds = 0.0


@pytest.fixture
def url(network: tuple[InternetComputerStandIn, str]) -> str:
    return network[1]


async def metadata(agent: IcAgent) -> bytes:
    return await agent.query(LEDGER, "metadata", NO_ARGUMENTS)


def test_a_query_gives_candid(replica: InternetComputerStandIn, url: str) -> None:
    assert talk(url, metadata).startswith(b"DIDL")


def test_the_status_tells_the_root_key(replica: InternetComputerStandIn, url: str) -> None:
    status = talk(url, lambda agent: agent.status())
    assert status == ReplicaStatus(replica.replica.subnet.root_key, "0.9.0", "healthy")


def test_a_replica_of_old_is_asked_by_the_old_path_and_then_only_by_it(
    replica: InternetComputerStandIn, url: str
) -> None:
    newer = replica.faults.add(FaultKind.STATUS, path="/api/v3/", status=404, body="no such path")

    async def conversation(agent: IcAgent) -> tuple[bytes, bytes]:
        return await metadata(agent), await metadata(agent)

    first, second = talk(url, conversation)
    assert first == second
    assert newer.fired == 1


def test_an_address_that_is_no_network_says_so(replica: InternetComputerStandIn, url: str) -> None:
    replica.faults.add(FaultKind.STATUS, path="/api/", status=404, body="nothing here", content_type="text/plain")
    error = refused(url, metadata)
    assert (error.kind, error.status) == (FailureKind.PERMANENT, 404)
    assert "is this the address of an Internet Computer gateway" in error.message


@pytest.mark.parametrize("canister", ["bhnrr-hqaaa-aaaai-afhba-cai", "aaaaa-aa"])
def test_a_canister_that_nobody_hosts(replica: InternetComputerStandIn, url: str, canister: str) -> None:
    error = refused(url, lambda agent: agent.query(principal_bytes(canister), "metadata", NO_ARGUMENTS))
    assert isinstance(error, CanisterGone)
    assert canister in str(error)


def test_a_method_that_is_not_offered(replica: InternetComputerStandIn, url: str) -> None:
    error = refused(url, lambda agent: agent.query(LEDGER, "icrc3_get_blocks", NO_ARGUMENTS))
    assert isinstance(error, MethodNotOffered)
    assert error.error_code == "IC0536"


@pytest.mark.parametrize("skew", [-900.0, 900.0])
def test_a_wrong_clock_is_told_of_with_both_times(replica: InternetComputerStandIn, url: str, skew: float) -> None:
    error = refused(url, metadata, now=lambda: time.time() + skew)
    assert isinstance(error, ClockSkew)
    assert f"s {'fast' if skew > 0 else 'slow'}" in error.message
    assert "Date header" in error.message


def test_a_replica_behind_a_right_clock_is_told_of_too(replica: InternetComputerStandIn, url: str) -> None:
    replica.replica.skew_seconds = 900.0
    assert "they agree" in refused(url, metadata).message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, FailureKind.TRANSIENT),
        (2, FailureKind.TRANSIENT),
        (3, FailureKind.GONE),
        (4, FailureKind.PERMANENT),
        (5, FailureKind.TRANSIENT),
        (6, FailureKind.TRANSIENT),
    ],
)
def test_rejects_of_the_replica(replica: InternetComputerStandIn, url: str, code: int, kind: FailureKind) -> None:
    reject(replica.replica, code)
    error = refused(url, metadata)
    assert isinstance(error, Rejected)
    assert (error.kind, error.reject_code) == (kind, code)


def test_a_limit_of_the_gateway_is_waited_for_and_then_reported(replica: InternetComputerStandIn, url: str) -> None:
    rate_limited(replica.faults, times=1)
    assert talk(url, metadata)
    rate_limited(replica.faults)
    assert refused(url, metadata).kind is FailureKind.RATE_LIMITED


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (FaultKind.STATUS, {"status": 503}),
        (FaultKind.LOGIN_PAGE, {}),
        (FaultKind.DROP, {}),
        (FaultKind.TRUNCATED_BODY, {}),
        (FaultKind.BROKEN_GZIP, {}),
        (FaultKind.RESET_MID_BODY, {}),
    ],
)
def test_what_networks_and_proxies_do_is_transient(
    replica: InternetComputerStandIn, url: str, kind: FaultKind, options: dict[str, int]
) -> None:
    replica.faults.add(kind, path=QUERY, **options)
    assert refused(url, metadata).kind is FailureKind.TRANSIENT


def test_an_answer_of_another_type_is_not_read(replica: InternetComputerStandIn, url: str) -> None:
    wrong_content_type(replica.faults)
    error = refused(url, metadata)
    assert error.kind is FailureKind.TRANSIENT
    assert "not application/cbor" in error.message


def test_a_redirect_is_not_followed(replica: InternetComputerStandIn, url: str) -> None:
    replica.faults.add(FaultKind.REDIRECT, path=QUERY)
    assert refused(url, metadata).kind is FailureKind.PERMANENT


def test_one_connection_serves_many_queries() -> None:
    reply = answer(200, GOOD, {"Content-Type": "application/cbor", "Connection": "keep-alive"})
    connections = requests = 0
    ended = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, requests
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                requests += 1
                writer.write(reply)
        writer.close()
        await writer.wait_closed()
        ended.set()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            async with IcAgent(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as agent:
                for _ in range(5):
                    await metadata(agent)
            await ended.wait()

    asyncio.run(run())
    assert (connections, requests) == (1, 5)


def scripted(body: bytes, kind: str = "application/cbor", **headers: str) -> bytes:
    return answer(200, body, {"Content-Type": kind, **{name.replace("_", "-"): text for name, text in headers.items()}})


GOOD = cbor2.dumps({"status": "replied", "reply": {"arg": NO_ARGUMENTS}})


def told_by(*answers: bytes, method: str = "metadata", **options: Any) -> tuple[bytes | PeerError, list[bytes]]:
    """Return what a query to a peer that answers so ends with, and the bodies of the requests."""

    async def run() -> tuple[bytes | PeerError, list[bytes]]:
        async with scripted_peer(answers) as peer, IcAgent(peer.url, **{"read_delay": 0.0, **options}) as agent:
            try:
                found: bytes | PeerError = await agent.query(LEDGER, method, NO_ARGUMENTS)
            except PeerError as error:
                found = error
            return found, [request.partition(b"\r\n\r\n")[2] for request in peer.requests]

    return asyncio.run(run())


EXPIRED = answer(400, b"Specified ingress_expiry not within expected range", {"Content-Type": "text/plain"})


def expiry_of(body: bytes) -> int:
    found: int = cbor2.loads(body)["content"]["ingress_expiry"]
    return found


def test_a_request_that_was_held_up_is_made_anew() -> None:
    clock = itertools.count(1_700_000_000, 100)

    found, bodies = told_by(EXPIRED, scripted(GOOD), now=lambda: float(next(clock)))

    assert found == NO_ARGUMENTS
    first, second = map(expiry_of, bodies)
    assert second - first >= 180 * 10**9


@pytest.mark.parametrize(("step", "requests"), [(0, 1), (100, 2)], ids=["at once", "held up again"])
def test_a_request_that_is_out_of_its_time_is_reported(step: int, requests: int) -> None:
    clock = itertools.count(1_700_000_000, step)

    found, bodies = told_by(EXPIRED, now=lambda: float(next(clock)))

    assert isinstance(found, ClockSkew)
    assert len(bodies) == requests


@pytest.mark.parametrize("kind", ["Application/CBOR", "application/cbor; charset=binary", "application/cbor ;q=1"])
def test_the_type_of_an_answer_is_read_as_media_types_are(kind: str) -> None:
    assert told_by(scripted(GOOD, kind))[0] == NO_ARGUMENTS


@pytest.mark.parametrize("kind", ["application/cbor-seq", "application/json", "text/html", ""])
def test_an_answer_of_another_media_type_is_transient(kind: str) -> None:
    found, _ = told_by(scripted(GOOD, kind))
    assert isinstance(found, PeerError)
    assert (found.kind, "does a proxy answer" in found.message) == (FailureKind.TRANSIENT, True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_whatever_its_kind(status: int) -> None:
    found, bodies = told_by(answer(status, b"", {"Location": "/elsewhere"}), scripted(GOOD))
    assert isinstance(found, PeerError)
    assert (found.kind, found.status, len(bodies)) == (FailureKind.PERMANENT, status, 1)


def test_a_packed_answer_is_unpacked_no_further_than_an_answer_can_be_large() -> None:
    assert told_by(scripted(gzip.compress(GOOD), Content_Encoding="gzip"))[0] == NO_ARGUMENTS
    bomb = scripted(gzip.compress(bytes(40_000_000)), Content_Encoding="gzip")
    tracemalloc.start()
    try:
        found, _ = told_by(bomb)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(found, PeerError)
    assert (found.kind, "too large" in found.message) == (FailureKind.PERMANENT, True)
    assert most < 20_000_000


@pytest.mark.parametrize("packing", ["br", "gzip, gzip", "zstd"])
def test_a_packing_that_nobody_asked_for_is_not_read(packing: str) -> None:
    found, _ = told_by(scripted(GOOD, Content_Encoding=packing))
    assert isinstance(found, PeerError)
    assert found.kind is FailureKind.TRANSIENT


@pytest.mark.parametrize("length", [len(GOOD) - 5, len(GOOD) + 5, 10**15])
def test_a_length_that_is_not_true_is_noticed(length: int) -> None:
    found, bodies = told_by(scripted(GOOD, Content_Length=str(length)))
    assert isinstance(found, PeerError)
    assert found.kind is FailureKind.TRANSIENT
    # What breaks on the way is asked again; bytes that are no CBOR did arrive.
    assert len(bodies) == (3 if length > len(GOOD) else 1)


def test_the_largest_reply_of_a_query_arrives() -> None:
    reply = bytes(3 * 1024 * 1024)
    assert told_by(scripted(cbor2.dumps({"status": "replied", "reply": {"arg": reply}})))[0] == reply


def test_a_method_with_a_strange_name_puts_no_control_characters_into_errors() -> None:
    found, _ = told_by(answer(500, b""), method="\x1b[31m\nINFO all is well" + "x" * 500)
    assert str(found).isprintable()
    assert len(str(found)) < 300


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"status": "replied"}, "neither a reply nor a reject"),
        ({"status": "replied", "reply": {"arg": "text"}}, "neither a reply nor a reject"),
        ({"status": "later"}, "neither a reply nor a reject"),
        ({"status": "rejected"}, "a reject without"),
        ({"status": "replied", "reply": {"arg": bytes(3_300_000)}}, "too large"),
        ([], "a map was expected"),
    ],
)
def test_an_answer_of_another_shape(body: object, told: str) -> None:
    async def run() -> None:
        async with scripted_peer([scripted(cbor2.dumps(body))]) as peer, IcAgent(peer.url, read_delay=0.0) as agent:
            await metadata(agent)

    with pytest.raises(PeerError, match=told) as caught:
        asyncio.run(run())
    assert caught.value.kind is FailureKind.PERMANENT


def test_verification_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_ecc", None)
    monkeypatch.setitem(sys.modules, "py_ecc.bls", None)
    with pytest.raises(ConfigurationError, match=r"ic-verify"):
        IcAgent("https://icp-api.io", root_key=MAINNET_ROOT_KEY)


def test_a_root_key_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not a BLS12-381 key"):
        IcAgent("https://icp-api.io", root_key=MAINNET_ROOT_KEY[1:])
