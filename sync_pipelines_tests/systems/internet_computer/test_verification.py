"""Proofs of what the network answers: certificates of subnets, signatures of nodes.

A signature takes half a second to verify, so that each test does with few.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import cbor2
import pytest

from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, Subnet
from sync_pipelines.sandbox.internet_computer.faults import reject
from sync_pipelines.systems.internet_computer import (
    MAINNET_ROOT_KEY,
    IcAgent,
    NotVerified,
    Rejected,
    bls,
    cbor,
    hash_tree,
    leb128,
)
from sync_pipelines.systems.internet_computer.certificates import CertificateError, bls_key, verify
from sync_pipelines.systems.internet_computer.principal import principal_bytes
from sync_pipelines.systems.internet_computer.query_signatures import QuerySignatures
from sync_pipelines.systems.internet_computer.request_id import representation_hash
from sync_pipelines_tests.systems.internet_computer.network import CANISTER, refused, talk

LEDGER = principal_bytes(CANISTER)
ELSEWHERE = principal_bytes("bhnrr-hqaaa-aaaai-afhba-cai")
NOW = 1_700_000_000
MESSAGE = bytes.fromhex("0d69632d73746174652d726f6f74e6c01e909b4923345ce5970962bcfe3004bfd8474a21dae28f50692502f46d90")
SIGNATURE = bytes.fromhex(
    "ace9fcdd9bc977e05d6328f889dc4e7c99114c737a494653cb27a1f55c06f4555e0f160980af5ead098acc195010b2f7"
)


def test_a_signature_of_the_mainnet_is_right_and_of_nothing_else() -> None:
    key = bls_key(MAINNET_ROOT_KEY)
    assert bls.is_signed(MESSAGE, SIGNATURE, key)
    assert not bls.is_signed(MESSAGE + b"x", SIGNATURE, key)


@pytest.mark.parametrize(
    ("signature", "key"),
    [
        (SIGNATURE[1:], bls_key(MAINNET_ROOT_KEY)),
        (bytes(48), bls_key(MAINNET_ROOT_KEY)),
        (b"\xc0" + bytes(47), bls_key(MAINNET_ROOT_KEY)),
        (b"\xff" * 48, bls_key(MAINNET_ROOT_KEY)),
        (SIGNATURE, b"\xc0" + bytes(95)),
        (SIGNATURE, bytes(96)),
    ],
)
def test_what_is_no_signature_or_key_proves_nothing(signature: bytes, key: bytes) -> None:
    assert not bls.is_signed(MESSAGE, signature, key)


def subnet(*, delegated: bool) -> Subnet:
    found = Subnet("of the tests", delegated=delegated)
    found.ranges = ((LEDGER, LEDGER),)
    return found


ROOT, DELEGATED = subnet(delegated=False), subnet(delegated=True)


def certificate(of: Subnet, *paths: Sequence[bytes]) -> bytes:
    return of.certificate({LEDGER: {b"certified_data": b"x"}}, paths, NOW * 10**9)


def changed(data: bytes, **parts: Any) -> bytes:
    """Return a certificate with other parts."""
    return cbor2.dumps({**cbor.decode(data), **parts})


@pytest.mark.parametrize("of", [ROOT, DELEGATED], ids=["root", "delegated"])
def test_a_certificate_proves_what_it_shows(of: Subnet) -> None:
    data = certificate(of, (b"canister", LEDGER, b"certified_data"))
    proved = verify(data, of.root_key, now=NOW + 299, canister=LEDGER)
    assert (proved.subnet, proved.time_ns) == (of.id, NOW * 10**9)
    assert hash_tree.lookup(proved.tree, (b"canister", LEDGER, b"certified_data")) == b"x"


def test_a_certificate_speaks_for_the_canisters_of_its_subnet_only() -> None:
    with pytest.raises(CertificateError, match="may not speak for"):
        verify(certificate(DELEGATED), DELEGATED.root_key, now=NOW, canister=ELSEWHERE)


def test_canister_ranges_that_are_none_prove_nothing() -> None:
    odd = subnet(delegated=True)
    odd.ranges = ((b"", 6),)  # type: ignore[assignment] # a subnet that certifies nonsense
    with pytest.raises(CertificateError, match="unreadable canister ranges"):
        verify(certificate(odd), odd.root_key, now=NOW, canister=LEDGER)


@pytest.mark.parametrize("now", [NOW - 301, NOW + 301])
def test_a_certificate_of_another_time_proves_nothing(now: int) -> None:
    with pytest.raises(CertificateError, match="s from ours"):
        verify(certificate(ROOT), ROOT.root_key, now=now, canister=LEDGER)


def test_a_certificate_that_is_not_signed_proves_nothing() -> None:
    good, later = certificate(ROOT), [2, b"time", [3, leb128.unsigned((NOW + 1) * 10**9)]]
    for data, root_key in (
        (good, MAINNET_ROOT_KEY),
        (changed(good, tree=later), ROOT.root_key),
        (changed(good, signature=SIGNATURE), ROOT.root_key),
    ):
        with pytest.raises(CertificateError, match="signature of a certificate is wrong"):
            verify(data, root_key, now=NOW, canister=LEDGER)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"tree": [7]}, "without its time"),
        ({"tree": [2, b"time", [3, b"\x80"]]}, "unreadable time"),
        ({"tree": [2, b"time", [2, b"x", [0]]]}, "no leaf at time"),
        ({"tree": [1, [2, b"time", [3, leb128.unsigned(NOW * 10**9)]], [7]]}, "none of the five kinds"),
        ({"signature": None}, "without tree or signature"),
        ({"delegation": {}}, "without subnet or certificate"),
        ({"delegation": {"subnet_id": b"x", "certificate": cbor2.dumps(7)}}, "without tree or signature"),
    ],
)
def test_a_certificate_that_is_damaged_proves_nothing(parts: dict[str, Any], reason: str) -> None:
    with pytest.raises(CertificateError, match=reason):
        verify(changed(certificate(ROOT), **parts), ROOT.root_key, now=NOW, canister=LEDGER)


def test_a_delegation_is_not_delegated_itself() -> None:
    delegation = {"subnet_id": b"x", "certificate": certificate(DELEGATED)}
    with pytest.raises(CertificateError, match="delegated itself"):
        verify(changed(certificate(ROOT), delegation=delegation), ROOT.root_key, now=NOW, canister=LEDGER)


@pytest.mark.parametrize("data", [b"", b"\x81", b"\xd9\xd9\xf7\xa1"])
def test_bytes_that_are_no_certificate_prove_nothing(data: bytes) -> None:
    with pytest.raises(CertificateError, match="no CBOR"):
        verify(data, ROOT.root_key, now=NOW, canister=LEDGER)


TREE = [1, [2, b"a", [1, [2, b"x", [3, b"1"]], [2, b"y", [4, bytes(32)]]]], [1, [2, b"b", [3, b"2"]], [4, bytes(32)]]]


@pytest.mark.parametrize(
    ("path", "found"),
    [((b"a", b"x"), b"1"), ((b"b",), b"2"), ((b"a", b"y"), None), ((b"c",), None), ((b"b", b"c"), None)],
)
def test_leaves_are_found_by_their_paths(path: Sequence[bytes], found: bytes | None) -> None:
    assert hash_tree.lookup(TREE, path) == found


def test_the_tree_of_the_interface_specification() -> None:
    tree = [
        1,
        [1, [2, b"a", [1, [1, [2, b"x", [3, b"hello"]], [0]], [2, b"y", [3, b"world"]]]], [2, b"b", [3, b"good"]]],
        [1, [2, b"c", [0]], [2, b"d", [3, b"morning"]]],
    ]
    assert hash_tree.root_hash(tree).hex() == "eb5c5b2195e62d996b84c9bcc8259d19a83786a2f59e0878cec84c811f669aa0"
    assert hash_tree.lookup(tree, (b"a", b"y")) == b"world"


def test_a_path_that_leads_to_two_places_or_to_no_leaf_is_refused() -> None:
    with pytest.raises(hash_tree.HashTreeError, match="not in order"):
        hash_tree.lookup([1, [2, b"a", [3, b"1"]], [2, b"a", [3, b"2"]]], (b"a",))
    with pytest.raises(hash_tree.HashTreeError, match="no leaf"):
        hash_tree.lookup(TREE, (b"a",))


class _Certificates:
    """Hands out certificates of a subnet, and counts them."""

    def __init__(self, of: Subnet) -> None:
        self.of = of
        self.given = 0

    async def read_state(self, canister: bytes, paths: Sequence[Sequence[bytes]]) -> bytes:
        self.given += 1
        return certificate(self.of, *paths)

    async def read_subnet_state(self, subnet: bytes, paths: Sequence[Sequence[bytes]]) -> bytes:
        raise AssertionError("the canister's certificate has the nodes")


def signed(of: Subnet, answer: dict[str, Any], asked: bytes, at: int = NOW) -> dict[str, Any]:
    return {**answer, "signatures": [of.signature({**answer, "request_id": asked}, at * 10**9, behind=False)]}


def test_an_answer_is_proved_by_a_node_of_the_subnet_and_by_no_other() -> None:
    asked = representation_hash("what was asked")
    reply = {"status": "replied", "reply": {"arg": b"DIDL\x00\x00"}}
    refusal = {"status": "rejected", "reject_code": 5, "reject_message": "no", "error_code": "IC0503"}
    good, stranger = signed(ROOT, reply, asked), signed(Subnet("elsewhere"), reply, asked)
    bad: list[tuple[dict[str, Any], str]] = [
        ({**good, "reply": {"arg": b"DIDL\x00\x01"}}, "signature of node"),
        (signed(ROOT, reply, b"another request"), "signature of node"),
        ({**good, "signatures": []}, "without signatures"),
        (reply, "without readable signatures"),
        ({**good, "signatures": [{}]}, "without readable signatures"),
        (signed(ROOT, reply, asked, NOW - 301), "-301 s from now"),
    ]
    reader = _Certificates(ROOT)

    async def run() -> None:
        signatures = QuerySignatures(reader, ROOT.root_key, lambda: float(NOW))
        await signatures.check(LEDGER, asked, good, "query x")
        await signatures.check(LEDGER, asked, signed(ROOT, refusal, asked), "query x")
        for answer, reason in bad:
            with pytest.raises(NotVerified, match=reason):
                await signatures.check(LEDGER, asked, answer, "query x")
        # One certificate was enough for all of these. A node that is not known may be new.
        assert reader.given == 1
        with pytest.raises(NotVerified, match="no node of the canister's subnet"):
            await signatures.check(LEDGER, asked, stranger, "query x")

    asyncio.run(run())


def test_replies_and_rejects_of_a_network_are_proved_end_to_end() -> None:
    standin = InternetComputerStandIn(delegated=True)

    async def metadata(agent: IcAgent) -> bytes:
        return await agent.query(LEDGER, "metadata", b"DIDL\x00\x00")

    async def conversation(agent: IcAgent) -> tuple[bytes, Exception]:
        reply = await metadata(agent)
        reject(standin.replica, 4)
        with pytest.raises(Rejected) as caught:
            await metadata(agent)
        return reply, caught.value

    with standin.running() as url:
        standin.replica.signs = False
        assert isinstance(refused(url, metadata, root_key=standin.replica.subnet.root_key), NotVerified)
        standin.replica.signs = True
        reply, rejected = talk(url, conversation, root_key=standin.replica.subnet.root_key)
    assert reply.startswith(b"DIDL")
    assert "IC0406" in str(rejected)


def test_verifying_signatures_leaves_the_guard_against_deep_nesting_in_place() -> None:
    script = (
        "import json, sys\n"
        "from sync_pipelines.systems.internet_computer import bls\n"
        "bls.is_signed(b'', bytes(48), bytes(96))\n"
        "try:\n"
        "    json.loads('[' * 200_000)\n"
        "except RecursionError:\n"
        "    print('refused')\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.returncode) == ("refused", 0)
