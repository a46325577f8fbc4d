"""Principals and accounts as text."""

from __future__ import annotations

import pytest

from sync_pipelines.pipelines.ledger.payloads import Account
from sync_pipelines.pipelines.ledger.principals import account_text, principal_text, principal_text_of_key
from sync_pipelines.systems.internet_computer.principal import principal_bytes
from sync_pipelines_tests.pipelines.ledger.sources import expected

OWNER = "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae"


@pytest.mark.parametrize(
    ("pubkey", "text"),
    [
        (
            "b89e3238ea8f1ed833938565db8949abd8c78325d71752810966c61cf2040ee0",
            "oklaa-ptl4i-uqysq-lxgo4-ya4ki-7dt3a-53rry-f7s47-ovxl4-r3rnm-5qe",
        ),
        (
            "009ac65c648d044bf85ff9c1baa58aa93c22fa57e4394e86c69d6751187f0851",
            "zrt5x-yw3i6-ez2tr-ua76a-qqbct-o2onk-vrbiw-36wsh-zzbyg-4tkbt-wae",
        ),
    ],
)
def test_golden_vectors_of_two_keys(pubkey: str, text: str) -> None:
    assert principal_text_of_key(bytes.fromhex(pubkey)) == text


def test_the_users_of_the_small_ledger_have_the_principals_that_are_listed() -> None:
    for row in expected()["tables"]["dc_users"]:
        assert principal_text_of_key(bytes.fromhex(row["pubkey"])) == row["principal"]


def test_the_minting_owner_has_a_text_although_it_is_no_principal() -> None:
    assert principal_text(b"MINTING") == "zjbo4-sknjf-hfisk-oi4"


@pytest.mark.parametrize(
    ("subaccount", "behind_owner"),
    [
        (None, ""),
        (bytes(32), ""),
        (bytes(31) + b"\x01", "-6cc627i.1"),
        (bytes(range(1, 33)), "-dfxgiyy.102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"),
    ],
)
def test_an_account_is_written_as_icrc_1_has_it(subaccount: bytes | None, behind_owner: str) -> None:
    assert account_text(Account(principal_bytes(OWNER), subaccount)) == OWNER + behind_owner
