"""Ids of transfers."""

from __future__ import annotations

from dataclasses import replace

from sync_pipelines.pipelines.ledger.payloads import Account, PayloadError, Transfer, decode_payload
from sync_pipelines.pipelines.ledger.transfer_ids import transfer_id
from sync_pipelines.systems.internet_computer.principal import ed25519_principal
from sync_pipelines_tests.pipelines.ledger.sources import expected

PROV1 = bytes.fromhex("b89e3238ea8f1ed833938565db8949abd8c78325d71752810966c61cf2040ee0")
MINT = Transfer(
    sender=Account(b"MINTING", None),
    receiver=Account(ed25519_principal(PROV1), None),
    fee=None,
    fee_accounts=None,
    created_at_ns=1704063600000000000,
    memo=b"",
    amount=50_000_000_000,
    from_balance_after=0,
    to_balance_after=50_000_000_000,
)


def test_golden_vector_of_a_mint() -> None:
    assert transfer_id(MINT).hex() == "9bbb865955132fd3a319478769b6ab0ffb00736e21744633fb46135c8c572540"


def test_every_transfer_of_the_small_ledger_has_its_id_as_key_where_that_is_listed() -> None:
    listed = {(row["block_offset"], row["tx_id"]): row for row in expected()["tables"]["token_transfers"]}
    seen = 0
    for block in expected()["blocks"]:
        for each in block["entries"]:
            if each["label"] != "DCTokenTransfer":
                continue
            try:
                payload = decode_payload(each["label"], bytes.fromhex(each["value"]))
            except PayloadError:
                continue
            assert isinstance(payload, Transfer)
            row = listed[block["offset"], each["key"]]
            seen += 1
            assert (transfer_id(payload).hex() == each["key"]) == row["tx_id_matches"]
            assert (payload.kind, payload.value_e9s, payload.memo_text) == (
                row["kind"],
                row["value_e9s"],
                row["memo_text"],
            )
    assert seen == len(listed)


def test_an_absent_and_an_all_zero_subaccount_make_the_same_id() -> None:
    receiver = Account(MINT.receiver.owner, bytes(32))

    assert transfer_id(replace(MINT, receiver=receiver)) == transfer_id(MINT)


def test_an_absent_fee_and_time_make_another_id_than_zero() -> None:
    ids = {
        transfer_id(MINT),
        transfer_id(replace(MINT, fee=0)),
        transfer_id(replace(MINT, created_at_ns=None)),
        transfer_id(replace(MINT, created_at_ns=0)),
        transfer_id(replace(MINT, memo=b"m")),
    }

    assert len(ids) == 5


def test_balances_and_fee_accounts_are_no_part_of_the_id() -> None:
    other = replace(MINT, fee_accounts=(MINT.sender,), from_balance_after=1, to_balance_after=1)

    assert transfer_id(other) == transfer_id(MINT)
