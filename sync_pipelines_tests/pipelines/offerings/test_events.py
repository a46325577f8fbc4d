"""Chain events: kept once, with the watermark in the same transaction; whatever may have been missed is told."""

from __future__ import annotations

import asyncio

import pytest

from sync_pipelines.pipelines.offerings import events
from sync_pipelines.pipelines.offerings.events import Ingested, Position
from sync_pipelines.pipelines.offerings.pair import open_connection
from sync_pipelines.sandbox.cometbft.blocks import Event
from sync_pipelines_tests.pipelines.offerings.market import CHAIN_ID, PROVIDER, RIVAL, Market


def position(market: Market) -> Position | None:
    """Return how far the chain was read."""
    with market.engine.begin() as connection:
        return events.position(connection, CHAIN_ID)


def peek(market: Market, first: int, last: int, *, indexed: bool = True) -> Ingested:
    """Look into a range of heights without keeping anything."""

    async def run() -> Ingested:
        async with open_connection(market.connection(), market.engine) as opened:
            return await events.peek(market.engine, opened.chain, CHAIN_ID, first, last, indexed=indexed)

    return asyncio.run(run())


def stored(market: Market) -> list[tuple[int, str]]:
    """Return the events kept, by sequence."""
    rows = market.rows("SELECT sequence, event_type FROM sync.chain_event ORDER BY sequence")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("source", ["block_results", "tx_search"])
def test_events_are_kept_once_and_the_watermark_follows(market: Market, source: str) -> None:
    connection = market.connection(chain={"events_from": source})
    offering_id = market.offer()
    market.offer(RIVAL)
    market.chain.terminate_offering(offering_id)
    last = market.chain.height

    first = market.ingest(1, last, connection)
    again = market.ingest(1, last, connection)

    kinds = ["offering_created", "offering_created", "offering_updated", "offering_terminated"]
    assert [event.kind for event in first.events] == kinds
    assert first.offerings_of(PROVIDER) == [offering_id]
    assert again.offerings_of(PROVIDER) == [offering_id]
    assert stored(market) == list(enumerate(kinds, start=1))
    assert position(market) == Position(last, 4)
    assert market.metric("offering_sync_events_received") == 3


def test_events_of_other_kinds_are_no_reason_to_look_and_no_gap(market: Market) -> None:
    offering_id = market.offer()
    market.ingest(1, market.chain.height)
    height = market.chain.emit(("bid_placed", offering_id, {}), ("settlement_requested", offering_id, {}))
    market.chain.emit(("offering_updated", offering_id, {"state": 1}))

    seen = market.ingest(height, market.chain.height)

    assert [(event.sequence, event.kind) for event in seen.events] == [(4, "offering_updated")]
    assert seen.missed == ()


def test_an_order_does_not_hide_the_update_it_comes_with(market: Market) -> None:
    offering_id = market.offer()
    height = market.chain.count_order(offering_id)

    assert market.ingest(height, height).offerings_of(PROVIDER) == [offering_id]


def test_failed_transactions_are_no_events(market: Market) -> None:
    height = market.chain.failed_tx()

    assert market.ingest(height, height) == Ingested(height, height, (), ())


BAD = {
    "no sequence": {"event_type": "offering_updated", "event_id": "e", "payload_json": "{}"},
    "no number": {"event_type": "offering_updated", "event_id": "e", "sequence": "two", "payload_json": "{}"},
    "beyond 63 bits": {
        "event_type": "offering_updated",
        "event_id": "e",
        "sequence": str(2**64),
        "payload_json": f'{{"offering_id": "{PROVIDER}/1"}}',
    },
    "NUL in the id": {
        "event_type": "offering_updated",
        "event_id": "e\x00",
        "sequence": "2",
        "payload_json": f'{{"offering_id": "{PROVIDER}/1"}}',
    },
    "half a surrogate": {
        "event_type": "offering_updated",
        "event_id": "e",
        "sequence": "2",
        "payload_json": '{"offering_id": "\\ud800/1"}',
    },
}


@pytest.mark.parametrize("bad", BAD)
def test_an_event_that_cannot_be_read_is_told_and_the_others_of_its_block_are_kept(market: Market, bad: str) -> None:
    offering_id = market.offer()
    market.ingest(1, market.chain.height)
    market.chain.skip_event_sequence()
    with market.chain.block():
        height = market.chain.emit_raw(Event.of("marketplace_event", **BAD[bad]))
        market.chain.update_offering(offering_id, {"name": "New"})

    seen = market.ingest(height, height)

    assert seen.offerings_of(PROVIDER) == [offering_id]
    assert any(f"an event at height {height} cannot be" in reason for reason in seen.missed)
    assert position(market) == Position(height, 3)
    assert market.ingest(height, height).events == seen.events


def test_a_gap_in_the_count_is_told_once(market: Market) -> None:
    offering_id = market.offer()
    market.ingest(1, market.chain.height)
    market.chain.skip_event_sequence(2)
    height = market.chain.update_offering(offering_id, {})

    seen = market.ingest(height, height)
    market.chain.update_offering(offering_id, {})

    assert seen.missed == ("events 2 to 3 are missing in the chain's count",)
    assert market.ingest(height + 1, height + 1).missed == ()


def test_a_range_of_heights_that_was_jumped_over_is_told(market: Market) -> None:
    market.ingest(1, market.chain.height)
    known = market.chain.height
    for _ in range(3):
        market.chain.empty_block()

    seen = market.ingest(known + 3, known + 3)

    assert seen.missed == (f"heights {known + 1} to {known + 2} were never read",)


def test_pruned_heights_are_told_once_and_then_the_stream_goes_on(market: Market) -> None:
    offering_id = market.offer()
    market.ingest(1, market.chain.height)
    known = market.chain.height
    for _ in range(3):
        market.chain.update_offering(offering_id, {})
    market.chain.prune(below=market.chain.height)

    seen = market.ingest(known + 1, market.chain.height)
    market.chain.update_offering(offering_id, {})

    assert "the node has pruned heights" in seen.missed[0]
    assert position(market) == Position(market.chain.height - 1, None)
    assert market.ingest(market.chain.height, market.chain.height).missed == ()


def test_reading_an_older_window_again_does_not_move_the_watermark_back(market: Market) -> None:
    for _ in range(3):
        market.offer()
    market.ingest(1, market.chain.height)
    before = position(market)

    market.ingest(1, 2)

    assert position(market) == before


def test_the_watermark_stays_when_the_events_cannot_be_stored(market: Market) -> None:
    market.offer()
    market.ingest(1, market.chain.height)
    before = position(market)
    market.offer()
    with market.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE sync.chain_event ADD CHECK (sequence < 2)")

    with pytest.raises(Exception, match="violates check constraint"):
        market.ingest(market.chain.height, market.chain.height)

    assert position(market) == before
    assert [sequence for sequence, _ in stored(market)] == [1]


@pytest.mark.parametrize("indexed", [True, False])
def test_a_peek_passes_over_quiet_heights_and_waits_at_changes(market: Market, indexed: bool) -> None:
    offering_id = market.offer()
    market.ingest(1, market.chain.height)
    quiet = market.chain.emit(("bid_placed", offering_id, {}))

    assert peek(market, quiet, quiet, indexed=indexed).events == ()
    assert position(market) == Position(quiet, 2)

    height = market.chain.update_offering(offering_id, {})
    seen = peek(market, height, height, indexed=indexed)
    assert seen.offerings_of(PROVIDER) == [offering_id]
    assert position(market) == Position(quiet, 2)
    assert [sequence for sequence, _ in stored(market)] == [1]


def test_a_node_that_codes_attributes_as_base64_is_understood(market: Market) -> None:
    market.chain.node_version = "0.34.29"
    offering_id = market.offer()

    assert market.ingest(1, market.chain.height).offerings_of(PROVIDER) == [offering_id]


def test_a_stream_begins_where_it_is_told_and_knows_no_number_yet(market: Market) -> None:
    market.offer()
    with market.engine.begin() as connection:
        events.begin_at(connection, CHAIN_ID, market.chain.height)
    market.offer()

    assert market.ingest(market.chain.height, market.chain.height).missed == ()
    assert position(market) == Position(market.chain.height, 2)
