"""The plain token: its chain of hashes, its archive, and what it does not offer."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipelines.sandbox.internet_computer import InternetComputerStandIn, Reject, TokenLedger
from sync_pipelines.sandbox.internet_computer import token_types as types
from sync_pipelines.sandbox.internet_computer.candid_decoding import decode
from sync_pipelines.sandbox.internet_computer.candid_encoding import encode
from sync_pipelines.sandbox.internet_computer.candid_types import NAT, TEXT
from sync_pipelines.sandbox.internet_computer.canister import Canister
from sync_pipelines.sandbox.internet_computer.principals import principal_bytes
from sync_pipelines.sandbox.internet_computer.token_ledger import value_hash

# Published with ICRC-3's representation-independent hash.
VALUES: list[tuple[dict[str, Any], str]] = [
    ({"Nat": 42}, "684888c0ebb17f374298b65ee2807526c066094c701bcc7ebbe1c1095f494fc1"),
    ({"Int": -42}, "de5a6f78116eca62d7fc5ce159d23ae6b889b365a1739ad2cf36f925a140d0cc"),
    ({"Text": "Hello, World!"}, "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f"),
    ({"Blob": b"\x01\x02\x03\x04"}, "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a"),
    (
        {"Array": [{"Nat": 3}, {"Text": "foo"}, {"Blob": b"\x05\x06"}]},
        "514a04011caa503990d446b7dec5d79e19c221ae607fb08b2848c67734d468d6",
    ),
]


@pytest.fixture
def ledger() -> TokenLedger:
    return TokenLedger.grown(50)


def _get_blocks(canister: Canister, *ranges: tuple[int, int]) -> dict[str, Any]:
    asked = [{"start": start, "length": length} for start, length in ranges]
    reply = canister.query("icrc3_get_blocks", encode([types.GET_BLOCKS_ARGUMENTS], [asked]))
    (found,) = decode(reply.arg, [types.GET_BLOCKS_RESULT])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("value", "digest"), VALUES, ids=[next(iter(value)) for value, _ in VALUES])
def test_values_are_hashed_as_the_standard_shows(value: dict[str, Any], digest: str) -> None:
    assert value_hash(value).hex() == digest


def test_every_block_but_the_first_has_the_hash_of_the_one_before(ledger: TokenLedger) -> None:
    blocks = [dict(block["Map"]) for block in ledger.blocks]
    assert "phash" not in blocks[0]
    for block, before in zip(blocks[1:], ledger.blocks, strict=False):
        assert block["phash"] == {"Blob": value_hash(before)}
    kinds = {block["btype"]["Text"] for block in blocks if "btype" in block}
    assert {"1mint", "1xfer"} <= kinds
    assert any("btype" not in block for block in blocks)


def test_blocks_come_from_the_ledger_and_the_others_are_pointed_at(ledger: TokenLedger) -> None:
    standin = InternetComputerStandIn().with_token(ledger, archived=20, page=15)
    assert standin.token is not None
    assert standin.archive is not None
    told = _get_blocks(standin.token, (10, 20))
    assert told["log_length"] == 50
    assert [one["id"] for one in told["blocks"]] == list(range(20, 30))
    (pointer,) = told["archived_blocks"]
    assert pointer["callback"] == (principal_bytes(standin.archive.id), "icrc3_get_blocks")
    assert pointer["args"] == [{"start": 10, "length": 10}]
    archived = _get_blocks(standin.archive, (10, 10))
    assert [one["id"] for one in archived["blocks"]] == list(range(10, 20))
    assert archived["blocks"][0]["block"]["Map"] == ledger.blocks[10]["Map"]
    assert len(_get_blocks(standin.token, (0, 1000))["blocks"]) == 15


def test_facts_and_balances_are_told(ledger: TokenLedger) -> None:
    token = InternetComputerStandIn().with_token(ledger).token
    assert token is not None
    nothing = encode([], [])
    assert decode(token.query("icrc1_symbol", nothing).arg, [TEXT]) == ["DEMO"]
    assert decode(token.query("icrc1_total_supply", nothing).arg, [NAT]) == [ledger.supply]
    account, balance = next(iter(ledger.balances.items()))
    asked = {"owner": account.owner, "subaccount": account.subaccount}
    told = token.query("icrc1_balance_of", encode([types.ACCOUNT], [asked]))
    assert decode(told.arg, [NAT]) == [balance]


def test_a_token_without_icrc3_offers_none_of_it(ledger: TokenLedger) -> None:
    token = InternetComputerStandIn().with_token(ledger).token
    assert token is not None
    token.has_icrc3 = False
    with pytest.raises(Reject) as reject:
        token.query("icrc3_supported_block_types", encode([], []))
    assert (reject.value.code, reject.value.error_code) == (5, "IC0536")
