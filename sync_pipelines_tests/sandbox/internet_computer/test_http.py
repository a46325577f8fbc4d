"""The HTTP interface refuses what a replica refuses, in the form in which it does."""

from __future__ import annotations

import time
from typing import Any

import cbor2
import httpx
import pytest

from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, identity
from sync_pipelines.sandbox.internet_computer.candid_decoding import decode
from sync_pipelines.sandbox.internet_computer.candid_encoding import encode
from sync_pipelines.sandbox.internet_computer.identities import verifies
from sync_pipelines.sandbox.internet_computer.ledger_types import (
    DATA_FETCH_ARGUMENTS,
    DATA_FETCH_RESULT,
    NEXT_BLOCK_ARGUMENTS,
)
from sync_pipelines.sandbox.internet_computer.principals import ANONYMOUS, canister_principal, principal_text
from sync_pipelines.sandbox.internet_computer.representation import hash_of
from sync_pipelines.sandbox.internet_computer.token_ledger import TokenLedger
from sync_pipelines_tests.sandbox.internet_computer.asking import answer, content, post

FAR_AWAY = principal_text(canister_principal(2**40))


def _query(standin: InternetComputerStandIn) -> str:
    return f"v2/canister/{standin.world.canister_id}/query"


def _asked(standin: InternetComputerStandIn, **others: Any) -> dict[str, Any]:
    return content(standin.world.canister_id, "metadata", **others)


def _soon() -> int:
    return time.time_ns() + 60 * 10**9


def test_the_request_id_is_that_of_the_specification() -> None:
    asked = {
        "request_type": "call",
        "sender": ANONYMOUS,
        "ingress_expiry": 1685570400000000000,
        "canister_id": bytes.fromhex("00000000000004D2"),
        "method_name": "hello",
        "arg": b"DIDL\x00\xfd*",
    }
    assert hash_of(asked).hex() == "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101"


def test_who_is_asked_for_its_status_tells_that_it_is_healthy(client: httpx.Client) -> None:
    told = answer(client.get("/api/v2/status"))
    assert told["replica_health_status"] == "healthy"
    assert len(told.get("root_key", bytes(133))) == 133


def test_without_the_means_to_sign_there_are_no_certificates_and_no_root_key(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    standin.replica.subnet.certifies = False
    assert "root_key" not in answer(client.get("/api/v2/status"))
    asked = {"request_type": "read_state", "sender": ANONYMOUS, "ingress_expiry": _soon(), "paths": [[b"time"]]}
    refused = post(client, _query(standin).replace("query", "read_state"), asked)
    assert refused.status_code == 501
    assert "py_ecc is not installed" in refused.text


@pytest.mark.parametrize("path", [[b"canister", b"\x01"], [b"request_status", bytes(32)], []])
def test_a_path_that_a_replica_shows_nobody_is_refused(
    standin: InternetComputerStandIn, client: httpx.Client, path: list[bytes]
) -> None:
    asked = {"request_type": "read_state", "sender": ANONYMOUS, "ingress_expiry": _soon(), "paths": [path]}
    refused = post(client, _query(standin).replace("query", "read_state"), asked)
    assert refused.status_code == 400
    assert "Invalid read state request" in refused.text


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("tagged", [True, False])
def test_a_query_is_answered_by_both_versions_tagged_or_not(
    standin: InternetComputerStandIn, client: httpx.Client, version: str, tagged: bool
) -> None:
    arg = encode(DATA_FETCH_ARGUMENTS, ["position=0", None])
    asked = content(standin.world.canister_id, "data_fetch", arg)
    told = answer(post(client, _query(standin).replace("v2", version), asked, tagged=tagged))
    assert told["status"] == "replied"
    (found,) = decode(told["reply"]["arg"], [DATA_FETCH_RESULT])
    assert found["Ok"][0] == "position=8388608&response_bytes=500&direction=forward&more=true"


def test_null_for_what_an_anonymous_request_lacks_is_taken(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    nothing: dict[str, Any] = {"sender_pubkey": None, "sender_sig": None, "sender_delegation": None}
    assert answer(post(client, _query(standin), _asked(standin), **nothing))["status"] == "replied"


def test_a_reply_is_signed_by_a_node_over_the_request(standin: InternetComputerStandIn, client: httpx.Client) -> None:
    asked = _asked(standin)
    told = answer(post(client, _query(standin), asked))
    (signature,) = told.pop("signatures")
    node = standin.replica.subnet.nodes[0]
    assert signature["identity"] == node.principal
    signed = {**told, "request_id": hash_of(asked), "timestamp": signature["timestamp"]}
    assert verifies(node.public_key, b"\x0bic-response" + hash_of(signed), signature["signature"])


def test_a_signed_request_is_taken_and_one_with_a_wrong_signature_is_not(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    person = identity("somebody")
    asked = _asked(standin, sender=person.principal)
    signature = person.sign(b"\x0aic-request" + hash_of(asked))
    envelope: dict[str, Any] = {"sender_pubkey": person.der_key, "sender_sig": signature}
    assert answer(post(client, _query(standin), asked, **envelope))["status"] == "replied"
    for wrong in ({"sender_sig": bytes(64)}, {"sender_pubkey": identity("other").der_key}, {"sender_pubkey": None}):
        refused = post(client, _query(standin), asked, **(envelope | wrong))
        assert refused.status_code == 400
        assert "signature" in refused.text


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("expired", {"ingress_expiry": 1}, "Specified ingress_expiry not within expected range"),
    ("too far ahead", {"ingress_expiry": 2**63}, "Specified ingress_expiry not within expected range"),
    ("no number as expiry", {"ingress_expiry": "soon"}, "invalid type for field `ingress_expiry`"),
    ("another type", {"request_type": "call"}, "unknown variant `call`, expected `query`"),
    ("no method", {"method_name": None}, "missing field `method_name`"),
    ("text as argument", {"arg": "DIDL"}, "invalid type for field `arg`"),
    ("unknown field", {"colour": "red"}, "unknown field `colour`"),
    ("another canister", {"canister_id": b"\x00" * 8 + b"\x01\x01"}, "does not match effective canister id in URL"),
    ("long nonce", {"nonce": bytes(33)}, "Invalid nonce"),
    ("long principal", {"sender": bytes(30)}, "at most 29 bytes"),
    ("unsigned", {"sender": identity("somebody").principal}, "Missing signature from user"),
]


@pytest.mark.parametrize(("others", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_request_that_is_wrong_in_one_way_is_refused_with_a_text(
    standin: InternetComputerStandIn, client: httpx.Client, others: dict[str, Any], text: str
) -> None:
    refused = post(client, _query(standin), _asked(standin, **others))
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"
    assert text in refused.text
    assert not standin.replica.queries


@pytest.mark.parametrize(
    "body", [b"", b"not cbor", b"\x9f", b"\x81" * 5000, cbor2.dumps([]), cbor2.dumps({"content": 1}), b"\xa0\xa0"]
)
def test_a_body_that_is_no_envelope_is_refused(
    standin: InternetComputerStandIn, client: httpx.Client, body: bytes
) -> None:
    refused = post(client, _query(standin), body)
    assert refused.status_code == 400
    assert "Could not parse body as CBOR message" in refused.text


def test_another_media_type_or_a_malformed_id_is_refused(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    refused = post(client, _query(standin), _asked(standin), content_type="application/json")
    assert (refused.status_code, refused.text) == (400, "Unexpected content-type, expected application/cbor.")
    shouted = post(client, _query(standin).replace("ggi4a", "GGI4A"), _asked(standin))
    assert shouted.status_code == 400
    assert "malformed_request" in shouted.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v2/status", 405),
        ("GET", "/api/v2/canister/{}/query", 405),
        ("POST", "/api/v3/canister/{}/call", 404),
        ("POST", "/api/v4/canister/{}/query", 404),
    ],
)
def test_what_is_not_served_is_refused(
    standin: InternetComputerStandIn, client: httpx.Client, method: str, path: str, status: int
) -> None:
    assert client.request(method, path.format(standin.world.canister_id)).status_code == status


def test_an_id_of_no_subnet_is_refused_and_one_of_this_subnet_rejected(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    standin.with_token(TokenLedger.grown(1))
    nowhere = post(client, f"v2/canister/{FAR_AWAY}/query", content(FAR_AWAY, "metadata"))
    assert nowhere.status_code == 400
    assert "canister_not_found" in nowhere.text
    between = principal_text(canister_principal(0x0180_0A00))
    told = answer(post(client, f"v2/canister/{between}/query", content(between, "metadata")))
    assert (told["status"], told["reject_code"], told["error_code"]) == ("rejected", 3, "IC0301")


def test_an_anonymous_request_may_expire_whenever_it_likes_where_that_is_not_checked(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    standin.replica.checks_anonymous_expiry = False
    assert answer(post(client, _query(standin), _asked(standin, ingress_expiry=1)))["status"] == "replied"


def test_a_replica_whose_clock_is_wrong_refuses_and_tells_both_times(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    standin.replica.skew_seconds = 3600
    refused = post(client, _query(standin), _asked(standin))
    assert refused.status_code == 400
    assert "Minimum allowed expiry: " in refused.text
    assert "Provided expiry:        " in refused.text


def test_a_page_of_pending_entries_beyond_three_mebibytes_is_rejected(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    for number in range(100):
        standin.world.put("ProvOffering", bytes([number]), bytes(40_000))
    asked = content(standin.world.canister_id, "next_block_entries", encode(NEXT_BLOCK_ARGUMENTS, [None, None, None]))
    told = answer(post(client, _query(standin), asked))
    assert (told["reject_code"], told["error_code"]) == (5, "IC0504")
    smaller = encode(NEXT_BLOCK_ARGUMENTS, [None, 0, 50])
    asked = content(standin.world.canister_id, "next_block_entries", smaller)
    assert answer(post(client, _query(standin), asked))["status"] == "replied"


def test_a_lagging_node_signs_with_its_own_key(standin: InternetComputerStandIn, client: httpx.Client) -> None:
    standin.world.lag(2)
    told = answer(post(client, _query(standin), _asked(standin)))
    assert told["signatures"][0]["identity"] == standin.replica.subnet.nodes[1].principal


def test_a_hosted_replica_is_served_below_its_key_only(standin: InternetComputerStandIn) -> None:
    hosted = InternetComputerStandIn(standin.world, key="customer-key")
    with hosted.running() as url, httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/api/v2/status").status_code == 403
        assert client.get("/customer-key/api/v2/status").status_code == 200


def test_a_person_can_let_the_ledger_grow_and_suffer_while_it_is_served(
    standin: InternetComputerStandIn, client: httpx.Client
) -> None:
    before = client.get("/_sandbox/ledger").json()
    assert before["blocks"] == 6
    assert client.post("/_sandbox/ledger/grow", json={"blocks": 2}).json()["blocks"] == 8
    assert client.post("/_sandbox/ledger/stir").json()["pending"] > 0
    moment = time.time_ns()
    assert client.post("/_sandbox/ledger/commit", json={"at_ns": moment}).json()["latest_ns"] == moment
    client.post("/_sandbox/ledger/put", json={"label": "X", "key": "00", "value": "ff"})
    assert client.post("/_sandbox/ledger/rewrite_tail", json={"blocks": 1, "then": 2}).json()["blocks"] == 10
    client.post("/_sandbox/ledger/reject", json={"code": 2, "times": 1})
    assert answer(post(client, _query(standin), _asked(standin)))["reject_code"] == 2
    assert answer(post(client, _query(standin), _asked(standin)))["status"] == "replied"
    assert client.post("/_sandbox/ledger/reinstall").json()["blocks"] == 3
    assert client.post("/_sandbox/ledger/explode").status_code == 404
    assert client.post("/_sandbox/ledger/put", json={"label": "X"}).status_code == 404
