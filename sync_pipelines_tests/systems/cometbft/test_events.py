"""Reading events: in order, complete or known to be incomplete, and never stopped by one bad event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.cometbft import Attribute, ChainWorld, Event
from sync_pipelines.systems.cometbft import ChainSource, EventsRead, HeightPruned
from sync_pipelines.systems.cometbft.events import EventReader, has_base64_attributes
from sync_pipelines.systems.cometbft.rpc import CometRpc, RawAttribute, RawEvent, TxResult
from sync_pipelines.systems.cometbft.source import WORKERS
from sync_pipelines.systems.transport import Transport
from sync_pipelines_tests.systems.cometbft.node import CHAIN_ID, PROVIDER, Node, running

Reader = Callable[[ChainSource, int, int], Awaitable[EventsRead]]
READERS = pytest.mark.parametrize("reader", [ChainSource.events, ChainSource.search_events], ids=["blocks", "index"])


def _read(node: Node, reader: Reader, first: int = 1, last: int | None = None) -> EventsRead:
    end = last or node.world.height
    return node.ask(lambda source: reader(source, first, end))


@READERS
def test_events_come_by_sequence_and_a_termination_has_two(node: Node, reader: Reader) -> None:
    offering_id = node.world.create_offering(PROVIDER, {"name": "one"})
    node.world.empty_block()
    node.world.terminate_offering(offering_id)

    read = _read(node, reader)

    assert [(event.sequence, event.height, event.kind) for event in read.events] == [
        (1, 2, "offering_created"),
        (2, 4, "offering_updated"),
        (3, 4, "offering_terminated"),
    ]
    assert {(event.offering_id, event.provider) for event in read.events} == {(offering_id, PROVIDER)}
    assert read.last_sequence == 3


@READERS
def test_events_within_one_block_keep_the_order_in_which_they_happened(node: Node, reader: Reader) -> None:
    with node.world.block():
        offering_id = node.world.create_offering(PROVIDER, {"name": "one"})
        for number in range(20):
            node.world.update_offering(offering_id, {"name": f"name {number}"})

    read = _read(node, reader)

    assert [event.sequence for event in read.events] == list(range(1, 22))
    assert [event.tx_index for event in read.events] == list(range(21))


@READERS
def test_other_kinds_are_counted_but_not_returned(node: Node, reader: Reader) -> None:
    offering_id = node.world.create_offering(PROVIDER, {"name": "one"})
    node.world.count_order(offering_id)
    node.world.emit(("bid_placed", offering_id, {"bid_id": "b1"}))

    read = _read(node, reader)

    assert [event.kind for event in read.events] == ["offering_created", "offering_updated"]
    assert read.sequences == (1, 2, 3, 4)


@READERS
def test_failed_transactions_and_foreign_events_are_passed_over(node: Node, reader: Reader) -> None:
    node.world.failed_tx()
    node.world.emit_raw(Event.of("transfer", amount="1uvirt"), Event("", (Attribute("sequence", '"7"'),)))

    read = _read(node, reader)

    assert (read.events, read.sequences, read.malformed) == ((), (), ())


@READERS
def test_a_lost_event_shows_as_a_number_that_is_missing(node: Node, reader: Reader) -> None:
    offering_id = node.world.create_offering(PROVIDER, {"name": "one"})
    node.world.skip_event_sequence(3)
    node.world.update_offering(offering_id, {"name": "two"})

    assert _read(node, reader).sequences == (1, 5)
    assert _read(node, reader, 3).sequences == (5,)
    assert _read(node, reader, 1, 1).sequences == ()


@READERS
@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"event_type": "offering_updated", "sequence": "0"}, "sequence '0' is not a positive number"),
        ({"event_type": "offering_updated", "sequence": "x"}, "sequence 'x' is not a positive number"),
        ({"event_type": "offering_updated"}, "sequence is missing"),
        ({"sequence": "9"}, "event_type is missing"),
        ({"event_type": "offering_updated", "sequence": "9"}, "payload_json is missing"),
        ({"event_type": "offering_updated", "sequence": "9", "payload_json": "{"}, "payload_json is not JSON"),
        ({"event_type": "offering_updated", "sequence": "9", "payload_json": "[]"}, "payload_json has no offering_id"),
        (
            {"event_type": "offering_updated", "sequence": "9", "payload_json": '{"offering_id": "a/b"}'},
            "offering_id 'a/b' is not <provider>/<sequence>",
        ),
    ],
)
def test_one_malformed_event_is_told_and_stops_nothing(
    node: Node, reader: Reader, attributes: dict[str, str], reason: str
) -> None:
    good = node.world.create_offering(PROVIDER, {"name": "one"})
    node.world.emit_raw(Event.of("marketplace_event", event_id="evt", **attributes))
    node.world.update_offering(good, {"name": "two"})

    read = _read(node, reader)

    assert [(event.height, event.reason) for event in read.malformed] == [(3, reason)]
    assert [event.kind for event in read.events] == ["offering_created", "offering_updated"]


@READERS
@pytest.mark.parametrize("version", ["0.34.24", "0.37.2", "1.0.1"])
def test_each_version_of_the_node_is_read_alike(reader: Reader, version: str) -> None:
    with running(ChainWorld(node_version=version)) as node:
        offering_id = node.world.create_offering(PROVIDER, {"name": "Größe 漢字"})

        read = _read(node, reader)

    assert [event.offering_id for event in read.events] == [offering_id]
    assert read.malformed == ()


@pytest.mark.parametrize(
    ("version", "coded"),
    [
        ("0.34.24", True),
        ("v0.34.0-rc3", True),
        ("0.33.9", True),
        ("0.37.0", False),
        ("0.38.21", False),
        ("1.0.1", False),
    ],
)
def test_the_version_decides_whether_attributes_are_base64(version: str, coded: bool) -> None:
    assert has_base64_attributes(version) is coded


@pytest.mark.parametrize("value", ["offering", "not base64!", "/w=="])
def test_attributes_that_an_old_node_should_have_coded_are_a_malformed_event(value: str) -> None:
    raw = RawEvent(type="marketplace_event", attributes=(RawAttribute(key="c2VxdWVuY2U=", value=value),))

    read = EventReader("marketplace_event", base64_attributes=True).read(5, 5, [(5, 0, TxResult(events=(raw,)))])

    assert [(event.height, event.reason.split(" as a node")[0]) for event in read.malformed] == [
        (5, "an attribute is not base64 of UTF-8,")
    ]


@READERS
def test_a_pruned_range_is_gone_and_names_the_lowest_height(node: Node, reader: Reader) -> None:
    node.world.create_offering(PROVIDER, {"name": "one"})
    for _ in range(6):
        node.world.empty_block()
    node.world.prune(5)

    with pytest.raises(HeightPruned, match="lowest height is 5") as refused:
        _read(node, reader)

    assert (refused.value.kind, refused.value.lowest) == (FailureKind.GONE, 5)
    assert _read(node, reader, 5).events == ()


@READERS
def test_a_range_into_the_future_is_transient(node: Node, reader: Reader) -> None:
    with pytest.raises(PeerError) as refused:
        _read(node, reader, 1, 9)

    assert refused.value.kind is FailureKind.TRANSIENT


def test_results_that_the_node_lost_are_gone_unless_they_are_still_to_come(node: Node) -> None:
    for _ in range(5):
        node.world.empty_block()
    node.world.results_lost_below = 7

    with pytest.raises(HeightPruned, match="could not find results for height #2"):
        _read(node, ChainSource.events, 2, 2)
    with pytest.raises(PeerError, match="could not find results for height #6") as refused:
        _read(node, ChainSource.events, 6, 6)

    assert refused.value.kind is FailureKind.TRANSIENT


@pytest.mark.parametrize(
    ("attribute", "reader", "mend"),
    [
        ("persists_results", ChainSource.events, "set discard_abci_responses to false"),
        ("tx_index", ChainSource.search_events, "set tx_index to kv"),
    ],
)
def test_a_node_without_results_or_index_says_what_to_mend(
    node: Node, attribute: str, reader: Reader, mend: str
) -> None:
    setattr(node.world, attribute, False)

    with pytest.raises(PeerError, match=mend) as refused:
        _read(node, reader)

    assert refused.value.kind is FailureKind.PERMANENT


def test_more_than_two_pages_of_transactions_are_found_once_each(node: Node) -> None:
    offering_id = node.world.create_offering(PROVIDER, {"name": "one"})
    for _ in range(4):
        with node.world.block():
            for number in range(60):
                node.world.update_offering(offering_id, {"name": f"name {number}"})

    read = _read(node, ChainSource.search_events)

    assert read.sequences == tuple(range(1, 242))
    assert read == _read(node, ChainSource.events)


@READERS
def test_a_range_without_events_is_empty(node: Node, reader: Reader) -> None:
    node.world.empty_block()

    read = _read(node, reader)

    assert (read.events, read.sequences, read.last_sequence) == ((), (), None)


def test_a_long_range_is_read_by_a_few_workers_that_share_it(node: Node) -> None:
    offering_id = node.world.create_offering(PROVIDER, {"name": "one"})
    for number in range(200):
        node.world.empty_block()
        if number % 50 == 0:
            node.world.update_offering(offering_id, {"name": f"name {number}"})
    most = 0

    async def watched(source: ChainSource) -> EventsRead:
        nonlocal most
        reading = asyncio.create_task(source.events(1, node.world.height))
        while not reading.done():
            most = max(most, len(asyncio.all_tasks()))
            await asyncio.sleep(0)
        return await reading

    read = node.ask(watched)

    assert [event.height for event in read.events] == [2, 4, 55, 106, 157]
    # The HTTP library has a few tasks of its own while it connects.
    assert most < 4 * WORKERS


def test_the_first_height_that_fails_ends_the_reading_of_a_long_range(node: Node) -> None:
    for _ in range(300):
        node.world.empty_block()
    node.world.prune(200)

    async def refused(transport: Transport) -> int:
        with pytest.raises(HeightPruned, match="lowest height is 200"):
            await ChainSource(transport, chain_id=CHAIN_ID).events(190, node.world.height)
        return transport.stats.requests["POST"]

    assert node.call(refused) < 30


def test_an_event_told_of_at_two_heights_is_taken_from_the_lower_one() -> None:
    raw = RawEvent(type="marketplace_event", attributes=_attributes(sequence="7"))
    reader = EventReader("marketplace_event", base64_attributes=False)

    kept = reader.keep(5, [TxResult(), TxResult(events=(RawEvent(type="transfer"), raw))])
    again = reader.keep(6, [TxResult(events=(raw,))])

    assert [(height, index, result.events) for height, index, result in kept] == [(5, 1, (raw,))]
    assert [event.height for event in reader.read(5, 6, [*kept, *again]).events] == [5]


@pytest.mark.parametrize(
    ("question", "call"),
    [(CometRpc.status, "status"), (lambda rpc: rpc.block_results(12), "block_results 12")],
    ids=["status", "block_results"],
)
def test_a_node_that_does_not_listen_is_named_with_the_call_that_was_made(
    question: Callable[[CometRpc], Awaitable[object]], call: str
) -> None:
    async def ask() -> None:
        async with Transport("chain", "http://127.0.0.1:1", sleep=_at_once) as transport:
            await question(CometRpc(transport))

    with pytest.raises(PeerError) as refused:
        asyncio.run(ask())

    assert str(refused.value).startswith(f"chain [{call}]: http://127.0.0.1:1: no connection (ConnectError")


async def _at_once(seconds: float) -> None:
    pass


def _attributes(**changes: str) -> tuple[RawAttribute, ...]:
    usual = {"event_type": "offering_updated", "event_id": "e", "payload_json": '{"offering_id": "abc/1"}'}
    return tuple(RawAttribute(key=key, value=value) for key, value in (usual | changes).items())
