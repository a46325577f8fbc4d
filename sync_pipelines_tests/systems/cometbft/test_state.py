"""Reading offerings from the chain's store: complete, exact, of one height, and never with their secrets."""

from __future__ import annotations

import json

import pytest

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.sandbox.cometbft import ChainWorld
from sync_pipelines.sandbox.faults import FaultKind
from sync_pipelines.systems.cometbft import ChainSource, HeightPruned
from sync_pipelines.systems.transport import Transport
from sync_pipelines_tests.systems.cometbft.node import CHAIN_ID, PROVIDER, Node, running


def test_a_provider_has_all_its_offerings_and_nobody_elses(demo: Node) -> None:
    listed = demo.ask(lambda source: source.list_offerings(PROVIDER))

    assert len(listed) == 20
    assert {offering["id"]["provider_address"] for offering in listed} == {PROVIDER}


def test_a_shorter_address_is_not_answered_with_the_offerings_of_a_longer_one(demo: Node) -> None:
    assert demo.ask(lambda source: source.list_offerings(PROVIDER[:-1])) == []


def test_no_secret_leaves_the_client_in_any_form(demo: Node) -> None:
    stored = [demo.world.offering(offering_id) for offering_id in demo.world.offering_ids()]

    async def read_everything(source: ChainSource) -> list[object]:
        read: list[object] = []
        for provider in {offering["id"]["provider_address"] for offering in stored}:
            read += await source.list_offerings(provider)
        return read + [await source.get_offering(offering_id) for offering_id in demo.world.offering_ids()]

    text = json.dumps(demo.ask(read_everything), default=str)

    assert sum("encrypted_secrets" in offering for offering in stored) == 30
    assert text.count('"provider_address"') == 120
    assert "encrypted_secrets" not in text
    assert "canary-" not in text
    # base64 of "canary-" as the ciphertexts begin
    assert "Y2FuYXJ5" not in text


def test_amounts_beyond_the_range_of_floats_are_exact(demo: Node) -> None:
    offering = demo.ask(lambda source: source.get_offering(f"{PROVIDER}/7"))

    assert offering is not None
    assert "9007199254740993" in json.dumps(offering)


def test_a_listing_is_that_of_its_height(node: Node) -> None:
    offering_id = node.world.create_offering(PROVIDER, {"name": "first"})
    created_at = node.world.height
    node.world.update_offering(offering_id, {"name": "second"})
    node.world.delete_offering(offering_id)

    async def names_by_height(source: ChainSource) -> list[list[str]]:
        heights = range(created_at - 1, created_at + 3)
        listings = [await source.list_offerings(PROVIDER, height=height) for height in heights]
        return [[offering["name"] for offering in listing] for listing in listings]

    assert node.ask(names_by_height) == [[], ["first"], ["second"], []]


def test_a_missing_offering_is_none(node: Node) -> None:
    assert node.ask(lambda source: source.get_offering(f"{PROVIDER}/1")) is None


def test_a_pruned_height_is_gone_and_never_an_empty_listing(node: Node) -> None:
    node.world.create_offering(PROVIDER, {"name": "first"})
    for _ in range(5):
        node.world.empty_block()
    node.world.prune(5)

    with pytest.raises(HeightPruned, match="lowest height is 5") as refused:
        node.ask(lambda source: source.list_offerings(PROVIDER, height=2))

    assert (refused.value.kind, refused.value.lowest) == (FailureKind.GONE, 5)


def test_state_that_is_pruned_sooner_than_blocks_is_gone_too(node: Node) -> None:
    for _ in range(5):
        node.world.empty_block()
    node.world.lowest_state = 5

    with pytest.raises(HeightPruned, match="keeps less state than blocks") as refused:
        node.ask(lambda source: source.get_offering(f"{PROVIDER}/1", height=3))

    assert refused.value.lowest is None


def test_a_height_to_come_is_waited_for_and_then_transient(node: Node) -> None:
    with pytest.raises(PeerError, match="does not exist yet") as refused:
        node.ask(lambda source: source.list_offerings(PROVIDER, height=50))

    assert refused.value.kind is FailureKind.TRANSIENT


def test_a_wrong_store_name_says_what_to_mend() -> None:
    with (
        running(ChainWorld(store_name="other")) as node,
        pytest.raises(PeerError, match=r"no such store: mktplace.*check the store name") as refused,
    ):
        node.ask(lambda source: source.list_offerings(PROVIDER))

    assert refused.value.kind is FailureKind.PERMANENT


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (b"{", "the value is not JSON"),
        (b"[]", "the value is not a JSON object"),
        (b'{"id": {"provider_address": "somebody", "sequence": 1}}', "the id in the value is not that of the key"),
    ],
)
def test_one_unreadable_value_does_not_hide_the_other_offerings(node: Node, stored: bytes, reason: str) -> None:
    node.world.create_offering(PROVIDER, {"id": {"sequence": 2}, "name": "good"})
    node.world.append(writes={node.world.key_of(f"{PROVIDER}/1"): stored})

    bad, good = node.ask(lambda source: source.list_offerings(PROVIDER))

    assert bad == {"id": {"provider_address": PROVIDER, "sequence": 1}, "unreadable": reason}
    assert good["name"] == "good"


def test_the_tip_tells_where_the_node_stands(node: Node) -> None:
    node.world.empty_block()

    tip = node.ask(lambda source: source.check())

    assert (tip.chain_id, tip.height, tip.earliest_height, tip.tx_index) == (CHAIN_ID, 2, 1, True)
    assert tip.time == node.world.block_at(2).time
    assert tip.node_version == "0.38.21"


def test_a_node_of_another_chain_is_refused(node: Node) -> None:
    with pytest.raises(PeerError, match="'virtengine-demo-1', expected 'virtengine-1': correct the RPC URL") as refused:
        node.ask(lambda source: source.check(), chain_id="virtengine-1")

    assert refused.value.kind is FailureKind.PERMANENT


def test_a_node_that_is_catching_up_is_refused_for_now(node: Node) -> None:
    node.world.catching_up = True

    with pytest.raises(PeerError, match="catching up") as refused:
        node.ask(lambda source: source.check())

    assert refused.value.kind is FailureKind.TRANSIENT


@pytest.mark.parametrize(
    ("fault", "options", "kind", "text"),
    [
        (FaultKind.LOGIN_PAGE, {}, FailureKind.TRANSIENT, "not JSON but .* text/html"),
        (FaultKind.TRUNCATED_BODY, {}, FailureKind.TRANSIENT, "not JSON"),
        (FaultKind.STATUS, {"status": 500}, FailureKind.TRANSIENT, "not JSON"),
        (FaultKind.STATUS, {"status": 403}, FailureKind.AUTH, "gateway"),
        (FaultKind.STATUS, {"status": 404}, FailureKind.PERMANENT, "is the URL that of a CometBFT RPC"),
        (
            FaultKind.STATUS,
            {"status": 200, "body": '{"jsonrpc":"2.0","result":{}}', "content_type": "application/json"},
            FailureKind.PERMANENT,
            "not of the known form: node_info",
        ),
        (
            FaultKind.STATUS,
            {"status": 200, "body": '"hello"', "content_type": "application/json"},
            FailureKind.PERMANENT,
            "no JSON-RPC result",
        ),
    ],
)
def test_what_is_no_answer_of_a_node_is_classified(
    node: Node, fault: FaultKind, options: dict[str, object], kind: FailureKind, text: str
) -> None:
    node.faults.add(fault, **options)

    with pytest.raises(PeerError, match=text) as refused:
        node.ask(lambda source: source.tip())

    assert refused.value.kind is kind


def test_the_prefix_store_and_type_are_settings() -> None:
    world = ChainWorld(store_name="wasm", key_prefix=b"\x03abc\x01", event_type="wasm-marketplace_event")
    world.create_offering(PROVIDER, {"name": "elsewhere"})

    async def read(transport: Transport) -> tuple[int, int]:
        source = ChainSource(
            transport,
            chain_id=CHAIN_ID,
            store_name="wasm",
            key_prefix=b"\x03abc\x01",
            event_type="wasm-marketplace_event",
        )
        return len(await source.list_offerings(PROVIDER)), len((await source.events(1, 2)).events)

    with running(world) as node:
        assert node.call(read) == (1, 1)
