"""Token ledgers: generic values and their hashes, the log with its archives, what blocks say."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import cbor2
import pytest

from sync_pipelines.core.errors import PeerError
from sync_pipelines.sandbox.internet_computer import (
    ARCHIVE_CANISTER,
    TOKEN_CANISTER,
    InternetComputerStandIn,
    TokenLedger,
)
from sync_pipelines.sandbox.internet_computer.canister import Reply
from sync_pipelines.sandbox.internet_computer.faults import reply_too_large
from sync_pipelines.sandbox.internet_computer.token_ledger import value_hash
from sync_pipelines.systems.internet_computer import (
    Account,
    ChainBroken,
    IcAgent,
    Icrc3Block,
    Icrc3Ledger,
    MethodNotOffered,
    UnexpectedReply,
    candid,
    leb128,
    token_transaction,
)
from sync_pipelines.systems.internet_computer.candid import NAT, Func, Vec, record
from sync_pipelines.systems.internet_computer.certificates import CertificateError
from sync_pipelines.systems.internet_computer.icrc3_tip import read_tip
from sync_pipelines.systems.internet_computer.principal import principal_bytes
from sync_pipelines.systems.internet_computer.values import VALUE, Value, hash_value
from sync_pipelines_tests.systems.internet_computer.network import CANISTER, refused, talk

FROM = bytes.fromhex("00abcdef0012340056789a00bcdef000012345678900abcdef01")
TO = bytes.fromhex("00ab0def0012340056789a00bcdef000012345678900abcdef01")
BLOCKS = 40


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("Nat", 42), "684888c0ebb17f374298b65ee2807526c066094c701bcc7ebbe1c1095f494fc1"),
        (("Int", -42), "de5a6f78116eca62d7fc5ce159d23ae6b889b365a1739ad2cf36f925a140d0cc"),
        (("Text", "Hello, World!"), "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f"),
        (("Blob", b"\x01\x02\x03\x04"), "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a"),
        (
            ("Array", [("Nat", 3), ("Text", "foo"), ("Blob", b"\x05\x06")]),
            "514a04011caa503990d446b7dec5d79e19c221ae607fb08b2848c67734d468d6",
        ),
        (
            (
                "Map",
                [
                    ("from", ("Blob", FROM)),
                    ("to", ("Blob", TO)),
                    ("amount", ("Nat", 42)),
                    ("created_at", ("Nat", 1699218263)),
                    ("memo", ("Nat", 0)),
                ],
            ),
            "c56ece650e1de4269c5bdeff7875949e3e2033f85b2d193c2ff4f7f78bdcfc75",
        ),
    ],
)
def test_hashes_of_the_standard(value: Value, expected: str) -> None:
    assert hash_value(value).hex() == expected


def test_what_is_no_value_has_no_hash() -> None:
    with pytest.raises(ValueError, match="is no value"):
        hash_value(("Float", 1.5))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[InternetComputerStandIn, str]]:
    standin = InternetComputerStandIn().with_token(TokenLedger.grown(BLOCKS), archived=25, page=7)
    with standin.running() as url:
        yield standin, url


@pytest.fixture
def standin(served: tuple[InternetComputerStandIn, str]) -> Iterator[InternetComputerStandIn]:
    """The stand-in, in order again afterwards."""
    standin, _ = served
    assert standin.token is not None
    blocks = list(standin.token.ledger.blocks)
    yield standin
    standin.replica.rejects.clear()
    standin.token.has_icrc3 = True
    standin.token.ledger.blocks[:] = blocks


@pytest.fixture
def url(served: tuple[InternetComputerStandIn, str]) -> str:
    return served[1]


def log(start: int = 0, parent_hash: bytes | None = None) -> Callable[[IcAgent], Any]:
    async def conversation(agent: IcAgent) -> list[Icrc3Block]:
        pages = Icrc3Ledger(agent, TOKEN_CANISTER).pages(start, parent_hash)
        return [block async for page in pages for block in page.blocks]

    return conversation


def hashes(standin: InternetComputerStandIn) -> list[bytes]:
    assert standin.token is not None
    return standin.token.ledger.hashes


def test_the_types_of_blocks_tell_whether_the_log_is_offered(standin: InternetComputerStandIn, url: str) -> None:
    def types(canister: str) -> tuple[str, ...] | None:
        return talk(url, lambda agent: Icrc3Ledger(agent, canister).supported_block_types())

    assert set(types(TOKEN_CANISTER) or ()) >= {"1mint", "1burn", "1xfer", "2approve", "2xfer"}
    assert types(CANISTER) is None


def test_the_log_is_put_together_from_ledger_and_archive(standin: InternetComputerStandIn, url: str) -> None:
    blocks = talk(url, log())
    assert [block.index for block in blocks] == list(range(BLOCKS))
    assert [block.hash for block in blocks] == hashes(standin)


def test_the_log_goes_on_from_where_a_copy_ends(standin: InternetComputerStandIn, url: str) -> None:
    known = hashes(standin)
    assert [block.index for block in talk(url, log(20, known[19]))] == list(range(20, BLOCKS))
    assert talk(url, log(BLOCKS, known[-1])) == []
    assert isinstance(refused(url, log(20, known[18])), ChainBroken)


def test_pages_that_are_too_large_are_halved(standin: InternetComputerStandIn, url: str) -> None:
    reply_too_large(standin.replica, TOKEN_CANISTER, method="icrc3_get_blocks", times=3)
    assert len(talk(url, log())) == BLOCKS


@pytest.mark.parametrize("index", [3, 30], ids=["archived", "recent"])
def test_a_changed_block_breaks_the_chain_after_it(standin: InternetComputerStandIn, url: str, index: int) -> None:
    assert standin.token is not None
    blocks = standin.token.ledger.blocks
    blocks[index] = {"Map": [*blocks[index]["Map"], ("more", {"Nat": 1})]}
    error = refused(url, log())
    assert isinstance(error, ChainBroken)
    assert f"block {index + 1} of {TOKEN_CANISTER} names" in error.message


def test_the_tip_is_certified(standin: InternetComputerStandIn, url: str) -> None:
    async def tip(agent: IcAgent) -> Any:
        return await Icrc3Ledger(agent, TOKEN_CANISTER).tip()

    for root_key in (None, standin.replica.subnet.root_key):
        found = talk(url, tip, root_key=root_key)
        assert (found.index, found.hash) == (BLOCKS - 1, hashes(standin)[-1])
        assert found.is_proved == (root_key is not None)


RANGES = Vec(record({"start": NAT, "length": NAT}))
REPLY = record(
    {
        "log_length": NAT,
        "blocks": Vec(record({"id": NAT, "block": VALUE})),
        "archived_blocks": Vec(record({"args": RANGES, "callback": Func()})),
    }
)


@dataclasses.dataclass
class Told:
    """A canister that says the same to everybody."""

    reply: dict[str, Any]
    id: str = ARCHIVE_CANISTER
    certified_data: bytes = b""

    def query(self, method: str, arg: bytes) -> Reply:
        return Reply(candid.encode([REPLY], [self.reply]))


ITSELF = {"args": [{"start": 0, "length": 1}], "callback": (principal_bytes(ARCHIVE_CANISTER), "icrc3_get_blocks")}


@pytest.mark.parametrize(
    ("blocks", "archived", "reason"),
    [
        ([], [], "no block 0, although there are 40"),
        ([], [ITSELF, ITSELF], "more than 64 archives"),
        ([{"id": 5000, "block": ("Nat", 1)}], [], "block 5000 came, which was not asked for"),
    ],
)
def test_an_archive_that_has_not_what_its_ledger_says(
    standin: InternetComputerStandIn, url: str, blocks: list[Any], archived: list[Any], reason: str
) -> None:
    assert standin.archive is not None
    standin.replica.add(Told({"log_length": 0, "blocks": blocks, "archived_blocks": archived}))
    try:
        error = refused(url, log())
    finally:
        standin.replica.add(standin.archive)
    assert isinstance(error, UnexpectedReply)
    assert reason in error.message


def told(standin: InternetComputerStandIn, url: str, reply: dict[str, Any], ask: Callable[[IcAgent], Any]) -> PeerError:
    """Return the error that a ledger which says so is answered by."""
    standin.replica.add(Told(reply, TOKEN_CANISTER))
    try:
        return refused(url, ask)
    finally:
        assert standin.token is not None
        standin.replica.add(standin.token)


def test_a_log_that_is_longer_than_any_is_refused(standin: InternetComputerStandIn, url: str) -> None:
    reply = {"log_length": 2**63, "blocks": [], "archived_blocks": []}
    for ask in (log(), lambda agent: Icrc3Ledger(agent, TOKEN_CANISTER).length()):
        error = told(standin, url, reply, ask)
        assert isinstance(error, UnexpectedReply)
        assert "which no ledger reaches" in error.message


def test_an_archive_with_a_strange_method_puts_no_control_characters_into_errors(
    standin: InternetComputerStandIn, url: str
) -> None:
    odd = (principal_bytes(ARCHIVE_CANISTER), "\x1b[2J\ngone")
    archived = [{"args": [{"start": 0, "length": 1}], "callback": odd}]
    error = told(standin, url, {"log_length": 1, "blocks": [], "archived_blocks": archived}, log())
    assert isinstance(error, MethodNotOffered)
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("index", "digest", "reason"),
    [
        (leb128.unsigned(2**63), bytes(32), "which no ledger reaches"),
        (b"\x80", bytes(32), "not one LEB128 number"),
        (b"\x01", bytes(31), "without index or hash"),
    ],
)
def test_a_tip_that_is_none_is_refused(index: bytes, digest: bytes, reason: str) -> None:
    tree = [1, [2, b"last_block_hash", [3, digest]], [2, b"last_block_index", [3, index]]]
    with pytest.raises(CertificateError, match=reason):
        read_tip(b"", cbor2.dumps(tree), b"\x01", None, 0.0)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (("Nat", 1), "cannot be read"),
        (("Map", [("phash", ("Blob", bytes(32)))]), "is the first one, and names a parent"),
    ],
)
def test_a_first_block_that_is_none(standin: InternetComputerStandIn, url: str, value: Value, reason: str) -> None:
    assert standin.archive is not None
    standin.replica.add(Told({"log_length": 1, "blocks": [{"id": 0, "block": value}], "archived_blocks": []}))
    try:
        error = refused(url, log())
    finally:
        standin.replica.add(standin.archive)
    assert isinstance(error, ChainBroken)
    assert reason in error.message


def pairs(*items: tuple[str, Value]) -> Value:
    return "Map", list(items)


ALICE, BOB = ("Array", [("Blob", b"a")]), ("Array", [("Blob", b"b"), ("Blob", bytes(32))])
PARENT = ("phash", ("Blob", bytes(32)))
NOW: tuple[str, Value] = ("ts", ("Nat", 1_753_344_727_778_561_060))


def block(value: Value) -> Icrc3Block:
    return Icrc3Block(7, value, hash_value(value))


def test_what_a_transfer_says() -> None:
    transaction = pairs(
        ("op", ("Text", "xfer")),
        ("amt", ("Nat", 85_224_322_205)),
        ("from", ALICE),
        ("to", BOB),
        ("memo", ("Blob", b"m")),
        ("ts", ("Nat", 5)),
        ("fee", ("Nat", 1)),
    )
    found = token_transaction(block(pairs(PARENT, NOW, ("fee", ("Nat", 10_000)), ("tx", transaction))))
    assert found is not None
    assert dataclasses.asdict(found) == {
        "index": 7,
        "kind": "transfer",
        "block_type": "1xfer",
        "timestamp_ns": 1_753_344_727_778_561_060,
        "amount": 85_224_322_205,
        "fee": 10_000,
        "source": {"owner": b"a", "subaccount": None},
        "target": {"owner": b"b", "subaccount": bytes(32)},
        "spender": None,
        "memo": b"m",
        "created_at_ns": 5,
        "expected_allowance": None,
        "expires_at_ns": None,
    }


AMOUNT, SPENDER = ("amt", ("Nat", 1)), ("spender", ALICE)


@pytest.mark.parametrize(
    ("named", "operation", "parts", "expected"),
    [
        ("1mint", None, [("to", BOB)], ("mint", "1mint", None, b"b", None)),
        (None, "mint", [("to", BOB)], ("mint", "1mint", None, b"b", None)),
        ("1burn", None, [("from", BOB)], ("burn", "1burn", b"b", None, None)),
        (None, "burn", [("from", BOB), SPENDER], ("burn", "2burn", b"b", None, b"a")),
        ("2xfer", None, [("from", BOB), ("to", BOB), SPENDER], ("transfer", "2xfer", b"b", b"b", b"a")),
        (None, "xfer", [("from", BOB), ("to", BOB), SPENDER], ("transfer", "2xfer", b"b", b"b", b"a")),
        ("2approve", None, [("from", BOB), SPENDER], ("approve", "2approve", b"b", None, b"a")),
        (None, "approve", [("from", BOB), SPENDER], ("approve", "2approve", b"b", None, b"a")),
    ],
)
def test_who_takes_part_in_what(
    named: str | None, operation: str | None, parts: list[tuple[str, Value]], expected: tuple[Any, ...]
) -> None:
    told = [("op", ("Text", operation))] if operation else []
    head = [("btype", ("Text", named))] if named else []
    found = token_transaction(block(pairs(*head, NOW, ("tx", pairs(*told, AMOUNT, *parts)))))
    assert found is not None
    owners = [account and account.owner for account in (found.source, found.target, found.spender)]
    assert (found.kind, found.block_type, *owners) == expected


def test_the_allowance_that_was_expected_and_its_end() -> None:
    more = [("expected_allowance", ("Nat", 2)), ("expires_at", ("Nat", 3)), ("fee", ("Nat", 4))]
    transaction = pairs(AMOUNT, ("from", BOB), SPENDER, *more)
    found = token_transaction(block(pairs(("btype", ("Text", "2approve")), NOW, ("tx", transaction))))
    assert found is not None
    assert (found.expected_allowance, found.expires_at_ns, found.fee) == (2, 3, 4)
    assert found.spender == Account(b"a", None)


@pytest.mark.parametrize("named", ["107feecol", "123freeze_account"])
def test_other_types_of_blocks_say_nothing_of_tokens(named: str) -> None:
    assert token_transaction(block(pairs(("btype", ("Text", named)), NOW))) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (("Nat", 1), "a map was expected"),
        (pairs(NOW, NOW), "a key twice"),
        (pairs(NOW), "a map was expected"),
        (pairs(NOW, ("tx", pairs(AMOUNT))), "op is missing"),
        (pairs(("tx", pairs(("op", ("Text", "mint")), AMOUNT, ("to", BOB)))), "ts is missing"),
        (pairs(NOW, ("tx", pairs(("op", ("Text", "mint")), ("to", BOB)))), "amt is missing"),
        (pairs(NOW, ("tx", pairs(("op", ("Text", "mint")), AMOUNT))), "to is missing"),
        (pairs(NOW, ("tx", pairs(("op", ("Text", "xfer")), AMOUNT, ("to", BOB)))), "from is missing"),
        (pairs(NOW, ("tx", pairs(("op", ("Text", "mint")), ("amt", ("Text", "1")), ("to", BOB)))), "amt is Text"),
        (pairs(NOW, ("tx", pairs(("op", ("Text", "mint")), AMOUNT, ("to", ("Array", []))))), "to is no account"),
    ],
)
def test_a_block_without_what_its_type_has_to_have_is_refused(value: Value, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        token_transaction(block(value))


def test_all_blocks_of_a_token_ledger_are_understood(standin: InternetComputerStandIn, url: str) -> None:
    found = [token_transaction(each) for each in talk(url, log())]
    assert {each.kind for each in found if each} >= {"mint", "transfer"}
    assert None not in found
    assert standin.token is not None
    balances: dict[Account, int] = {}
    for each in found:
        assert each is not None
        amount = 0 if each.kind == "approve" else each.amount
        if each.source is not None:
            balances[each.source] = balances.get(each.source, 0) - amount - (each.fee or 0)
        if each.target is not None:
            balances[each.target] = balances.get(each.target, 0) + amount
    expected = {Account(key.owner, key.subaccount): held for key, held in standin.token.ledger.balances.items()}
    assert balances == expected
    assert value_hash(standin.token.ledger.blocks[0]) == hashes(standin)[0]
