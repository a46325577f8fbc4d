"""Whatever a canister replies that cannot be: a message that helps, the position unmoved, and on it goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.ledger.importing import Ending
from sync_pipelines.sandbox.internet_computer import MAINNET_CANISTER, InternetComputerStandIn
from sync_pipelines.sandbox.internet_computer.canister import Reply
from sync_pipelines.sandbox.internet_computer.ledger_canister import LedgerCanister
from sync_pipelines.systems.internet_computer import candid
from sync_pipelines.systems.internet_computer.candid import BLOB, TEXT, Vec, tuple_of, variant
from sync_pipelines.systems.internet_computer.values import VALUE
from sync_pipelines_tests.pipelines.ledger.replicas import Replica, half_stored, served_ledger

METADATA, FETCHED = Vec(tuple_of(TEXT, VALUE)), variant({"Ok": tuple_of(TEXT, BLOB), "Err": TEXT, "Wait": TEXT})
START = 0x800000
ODD = "\x1b[31mred\x1b[0m\r\nINFO all is well\x07\x00\u202e\x9b2J"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[InternetComputerStandIn, str]]:
    with served_ledger() as served:
        yield served


@pytest.fixture
def replica(engine: Engine, served: tuple[InternetComputerStandIn, str]) -> Iterator[Replica]:
    with half_stored(engine, *served) as replica:
        yield replica


@dataclass
class Liar:
    """The ledger's canister, but for what it replies to one method."""

    honest: LedgerCanister
    method: str
    reply: bytes
    id: str = MAINNET_CANISTER
    certified_data: bytes = b""

    def query(self, method: str, arg: bytes) -> Reply:
        return Reply(self.reply) if method == self.method else self.honest.query(method, arg)


def _metadata(**told: int) -> bytes:
    numbers = {"data_start_lba": START, "next_block_start_pos": START + 9_999, "num_blocks": 9, **told}
    return candid.encode([METADATA], [[(f"ledger:{name}", ("Nat", number)) for name, number in numbers.items()]])


def _fetched(case: str, told: Any) -> bytes:
    return candid.encode([FETCHED], [(case, told)])


def _cursor(position: int, count: int, more: str = "true") -> str:
    return f"position={position}&response_bytes={count}&direction=forward&more={more}"


@pytest.mark.parametrize(
    ("method", "reply", "told"),
    [
        ("metadata", b"", "0 bytes that cannot be read: not Candid"),
        ("metadata", candid.encode([TEXT], ["x"]), "cannot be read: vec expected"),
        ("metadata", candid.encode([METADATA], [[]]), "data_start_lba is missing"),
        ("metadata", _metadata(next_block_start_pos=1), "ends at 1 before it begins"),
        ("metadata", _metadata(next_block_start_pos=2**63), "which no ledger reaches"),
        ("metadata", _metadata(num_blocks=2**200), "which no ledger reaches"),
        ("data_fetch", _fetched("Ok", (_cursor(0, 1), b"x")), "bytes at 0 came, those at"),
        ("data_fetch", _fetched("Ok", (_cursor(START, 1), b"xy")), "2 bytes came where the cursor tells of 1"),
        ("data_fetch", _fetched("Ok", ("", b"")), "a cursor with other fields"),
        ("data_fetch", _fetched("Wait", "a bit"), "an unknown case"),
        ("data_fetch", _fetched("Err", ODD), "the canister refused: .*all is well"),
        ("data_fetch", b"DIDL\x01\x6d\x7f\x01\x00" + b"\xff" * 9 + b"\x01", "cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_given_a_reply_that_cannot_be_it_is_told_and_nothing_moves(
    replica: Replica, method: str, reply: bytes, told: str
) -> None:
    before = replica.stored()
    replica.stand_in.replica.add(Liar(replica.stand_in.canister, method, reply))

    with pytest.raises(PeerError) as failed:
        replica.imported()

    assert failed.value.kind is FailureKind.PERMANENT
    assert re.search(told, str(failed.value)), str(failed.value)
    assert str(failed.value).isprintable()
    assert (replica.stored(), replica.notes()) == (before, [])
    replica.heal()
    assert replica.imported().ending is Ending.CAUGHT_UP
