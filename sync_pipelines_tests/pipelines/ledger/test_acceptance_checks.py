"""The acceptance checks (a) to (i) of the ledger's protocol, each on a ledger that comes in chunks of 37 bytes.

Chunks of that size cut headers and bodies in two. What a SIGKILL leaves is shown by ``kills/test_ledger_import.py``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.ledger.importing import Diverged, Ending, ImportOutcome, ImportSettings
from sync_pipelines.pipelines.ledger.projecting import derive_stale
from sync_pipelines.store.embedded import EmbeddedServer
from sync_pipelines_tests.databases import fresh_engine
from sync_pipelines_tests.pipelines.ledger import written
from sync_pipelines_tests.pipelines.ledger.sources import (
    DATA,
    LOG,
    START,
    MemorySource,
    Writer,
    expected,
    imported,
    small_ledger,
    small_source,
)
from sync_pipelines_tests.pipelines.ledger.stored import everything

CHUNK = 37
SETTINGS = ImportSettings(batch_size=50)
FAULTS: list[dict[str, Any]] = json.loads((DATA / "corrupt" / "manifest.json").read_text(encoding="utf-8"))
PROV1 = "b89e3238ea8f1ed833938565db8949abd8c78325d71752810966c61cf2040ee0"
PROV1_SIGNED = (
    "013f591ea28674c1b15c0c6406e15adc092ee6fb482f05ffc18b72ae88bbf50b"
    "a8e5b786e86cf04d38f08883e9137da3b36b2e24ae5fc2b883ac1b7b81452d0b"
)


def _imported(engine: Engine, source: MemorySource) -> ImportOutcome:
    return asyncio.run(imported(engine, source, settings=SETTINGS))


def _rows(engine: Engine, query: str, **values: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


@pytest.fixture(scope="module")
def small(postgres_server: EmbeddedServer, migrated_template: str) -> Iterator[Engine]:
    """The small ledger, imported and derived."""
    with fresh_engine(postgres_server, migrated_template) as engine:
        assert _imported(engine, small_source(chunk=CHUNK)).ending is Ending.CAUGHT_UP
        derive_stale(engine, "main", LOG)
        yield engine


def test_check_a_the_golden_vectors_come_out(engine: Engine) -> None:
    ledger = Writer()
    ledger.add([written.entry("ProvRegister", bytes.fromhex(PROV1), bytes.fromhex(PROV1_SIGNED))], 1704063600 * 10**9)
    ledger.add([written.entry("RewardDistr", b"LastRewardNs", written.u64(1704064200 * 10**9))], 1704064200 * 10**9)

    _imported(engine, ledger.source(chunk=CHUNK))
    derive_stale(engine, "main", LOG)

    assert _rows(engine, "SELECT encode(hash, 'hex') FROM sync.ledger_blocks ORDER BY block_offset") == [
        ("7a2bdd15f8b34ab21d04786d28459c901ad4291f4b4b004c9d60b97096d30c6f",),
        ("1b018886b33ecf0d5074a865da1f84486bc252c76e6273da6f9aef923e9a9e47",),
    ]
    assert _rows(
        engine,
        "SELECT u.principal, r.signature_valid FROM sync.dc_users u JOIN sync.ledger_registrations r USING (pubkey)",
    ) == [("oklaa-ptl4i-uqysq-lxgo4-ya4ki-7dt3a-53rry-f7s47-ovxl4-r3rnm-5qe", True)]
    assert _rows(engine, "SELECT distributed_ns FROM sync.reward_distributions") == [(1704064200 * 10**9,)]


@pytest.mark.parametrize("answers", [0, 1, 20, 57, 700, 1984])
def test_check_b_a_failure_after_any_chunk_and_a_resume_give_identical_rows(
    engine: Engine, small: Engine, answers: int
) -> None:
    class Failing(MemorySource):
        async def fetch(self, position: int, bytes_before: bytes | None) -> Any:
            if len(self.requests) > answers:
                raise PeerError("the replica", FailureKind.TRANSIENT, "it went away")
            return await super().fetch(position, bytes_before)

    with pytest.raises(PeerError):
        _imported(engine, Failing(small_ledger(), CHUNK))
    _imported(engine, small_source(chunk=CHUNK))
    derive_stale(engine, "main", LOG)

    assert everything(engine) == everything(small)


@pytest.mark.parametrize("file", ["wrong_parent_hash", "header_version_2", "truncated_zlib"])
def test_check_c_a_damaged_block_stops_the_import_and_the_position_stays(engine: Engine, file: str) -> None:
    (fault,) = [each for each in FAULTS if each["file"] == f"corrupt/{file}.ledger"]
    data = (DATA / fault["file"]).read_bytes()[: fault["end_position"] - START]

    for _ in range(2):
        outcome = _imported(engine, MemorySource(data, CHUNK))
        assert (outcome.ending, outcome.position.next_position) == (Ending.DAMAGED, fault["must_stay_at_position"])
        assert outcome.position.blocks == fault["must_import_blocks"]
    assert _rows(engine, "SELECT kind, block_offset FROM sync.import_errors") == [
        ("block_damaged", fault["must_stay_at_position"])
    ]


def test_check_c_wrong_bytes_before_the_position_stop_the_import_and_the_position_stays(engine: Engine) -> None:
    _imported(engine, small_source(20, chunk=CHUNK))
    before = everything(engine)
    other = replace(
        small_source(chunk=CHUNK), data=small_ledger(19) + bytes(len(small_ledger()) - len(small_ledger(19)))
    )

    with pytest.raises(Diverged, match="does not match"):
        _imported(engine, other)

    assert {**everything(engine), "import_errors": []} == before


def test_check_d_deletes_and_legacy_and_unknown_labels_are_kept(small: Engine) -> None:
    listed = [entry for block in expected()["blocks"] for entry in block["entries"]]
    kept = dict(_rows(small, "SELECT label, count(*) FROM sync.ledger_entries GROUP BY label"))

    assert kept == {label: sum(entry["label"] == label for entry in listed) for label in {e["label"] for e in listed}}
    assert {"NPRegister", "NPCheckIn", "NPProfile", "NPOffering"} < set(kept)
    assert _rows(small, "SELECT count(*) FROM sync.ledger_entries WHERE operation = 'DELETE'") == [
        (sum(entry["operation"] == "Delete" for entry in listed),)
    ]
    gone = "SELECT pubkey FROM sync.provider_profile_history WHERE operation = 'DELETE'"
    assert _rows(small, gone)
    assert _rows(
        small, f"SELECT count(*) FROM sync.provider_profiles p WHERE pubkey IN ({gone}) AND p.version > 1"
    ) == [(0,)]


def test_check_e_importing_again_gives_no_new_rows(small: Engine) -> None:
    before = everything(small)

    outcome = _imported(small, small_source(chunk=CHUNK))

    assert (outcome.ending, outcome.entries, derive_stale(small, "main", LOG)[0]) == (Ending.CAUGHT_UP, 0, [])
    assert everything(small) == before


def test_check_f_offset_time_and_hash_are_those_of_the_blocks(small: Engine) -> None:
    assert _rows(
        small,
        "SELECT DISTINCT e.block_offset, e.icp_timestamp, encode(b.hash, 'hex') "
        "FROM sync.ledger_entries e JOIN sync.ledger_blocks b USING (canister, block_offset) ORDER BY 1",
    ) == [(block["offset"], block["timestamp_ns"], block["hash"]) for block in expected()["blocks"]]


def test_check_g_every_change_of_reputation_counts(small: Engine) -> None:
    several = "SELECT count(*) FROM sync.reputation_changes GROUP BY block_offset, entry_index HAVING count(*) > 1"

    assert _rows(small, several)
    assert _rows(small, "SELECT count(*) FROM sync.reputation_changes") == [
        (len(expected()["tables"]["reputation_changes"]),)
    ]


def test_check_g_replies_are_joined_by_the_contract(small: Engine) -> None:
    wanted = sorted((row["contract_id"], row["status"]) for row in expected()["tables"]["contract_signatures"])

    found = _rows(small, "SELECT encode(contract_id, 'hex'), status FROM sync.contract_signatures ORDER BY 1")

    assert found == wanted
    assert {status for _, status in found} == {"pending", "signed", "rejected"}


def test_check_g_a_reward_is_the_sum_of_what_its_block_mints(small: Engine) -> None:
    minted = "SELECT sum(amount) FROM sync.ledger_transfers t WHERE kind = 'mint' AND t.block_offset = r.block_offset"

    found = _rows(small, f"SELECT total_e9s, coalesce(({minted}), 0) FROM sync.reward_distributions r")

    assert all(total == mints for total, mints in found)
    assert sum(total for total, _ in found) > 0


def test_check_g_charges_without_an_amount_count_as_burns_of_the_fee(small: Engine) -> None:
    found = _rows(small, "SELECT kind, fee, value_e9s FROM sync.token_transfers WHERE amount = 0 AND fee > 0")

    assert found
    assert all((kind, value) == ("burn", fee) for kind, fee, value in found)


def test_check_h_a_malformed_csv_row_is_reported_and_the_rest_of_the_file_is_there(small: Engine) -> None:
    (offset,) = _rows(small, "SELECT block_offset FROM sync.import_errors WHERE kind = 'csv_row_invalid' LIMIT 1")[0]

    reasons = _rows(
        small,
        "SELECT reason FROM sync.import_errors WHERE kind = 'csv_row_invalid' AND block_offset = :offset",
        offset=offset,
    )
    files = _rows(
        small,
        "SELECT sum(offerings), sum(invalid_rows) FROM sync.provider_offering_files WHERE block_offset = :offset",
        offset=offset,
    )

    assert files[0][0] > 0
    assert files[0][1] == len(reasons)
    assert all(reason.startswith("record ") for (reason,) in reasons)


def test_check_i_a_tampered_entry_is_stored_and_flagged(small: Engine) -> None:
    wanted = sorted(
        (row["block_offset"], row["label"], row["key"])
        for row in expected()["tables"]["ledger_entries"]
        if row["signature_valid"] is False
    )

    found = _rows(
        small,
        "SELECT block_offset, label, encode(key, 'hex') FROM sync.ledger_entries "
        "JOIN sync.ledger_signatures USING (canister, block_offset, entry_index) WHERE NOT signature_valid",
    )

    assert sorted(found) == wanted
    assert {"ProvRegister", "ProvCheckIn", "ProvProfile", "ProvOffering", "ContractSignReq"} <= {
        row[1] for row in found
    }
