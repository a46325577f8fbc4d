"""What the offerings pipeline adds to the fault table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from dagster import DagsterInstance, Definitions, RunRequest, build_sensor_context

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.pipelines.offerings.event_assets import WINDOWS
from sync_pipelines.sandbox.cometbft.blocks import Event
from sync_pipelines.sandbox.cometbft.marketplace import event_attributes
from sync_pipelines.sandbox.rewriting import REMOVED, set_member
from sync_pipelines.settings import Secret
from sync_pipelines_tests.conformance.subject import Subject
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.pair import Followed, PairFaults, StrangeEvents, StrangeRow, StrangeValue
from sync_pipelines_tests.pipelines.offerings.dagster_runs import defined, materialized
from sync_pipelines_tests.pipelines.offerings.market import PROVIDER, price_list
from sync_pipelines_tests.pipelines.offerings.subject import NODE_KEY, OWNER_MARK, STAFF_MARK, OfferingsSubject

_BURST = 150
_FAR = 120
"""Blocks; further back than nodes behind one address lie apart."""


def _put(subject: Subject, key: str, fields: Mapping[str, Any]) -> Callable[[], object]:
    chain = cast(OfferingsSubject, subject).market.chain
    before = changed = chain.offering(key)
    for name, value in fields.items():
        changed = set_member(changed, name, value)

    def store(document: Mapping[str, Any]) -> None:
        chain.append(writes={chain.key_of(key): json.dumps(document).encode()})

    store(changed)
    return lambda: store(before)


def _amount(amount: object) -> dict[str, Any]:
    (line,) = price_list({"cpu/hour": "1"})
    return {"prices": [{**line, "price": {"denom": "uvirt", "amount": amount}}]}


_NFD = "Cafe\u0301 Zu\u0308rich"
_FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f466 \U0001f44d\U0001f3fd VM"

VALUES = {
    "value-null": StrangeValue({"name": None}, "name: Field required"),
    "value-missing": StrangeValue({"name": REMOVED}, "name: Field required"),
    "value-empty": StrangeValue({"name": ""}, "the name is empty; Waldur requires one"),
    "value-cut-surrogate": StrangeValue({"name": "x" * 254 + "\ud83d"}, "name: contains half of a surrogate pair"),
    "value-nfd": StrangeValue({"name": _NFD}, shown={"name": _NFD}),
    "value-emoji": StrangeValue({"name": _FAMILY}, shown={"name": _FAMILY}),
    "value-tiny": StrangeValue(_amount(1e-18), "an amount is a whole number"),
    "value-2^63": StrangeValue(_amount(str(2**63)), "more than 12 digits .* is the currency_denominator right"),
    "value-nan": StrangeValue({"max_concurrent_orders": float("nan")}, "max_concurrent_orders: "),
    "value-1970": StrangeValue({"created_at": "1970-01-01T00:00:00Z", "updated_at": "1969-12-31T23:59:59Z"}),
    "value-2999": StrangeValue({"created_at": "2999-12-31T23:59:59Z", "updated_at": "2999-12-31T23:59:59Z"}),
    "value-unknown-enum": StrangeValue({"state": 9}, "state: "),
    "value-new-field": StrangeValue({"carbon_class": {"letter": "A"}}),
    "value-5-mb": StrangeValue({"description": "long " * 1_000_000}),
}

_LOOKED_AGAIN = Expected(Outcome.UNHARMED)
"""The listing shows what the record itself does not: a look at it just before the write tells."""
_NOT_TOUCHED = Expected(Outcome.UNHARMED)
"""The record is reported as unreadable and left alone."""

ROWS = {
    "value-null": StrangeRow("name", None, _LOOKED_AGAIN),
    "value-missing": StrangeRow("name", REMOVED, _LOOKED_AGAIN),
    "value-cut-surrogate": StrangeRow("name", "x" * 254 + "\ud83d", _NOT_TOUCHED),
    "value-nan": StrangeRow(
        "unit_price",
        float("nan"),
        Expected(Outcome.STOPS, frozenset({FailureKind.TRANSIENT}), "JSON", requests=8),
    ),
    "value-2999": StrangeRow("created", "2999-12-31T23:59:59Z", _LOOKED_AGAIN),
    "value-unknown-enum": StrangeRow("state", "Mothballed", _NOT_TOUCHED),
    "value-new-field": StrangeRow("carbon_class", {"letter": "A"}, _LOOKED_AGAIN),
    "value-5-mb": StrangeRow("description", "long " * 1_000_000, _LOOKED_AGAIN),
}


@dataclass
class _Follower:
    """The pipeline's sensor and its job over one market, with the cursor that they keep."""

    subject: OfferingsSubject
    instance: DagsterInstance = field(default_factory=DagsterInstance.ephemeral)

    def follow(self) -> Followed:
        """Look at the chain as the sensor does, and do the run that it asks for."""
        secrets = {"token": Secret(OWNER_MARK), "staff_token": Secret(STAFF_MARK)}
        definitions = defined(self.subject.market, waldur=secrets, chain={"wake_up_seconds": 0.2, "window": 10_000})
        asked, told = self._tick(definitions)
        if asked is None:
            owed = self.subject.market.rows("SELECT reason FROM sync.owed_reconcile")
            return Followed(None if owed else frozenset(), told)
        result = definitions.resolve_job_def("offerings_events").execute_in_process(
            instance=self.instance,
            partition_key=asked.tags["dagster/asset_partition_range_start"],
            run_config=asked.run_config,
        )
        done = materialized(result)["chain_events"]
        told = f"{told}\n{done['missed']}"
        if done["full_reconciles"]:
            return Followed(None, told)
        return Followed(frozenset(asked.run_config["ops"]["offerings__chain_events"]["config"]["keys"]), told)

    def _tick(self, definitions: Definitions) -> tuple[RunRequest | None, str]:
        repository = definitions.get_repository_def()
        cursors = self.instance.daemon_cursor_storage
        context = build_sensor_context(
            instance=self.instance,
            cursor=cursors.get_cursor_values({"chain_events"}).get("chain_events"),
            resources={"store": self.subject.engine},
            repository_def=repository,
        )
        data = repository.get_sensor_def("chain_events").evaluate_tick(context)
        if data.cursor:
            cursors.set_cursor_values({"chain_events": data.cursor})
        for change in data.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(cast(str, WINDOWS.name), list(change.partition_keys))
        return next(iter(data.run_requests or ()), None), data.skip_message or ""


def _follow(subject: Subject) -> Followed:
    offerings = cast(OfferingsSubject, subject)
    known = _FOLLOWERS.get(offerings.market.chain_url)
    if known is None:
        known = _FOLLOWERS[offerings.market.chain_url] = _Follower(offerings)
    return known.follow()


_FOLLOWERS: dict[str, _Follower] = {}


Strike = Callable[[OfferingsSubject, str], Any]


def _once(action: Strike) -> Callable[[Subject, str], Any]:
    @contextmanager
    def strike(subject: Subject, key: str) -> Iterator[None]:
        action(cast(OfferingsSubject, subject), key)
        yield

    return strike


def _event(subject: OfferingsSubject, key: str, sequence: int) -> Event:
    chain = subject.market.chain
    time = chain.block_at(chain.height).time
    return Event(
        chain.event_type, event_attributes("offering_updated", key, chain.height + 1, time, sequence, {"state": 1})
    )


def _duplicated(subject: OfferingsSubject, key: str) -> None:
    chain = subject.market.chain
    chain.sequence += 1
    for _ in range(2):
        chain.emit_raw(_event(subject, key, chain.sequence))


def _out_of_order(subject: OfferingsSubject, key: str) -> None:
    chain = subject.market.chain
    for number in (chain.sequence + 2, chain.sequence + 1):
        chain.emit_raw(_event(subject, key, number))
    chain.sequence += 2


def _gap(subject: OfferingsSubject, key: str) -> None:
    subject.market.chain.skip_event_sequence()
    subject.market.chain.count_order(key)


def _burst(subject: OfferingsSubject, key: str) -> None:
    with subject.market.chain.block():
        for _ in range(_BURST):
            subject.market.chain.emit(("offering_updated", key, {"state": 1}))


@contextmanager
def _silent(subject: Subject, key: str) -> Iterator[None]:
    sockets = cast(OfferingsSubject, subject).market.chain_app.state.sockets
    sockets.silent = True
    yield
    sockets.silent = False


@contextmanager
def _back(subject: Subject, key: str) -> Iterator[None]:
    chain = cast(OfferingsSubject, subject).market.chain
    height = chain.height
    for _ in range(_FAR):
        chain.empty_block()
    _follow(subject)
    # Once for what had changed before, once for the blocks after it.
    _follow(subject)
    with chain.rewound(height - 4):
        yield


@contextmanager
def _pruned(subject: Subject, key: str) -> Iterator[None]:
    chain = cast(OfferingsSubject, subject).market.chain
    before = chain.earliest_height, chain.lowest_state
    chain.prune(chain.height)
    yield
    chain.earliest_height, chain.lowest_state = before


def _unknown(subject: OfferingsSubject, key: str) -> None:
    subject.market.chain.emit(("offering_updated", f"{PROVIDER}/99999", {"state": 1}))


EVENTS = {
    "events-duplicated": StrangeEvents(_once(_duplicated)),
    "events-out-of-order": StrangeEvents(_once(_out_of_order)),
    "events-gap": StrangeEvents(_once(_gap), everything=True, told="missing in the chain's count"),
    "events-burst": StrangeEvents(_once(_burst)),
    "events-silent-socket": StrangeEvents(_silent),
    "events-height-going-back": StrangeEvents(_back, everything=True, told="went back from height"),
    "events-height-pruned": StrangeEvents(_pruned, everything=True, told="the node has pruned heights"),
    "events-unknown-id": StrangeEvents(_once(_unknown)),
}

_ONE_ANSWER = "all offerings come in one answer, as of one height"

OFFERINGS_FAULTS = PairFaults(
    secrets=(OWNER_MARK, STAFF_MARK, NODE_KEY),
    times={"left": "updated_at", "right": "created"},
    put=_put,
    values=VALUES,
    rows=ROWS,
    events=EVENTS,
    follow=_follow,
    absent={
        "listing-wrong-total-left": "the chain's answer names no total",
        "listing-omitted-ids-left": "the chain's answer names no total; see the short listing",
        "listing-duplicate-ids-left": _ONE_ANSWER,
        "listing-moving-item-left": _ONE_ANSWER,
        "listing-looping-left": _ONE_ANSWER,
    },
)
