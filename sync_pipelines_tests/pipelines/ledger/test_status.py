"""The replies of the API: the seed's shapes, with numbers that are true."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.ledger.status import error_reply, import_and_derive, labels_named, status_reply
from sync_pipelines_tests.pipelines.ledger.sources import (
    CANISTER,
    DATA,
    LOG,
    MemorySource,
    expected,
    imported,
    small_source,
)


async def _reply(engine: Engine, source: MemorySource, label: str | None = None) -> dict[str, Any]:
    return await import_and_derive(engine, source, "main", CANISTER, label=label, run_id="a test", log=LOG)


def test_given_an_import_the_reply_counts_what_was_created(engine: Engine) -> None:
    first, second = (asyncio.run(_reply(engine, small_source())) for _ in range(2))

    stats = first["data"]["stats"]
    told = stats.pop("errors")
    assert first == {"success": True, "data": {"message": "Ledger import completed", "stats": stats}}
    assert stats == {
        "totalProcessed": 467,
        "usersCreated": 10,
        "profilesCreated": 6,
        "offeringsCreated": 100,
        "ledgerEntriesCreated": 467,
    }
    assert len(told) == len(expected()["errors"])
    assert told[:2] == [
        "position 8389366, NPRegister 6c65676163792d746578742d756964: key_not_pubkey",
        "position 8389366, NPProfile 606bdf3215768672cf8263e2d583005128f6daae3090e29ca77fb152303dce82: "
        "payload_undecodable: unknown enum tag 123",
    ]
    assert {**second["data"]["stats"], "errors": []} == {**dict.fromkeys(stats, 0), "errors": []}


@pytest.mark.parametrize(
    ("label", "processed", "created"),
    [
        ("ProvProfile", 12, {"profilesCreated": 6}),
        ("ProvRegister", 8, {"usersCreated": 10}),
        ("UserRegister", 7, {"usersCreated": 10}),
        ("ProvOffering", 11, {"offeringsCreated": 100}),
        ("ContractSignRequest", 8, {}),
        ("RewardDistribution", 32, {}),
    ],
)
def test_given_a_label_of_the_api_it_alone_is_derived_and_counted(
    engine: Engine, label: str, processed: int, created: dict[str, int]
) -> None:
    data = asyncio.run(_reply(engine, small_source(), label))["data"]

    counts = {name: data["stats"][name] for name in ("usersCreated", "profilesCreated", "offeringsCreated")}
    assert (data["label"], data["stats"]["totalProcessed"]) == (label, processed)
    assert {name: count for name, count in counts.items() if count} == created


def test_given_a_label_that_nobody_knows_the_ones_there_are_are_named(engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no label Prov\..*ContractSignRequest"):
        asyncio.run(_reply(engine, small_source(), "Prov"))
    assert labels_named("ProvProfile") == labels_named("NPProfile") == ("ProvProfile", "NPProfile")


def test_given_a_damaged_block_the_reply_says_where_it_stopped(engine: Engine) -> None:
    data = asyncio.run(_reply(engine, MemorySource((DATA / "corrupt/truncated_zlib.ledger").read_bytes())))["data"]

    assert data["message"].startswith("Ledger import stopped: ")
    assert any(line.startswith("position 8396699, block: block_damaged") for line in data["stats"]["errors"])


def test_given_a_synchronized_ledger_the_status_tells_of_every_table(engine: Engine) -> None:
    assert status_reply(engine, "main") == {"success": True, "data": {"statuses": [], "totalTables": 0}}
    asyncio.run(_reply(engine, small_source()))

    data = status_reply(engine, "main")["data"]

    rows = {row["tableName"]: row for row in data["statuses"]}
    assert (data["totalTables"], next(iter(rows))) == (12, "all")
    total = rows["all"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", total.pop("lastSyncedAt"))
    assert total.pop("lastError").startswith("block 84")
    assert total == {
        "tableName": "all",
        "lastSyncedBlockOffset": expected()["position"]["last_block_offset"],
        "totalRecordsSynced": 467,
        "syncErrors": len(expected()["errors"]),
    }
    assert {name: rows[name]["totalRecordsSynced"] for name in expected()["counts"]} == expected()["counts"]


def test_given_only_an_import_the_status_has_no_error(engine: Engine) -> None:
    asyncio.run(imported(engine, small_source()))

    (total, entries) = status_reply(engine, "main")["data"]["statuses"]

    assert (total["lastError"], total["syncErrors"]) == (None, 0)
    assert {**entries, "tableName": "all"} == total


def test_given_a_failure_the_envelope_says_what_and_why() -> None:
    assert error_reply("Failed", "because") == {"success": False, "error": "Failed", "details": "because"}
