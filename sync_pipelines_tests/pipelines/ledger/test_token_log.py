"""A plain token's log (ICRC-3) is replicated like any other ledger: verified, resumable, and derived into its rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import ConfigurationError, PeerError
from sync_pipelines.pipelines.ledger.connection import LedgerConnection
from sync_pipelines.pipelines.ledger.importing import Diverged, Ending, ImportOutcome, ImportSettings, import_ledger
from sync_pipelines.pipelines.ledger.opening import open_ledger
from sync_pipelines.pipelines.ledger.projecting import derive_stale
from sync_pipelines.pipelines.ledger.resync import ResyncOutcome, resync_ledger
from sync_pipelines.pipelines.ledger.verify import Verification, verify_ledger
from sync_pipelines.sandbox.internet_computer import TOKEN_CANISTER, InternetComputerStandIn, LedgerWorld, TokenLedger
from sync_pipelines.sandbox.internet_computer.faults import QUERY, rate_limited, reject, wrong_content_type
from sync_pipelines.sandbox.internet_computer.token_ledger import nat, value_hash
from sync_pipelines.systems.internet_computer.principal import principal_text
from sync_pipelines.systems.throttle import NoThrottle
from sync_pipelines_tests.pipelines.ledger.sources import LOG
from sync_pipelines_tests.pipelines.ledger.stored import everything

NAME = "token"
BLOCKS, ARCHIVED, PAGE = 60, 25, 7


class Token:
    """A token at a stand-in, and the database its log goes to."""

    def __init__(self, engine: Engine, blocks: int = BLOCKS, **changes: Any) -> None:
        self.engine = engine
        self.ledger = TokenLedger.grown(blocks)
        self.stand_in = InternetComputerStandIn(LedgerWorld()).with_token(self.ledger, archived=ARCHIVED, page=PAGE)
        self.changes = changes
        self.url = ""

    @property
    def connection(self) -> LedgerConnection:
        row = {"name": NAME, "source": "icrc3", "canister_id": TOKEN_CANISTER, "url": self.url, "max_retries": 0}
        row["environment"] = "development"
        return LedgerConnection.model_validate(row | self.changes, context={"environment": {}})

    def imported(self, batch_size: int = 20, lag_seconds: float = 900) -> ImportOutcome:
        """Import as a run would."""

        async def run() -> ImportOutcome:
            settings = ImportSettings(batch_size=batch_size, lag_seconds=lag_seconds)
            async with open_ledger(self.connection, self.engine, throttle=NoThrottle(), read_delay=0) as opened:
                return await import_ledger(
                    self.engine, opened.source, NAME, TOKEN_CANISTER, run_id="a test", log=LOG, settings=settings
                )

        return asyncio.run(run())

    def resynced(self) -> ResyncOutcome:
        """Resync as a run would."""

        async def run() -> ResyncOutcome:
            async with open_ledger(self.connection, self.engine, throttle=NoThrottle(), read_delay=0) as opened:
                return await resync_ledger(self.engine, opened.source, NAME, TOKEN_CANISTER, run_id="a test", log=LOG)

        return asyncio.run(run())

    def derived(self) -> None:
        """Derive what was not derived yet."""
        derive_stale(self.engine, NAME, LOG)

    def verified(self) -> Verification:
        """Prove what is stored."""
        return verify_ledger(self.engine, NAME)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def hashes(self) -> list[bytes]:
        """Return the hashes of the stored blocks."""
        return [row[0] for row in self.rows("SELECT hash FROM sync.ledger_blocks ORDER BY block_offset")]

    def rewrite(self, number: int, *, relink: bool) -> None:
        """Change what a block says, and all links behind it if asked to."""
        blocks = self.ledger.blocks
        content = [(name, nat(7) if name == "ts" else value) for name, value in blocks[number]["Map"]]
        blocks[number] = {"Map": content}
        if not relink:
            return
        for place in range(number, len(blocks)):
            linked = {"Blob": self.ledger.hashes[place - 1]}
            pairs = blocks[place]["Map"]
            blocks[place] = {"Map": [(name, linked if name == "phash" else value) for name, value in pairs]}
            self.ledger.hashes[place] = value_hash(blocks[place])


@pytest.fixture
def token(engine: Engine) -> Iterator[Token]:
    token = Token(engine)
    with token.stand_in.running() as token.url:
        yield token


def test_given_a_log_in_ledger_and_archive_every_block_is_stored_and_proved(token: Token) -> None:
    outcome = token.imported()
    token.derived()

    assert (outcome.ending, outcome.blocks, outcome.position.next_position) == (Ending.CAUGHT_UP, BLOCKS, BLOCKS)
    assert token.hashes() == token.ledger.hashes
    found = token.verified()
    assert (found.sound, found.blocks, found.unknown_labels) == (True, BLOCKS, {})


def test_given_derived_rows_their_balances_are_those_of_the_ledger(token: Token) -> None:
    token.imported()
    token.derived()

    balances = token.rows("SELECT principal, coalesce(subaccount, ''), balance_e9s FROM sync.account_balances")
    expected = {
        (principal_text(account.owner), account.subaccount or b"", amount)
        for account, amount in token.ledger.balances.items()
    }
    assert {(owner, bytes(sub), int(amount)) for owner, sub, amount in balances if amount} == {
        one for one in expected if one[2]
    }
    kinds = dict(token.rows("SELECT kind, count(*) FROM sync.token_transfers GROUP BY kind"))
    approvals = token.rows("SELECT count(*) FROM sync.token_approvals")[0][0]
    assert set(kinds) == {"mint", "burn", "transfer"}
    assert sum(kinds.values()) + approvals == BLOCKS
    assert approvals > 0
    spent = "SELECT count(*) FROM sync.token_transfers WHERE spender_principal IS NOT NULL"
    assert token.rows(spent)[0][0] > 0


def test_given_nothing_new_one_request_is_all_it_takes(token: Token) -> None:
    token.imported()
    token.derived()
    before = everything(token.engine)
    asked = len(token.stand_in.replica.queries)

    again = token.imported()

    assert (again.ending, again.blocks) == (Ending.CAUGHT_UP, 0)
    assert list(token.stand_in.replica.queries)[asked:] == [(TOKEN_CANISTER, "icrc3_get_tip_certificate")]
    assert everything(token.engine) == before


def test_given_a_growing_log_the_rows_are_those_of_one_import(token: Token) -> None:
    token.imported()
    token.derived()
    token.ledger.grow(30)
    outcome = token.imported(batch_size=1)
    token.derived()
    grown = everything(token.engine)

    with token.engine.begin() as connection:
        connection.execute(text("UPDATE sync.ledger_position SET next_position = NULL, data_start = NULL"))
        connection.execute(text("UPDATE sync.ledger_position SET last_hash = '', tail = '', blocks = 0, entries = 0"))
        connection.execute(text("TRUNCATE sync.ledger_blocks, sync.ledger_entries, sync.ledger_days"))
    assert (outcome.blocks, token.imported().blocks) == (30, BLOCKS + 30)
    token.derived()
    assert everything(token.engine) == grown


def test_given_a_page_that_fails_the_next_import_goes_on(token: Token) -> None:
    armed = reject(token.stand_in.replica, 5, method="icrc3_get_blocks", skip=6)
    with pytest.raises(PeerError, match="rejected"):
        token.imported(batch_size=1)
    reached = len(token.hashes())
    assert 0 < reached < BLOCKS
    assert armed.fired

    token.stand_in.replica.rejects.clear()
    assert token.imported().blocks == BLOCKS - reached
    assert token.hashes() == token.ledger.hashes


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        (lambda stand_in: reject(stand_in.replica, 2, method="icrc3_get_blocks"), "code 2.*may work later"),
        (lambda stand_in: rate_limited(stand_in.faults, retry_after="90"), "HTTP 429"),
        (lambda stand_in: stand_in.faults.add("login_page", path=QUERY), "does a proxy answer|login"),
        (lambda stand_in: wrong_content_type(stand_in.faults), "text/plain.*does a proxy answer"),
        (lambda stand_in: setattr(stand_in.replica, "skew_seconds", 600), "HTTP 400.*expir.*our clock says"),
    ],
    ids=["reject", "rate-limit", "html", "wrong-content-type", "clock"],
)
def test_given_a_fault_of_the_network_it_is_told_and_the_next_import_goes_on(
    token: Token, arm: Callable[[InternetComputerStandIn], object], told: str
) -> None:
    token.imported(batch_size=1)
    token.ledger.grow(5)
    before = token.rows("SELECT next_position, blocks, entries FROM sync.ledger_position")
    arm(token.stand_in)

    with pytest.raises(PeerError, match=told):
        token.imported()

    assert before == token.rows("SELECT next_position, blocks, entries FROM sync.ledger_position")
    token.stand_in.faults.clear()
    token.stand_in.replica.rejects.clear()
    token.stand_in.replica.skew_seconds = 0.0
    assert token.imported().ending is Ending.CAUGHT_UP


ODD_TYPE, LONG_TYPE = "9\0odd\x1b", "9" * 5_000


@pytest.mark.parametrize(
    "block",
    [
        [("btype", {"Text": ODD_TYPE})],
        [("btype", {"Text": LONG_TYPE})],
        [("btype", {"Nat": 1})],
        [("btype", {"Text": "1xfer"}), ("tx", {"Map": [("amt", nat(2**400))]})],
        [("btype", {"Text": "1mint"}), ("tx", {"Map": [("amt", nat(2**400)), ("to", {"Array": [{"Blob": b"x"}]})]})],
        [("btype", {"Text": "1mint"}), ("tx", {"Map": [("amt", nat(1)), ("to", {"Array": [{"Blob": bytes(50)}]})]})],
    ],
    ids=["odd-type", "long-type", "no-type", "no-accounts", "huge-amount", "long-principal"],
)
def test_given_a_block_with_odd_contents_it_is_stored_and_the_import_goes_on(token: Token, block: Any) -> None:
    linked = [("phash", {"Blob": token.ledger.hashes[-1]}), ("ts", nat(1_700_000_000_000_000_000)), *block]
    token.ledger.blocks.append({"Map": linked})
    token.ledger.hashes.append(value_hash({"Map": linked}))

    outcome = token.imported()
    token.derived()

    assert (outcome.ending, outcome.position.next_position) == (Ending.CAUGHT_UP, BLOCKS + 1)
    assert token.hashes() == token.ledger.hashes
    assert token.verified().sound


@pytest.mark.parametrize("timestamp", [2**63, 2**400], ids=["2^63", "2^400"])
def test_given_a_block_of_a_time_that_cannot_be_it_stops_before_it(token: Token, timestamp: int) -> None:
    linked = [("phash", {"Blob": token.ledger.hashes[-1]}), ("ts", nat(timestamp)), ("btype", {"Text": "9odd"})]
    token.ledger.blocks.append({"Map": linked})
    token.ledger.hashes.append(value_hash({"Map": linked}))

    outcome = token.imported()

    assert (outcome.ending, outcome.position.next_position) == (Ending.DAMAGED, BLOCKS)
    assert "after the year 2262" in outcome.reason


@pytest.mark.parametrize("number", [1, ARCHIVED, 40, BLOCKS - 1])
def test_given_a_broken_link_the_import_stops_before_it_and_says_so(token: Token, number: int) -> None:
    # The parent of a block does not fit once the block before was changed without its link.
    token.rewrite(number - 1, relink=False)

    outcome = token.imported(batch_size=3)

    assert (outcome.ending, outcome.position.next_position) == (Ending.DAMAGED, number)
    assert "as its parent" in outcome.reason
    assert len(token.hashes()) == number
    ((place, kind),) = token.rows("SELECT block_offset, kind FROM sync.import_errors")
    assert (place, kind) == (number, "block_damaged")


def test_given_a_last_block_that_is_not_what_the_canister_tells_it_is_not_stored(token: Token) -> None:
    token.rewrite(BLOCKS - 1, relink=False)

    outcome = token.imported()

    assert (outcome.ending, outcome.position.next_position) == (Ending.DAMAGED, BLOCKS - 1)
    assert "the canister tells" in outcome.reason


@pytest.mark.parametrize("grown", [0, 5])
def test_given_another_history_nothing_is_changed_until_a_resync_goes_on_from_the_last_common_block(
    token: Token, grown: int
) -> None:
    token.imported()
    token.derived()
    before = token.hashes()
    token.rewrite(50, relink=True)
    token.ledger.grow(grown)

    with pytest.raises(Diverged, match="resync"):
        token.imported()
    assert token.hashes() == before

    outcome = token.resynced()
    token.derived()
    assert (outcome.kept, outcome.superseded_blocks, outcome.generation) == (50, 10, 2)
    assert token.hashes() == token.ledger.hashes
    assert token.verified().sound


def test_given_a_node_that_lags_nothing_is_taken_back(token: Token) -> None:
    token.imported()
    blocks, hashes = list(token.ledger.blocks), list(token.ledger.hashes)
    del token.ledger.blocks[-4:], token.ledger.hashes[-4:]

    behind = token.imported()
    assert (behind.ending, behind.position.next_position) == (Ending.LAGGING, BLOCKS)
    assert len(token.hashes()) == BLOCKS

    token.ledger.blocks[:], token.ledger.hashes[:] = blocks, hashes
    token.ledger.grow(1)
    assert token.imported().blocks == 1


def test_given_a_canister_without_icrc3_it_is_said_what_to_do(token: Token) -> None:
    assert token.stand_in.token is not None
    token.stand_in.token.has_icrc3 = False

    with pytest.raises(ConfigurationError, match=r"token: the canister .* offers no ICRC-3.*source: decent_cloud"):
        token.imported()
    assert token.hashes() == []


def test_given_certificates_asked_for_the_last_block_is_proved(token: Token) -> None:
    pytest.importorskip("py_ecc")
    token.changes = {"verify_certificates": True}
    assert token.imported().ending is Ending.CAUGHT_UP

    assert token.stand_in.token is not None
    token.ledger.grow(1)
    token.stand_in.token.certify = lambda paths: None
    with pytest.raises(ConfigurationError, match="does not certify its last block"):
        token.imported()


def test_given_a_block_that_says_nothing_of_use_it_is_kept_and_noted(token: Token) -> None:
    token.ledger._append("1xfer", [("amt", nat(1))], None)
    token.ledger._append("9odd", [("amt", nat(1))], None)

    token.imported()
    token.derived()

    assert token.rows("SELECT label, kind, reason FROM sync.import_errors") == [
        ("1xfer", "payload_undecodable", "from is missing")
    ]
    found = token.verified()
    assert (found.sound, found.unknown_labels) == (True, {"9odd": 1})
