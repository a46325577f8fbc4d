"""What the values of entries mean, by their labels."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipelines.pipelines.ledger.payloads import (
    LEGACY_LABELS,
    MOVEMENTS,
    Account,
    Approval,
    CheckIn,
    ContractReply,
    ContractRequest,
    Label,
    LinkedPrincipals,
    Payload,
    PayloadError,
    PaymentEntry,
    Registration,
    ReputationAging,
    ReputationChanges,
    Reward,
    SignedOfferings,
    SignedProfile,
    Transfer,
    TransferKind,
    decode_payload,
    known_label,
)
from sync_pipelines_tests.pipelines.ledger.sources import expected
from sync_pipelines_tests.pipelines.ledger.written import sized, u32, u64

SIGNATURE = bytes(range(64))
ALICE, BOB = sized(b"alice") + b"\0", sized(b"bob") + b"\x01" + sized(bytes(32))
MINTING = sized(b"MINTING") + b"\0"
REQUEST = b"".join(
    [
        b"\0"
        + sized(b"r" * 32)
        + sized("ssh-ed25519 AAAA")
        + sized("me@example.com")
        + sized(b"p" * 32)
        + sized("A-1"),
        b"\x01" + sized("eu") + b"\0" + b"\x01" + sized("#cloud-config\n"),
        u64(2**63) + u32(2),
        sized("on_demand") + sized("hour") + u64(24) + u64(5),
        sized("reserved") + sized("month") + u64(1) + u64(2**64 - 1),
        b"\x01" + u64(1704100000) + sized("memo\0"),
    ]
)
REPLY = b"\0" + sized(b"r" * 32) + sized("memo") + sized(b"c" * 32) + b"\x01" + sized("Welcome") + sized("ssh ...")


def transfer(*, sender: bytes = ALICE, receiver: bytes = BOB, fee: bytes = b"\0", memo: bytes = b"") -> bytes:
    """Return the value of a transfer of 7 e9s."""
    return b"".join([b"\0", sender, receiver, fee, b"\0", b"\0", sized(memo), u64(7), u64(1), u64(2)])


VALUES: dict[str, tuple[bytes, Payload]] = {
    "ProvRegister": (SIGNATURE, Registration(SIGNATURE)),
    "UserRegister": (b"", Registration(b"")),
    "ProvCheckIn": (b"\0" + sized("héllo") + sized(SIGNATURE), CheckIn("héllo", SIGNATURE)),
    "ProvProfile": (b"\0" + sized(b"profile") + sized(SIGNATURE), SignedProfile(b"profile", SIGNATURE)),
    "ProvOffering": (b"\0" + sized(b"a,b") + sized(b""), SignedOfferings(b"a,b", b"")),
    "ContractSignReq": (
        b"\0" + sized(REQUEST) + sized(SIGNATURE),
        ContractRequest(
            payload=REQUEST,
            signature=SIGNATURE,
            requester_pubkey=b"r" * 32,
            requester_ssh_pubkey="ssh-ed25519 AAAA",
            requester_contact="me@example.com",
            provider_pubkey=b"p" * 32,
            offering_id="A-1",
            region_name="eu",
            extends_contract_id=None,
            instance_config="#cloud-config\n",
            payment_amount_e9s=2**63,
            payment_entries=(
                PaymentEntry("on_demand", "hour", 24, 5),
                PaymentEntry("reserved", "month", 1, 2**64 - 1),
            ),
            start_timestamp=1704100000,
            request_memo="memo\0",
        ),
    ),
    "ContractSignReply": (
        b"\0" + sized(REPLY) + sized(SIGNATURE),
        ContractReply(REPLY, SIGNATURE, b"r" * 32, "memo", b"c" * 32, True, "Welcome", "ssh ..."),
    ),
    "RewardDistr": (bytes.fromhex("00d075835c0da617"), Reward(1704064200000000000)),
    "DCTokenTransfer": (
        b"".join(
            (
                *(b"\0", ALICE, BOB, b"\x01", u64(0), b"\x01", u32(2), ALICE, MINTING),
                *(b"\x01", u64(3), sized(b"\xff"), u64(2**64 - 1), u64(1), u64(2)),
            )
        ),
        Transfer(
            sender=Account(b"alice", None),
            receiver=Account(b"bob", bytes(32)),
            fee=0,
            fee_accounts=(Account(b"alice", None), Account(b"MINTING", None)),
            created_at_ns=3,
            memo=b"\xff",
            amount=2**64 - 1,
            from_balance_after=1,
            to_balance_after=2,
        ),
    ),
    "DCTokenApproval": (
        b"".join([b"\0", ALICE, BOB, u64(2**64 - 1), b"\x01", u64(9), u64(1), sized(b"m"), u64(4)]),
        Approval(Account(b"alice", None), Account(b"bob", bytes(32)), 2**64 - 1, 9, 1, b"m", 4),
    ),
    "RepChange": (
        b"\0" + u32(2) + sized(b"k" * 32) + u64(5) + sized(b"k" * 32) + u64(2**63),
        ReputationChanges(((b"k" * 32, 5), (b"k" * 32, -(2**63)))),
    ),
    "RepAge": (b"\0" + u64(1000), ReputationAging(1000)),
    "LinkedIcIds": (
        b"\0" + sized(b"main") + u32(2) + sized(b"a") + sized(b"") + u32(1) + sized(b"b" * 29),
        LinkedPrincipals(b"main", (b"a", b""), (b"b" * 29,)),
    ),
}

WITH_END = sorted(set(VALUES) - {"ProvRegister", "UserRegister"})


def refusal(label: str, value: bytes) -> str:
    """Return why a value is refused."""
    with pytest.raises(PayloadError) as refused:
        decode_payload(label, value)
    return refused.value.reason


@pytest.mark.parametrize("label", [label.value for label in Label if label not in (*MOVEMENTS, Label.APPROVE_2)])
def test_every_label_has_a_reader(label: str) -> None:
    value, payload = VALUES[label]

    assert decode_payload(label, value) == payload


@pytest.mark.parametrize(("legacy", "label"), LEGACY_LABELS.items())
def test_a_legacy_label_is_read_like_its_successor(legacy: str, label: Label) -> None:
    value, payload = VALUES[label]

    assert known_label(legacy) is known_label(label) is label
    assert decode_payload(legacy, value) == payload


@pytest.mark.parametrize("label", ["", "provregister", "ContractSignRequest", "RewardDistribution", "Prüf✓", "L" * 300])
def test_an_unknown_label_means_nothing_and_is_no_mistake(label: str) -> None:
    assert known_label(label) is None
    assert decode_payload(label, b"\xff\xff") is None


@pytest.mark.parametrize("label", ["ProvCheckIn", "NPCheckIn"])
def test_a_check_in_of_64_bytes_is_the_signature_itself(label: str) -> None:
    assert decode_payload(label, SIGNATURE) == CheckIn(None, SIGNATURE)


@pytest.mark.parametrize("label", WITH_END)
def test_a_byte_left_over_makes_a_value_undecodable(label: str) -> None:
    assert refusal(label, VALUES[label][0] + b"\0") in {"1 bytes left over", "reward value"}


@pytest.mark.parametrize("label", WITH_END)
def test_a_value_cut_off_anywhere_is_undecodable(label: str) -> None:
    value = VALUES[label][0]

    for end in range(len(value)):
        # A check-in of 64 bytes is of the older form, whatever they are.
        assert (label, end) == ("ProvCheckIn", 64) or refusal(label, value[:end])


@pytest.mark.parametrize("label", [label for label in WITH_END if label != "RewardDistr"])
def test_a_newer_version_is_undecodable(label: str) -> None:
    assert refusal(label, b"\x01" + VALUES[label][0][1:]) == "unknown enum tag 1"


@pytest.mark.parametrize(
    ("label", "value", "reason"),
    [
        ("ProvProfile", b"\0" + u32(2**32 - 1) + b" short", "need 4294967295 bytes at 5, have 6"),
        ("ProvCheckIn", b"\0" + sized(b"\xff\xfe"), "bad utf-8"),
        ("RepChange", b"\0" + u32(2), "need 4 bytes at 5, have 0"),
        ("RepChange", b"\0" + u32(2**32 - 1), "4294967295 items"),
        ("ContractSignReply", b"", "need 1 bytes at 0, have 0"),
        ("ContractSignReq", b"\0" + sized(b"abc") + sized(SIGNATURE), "unknown enum tag 97"),
        ("DCTokenTransfer", b"\0" + sized(b"alice") + b"\x02", "unknown option tag 2"),
        ("DCTokenTransfer", b"\0" + sized(b"p" * 30) + b"\0", "principal of 30 bytes"),
        ("LinkedIcIds", b"\0" + sized(b"m") + u32(1) + sized(b"p" * 30), "principal of 30 bytes"),
        ("RewardDistr", b"\x01\x02", "reward value"),
    ],
)
def test_the_reason_says_what_is_wrong_and_where(label: str, value: bytes, reason: str) -> None:
    assert refusal(label, value) == reason


def test_a_bool_is_zero_or_one() -> None:
    payload = REPLY.replace(b"\x01" + sized("Welcome"), b"\x02" + sized("Welcome"))

    assert refusal("ContractSignReply", b"\0" + sized(payload) + sized(SIGNATURE)) == "bool is 2"


@pytest.mark.parametrize(
    ("fields", "kind", "value_e9s"),
    [
        ({}, TransferKind.TRANSFER, 7),
        ({"fee": b"\x01" + u64(3)}, TransferKind.TRANSFER, 7),
        ({"sender": MINTING}, TransferKind.MINT, 7),
        ({"receiver": MINTING}, TransferKind.BURN, 7),
        ({"receiver": MINTING, "fee": b"\x01" + u64(3)}, TransferKind.BURN, 10),
    ],
)
def test_minting_decides_the_kind_and_a_burn_counts_its_fee(
    fields: dict[str, Any], kind: TransferKind, value_e9s: int
) -> None:
    payload = decode_payload("DCTokenTransfer", transfer(**fields))

    assert isinstance(payload, Transfer)
    assert (payload.kind, payload.value_e9s) == (kind, value_e9s)


@pytest.mark.parametrize(("memo", "text"), [(b"", ""), ("Zürich".encode(), "Zürich"), (b"\xff", None), (b"a\0b", None)])
def test_a_memo_is_text_where_postgresql_can_hold_it(memo: bytes, text: str | None) -> None:
    payload = decode_payload("DCTokenTransfer", transfer(memo=memo))

    assert isinstance(payload, Transfer)
    assert (payload.memo, payload.memo_text) == (memo, text)


def test_the_small_ledger_has_exactly_the_undecodable_payloads_that_are_listed() -> None:
    found = []
    for block in expected()["blocks"]:
        for each in block["entries"]:
            if each["operation"] == "Delete":
                continue
            try:
                decode_payload(each["label"], bytes.fromhex(each["value"]))
            except PayloadError as error:
                found.append((block["offset"], each["label"], each["key"], error.reason))

    listed = [each for each in expected()["errors"] if each["code"] == "payload_undecodable"]
    assert sorted(found) == sorted(
        (each["block_offset"], each["label"], each["key"], each["detail"]) for each in listed
    )
