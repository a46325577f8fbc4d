"""The demo's documented discrepancies: each is found, and repaired or waiting as what it is."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest
from sqlalchemy import Engine

from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import Action
from sync_pipelines.engine.reconcile import Reconciled
from sync_pipelines.sandbox.cometbft import ChainWorld
from sync_pipelines.sandbox.waldur import DEMO_STAFF_TOKEN, WaldurStandIn, demo_owner_token
from sync_pipelines.settings import Secret
from sync_pipelines.store import plans
from sync_pipelines_tests.pipelines.offerings.market import Market, everything, opened_market

NORDLYS = "virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3"
OKRA = "virtengine152yqmg9hp4g8e3slwvdgcdny6c0x8tchnqr2qg"
KUMO = "virtengine18mvxd7jln0p68qeq3sg90893ya3muuyt9lqzqp"
NAMES = {NORDLYS: "nordlys", OKRA: "okra", KUMO: "kumo"}

CREATED = {f"{NORDLYS}/4", f"{OKRA}/3", f"{KUMO}/2", f"{KUMO}/21"}
UPDATED = {
    f"{NORDLYS}/1": ("prices",),
    f"{NORDLYS}/7": ("state",),
    f"{NORDLYS}/12": ("state",),
    f"{NORDLYS}/14": ("name",),
    f"{NORDLYS}/15": ("state",),
    f"{NORDLYS}/16": ("description",),
    f"{NORDLYS}/17": ("state",),
    f"{OKRA}/6": ("prices",),
    f"{OKRA}/9": ("components",),
    f"{OKRA}/12": ("category",),
    f"{OKRA}/14": ("attributes",),
}
UNTOUCHED = {
    "two claim one offering": ("6f2e372d4d25484baa25c9d260552545", "b9e94d40f5fd48ddb2e96ab35ba94357"),
    "orphans": ("75e9b226936e43f6a4ab2b65078c532b", "31684c66300742f5a64e19b427f34930"),
    "made by hand": ("4ec0af5e659d4e5099288437c6c958cd", "b54adf9b2ade47498edbd5ff88672743"),
    "at another provider's customer": ("41ac2ce1e2d44fc6b908d666197c2dfd",),
    "archived, so it takes no edits": ("c7eeb164fbc54f8183eaedc78bc7566e",),
    "ten decimals": ("5a54b8e0bb1c41448532617804933ffc",),
    "tags in another order": ("e315d4768ab643a9bc682bf7f8c5d9d5",),
}


@dataclasses.dataclass(frozen=True)
class Demo:
    """The demo after its first three passes over all connections."""

    market: Market
    before: dict[str, dict[str, Any]]
    passes: list[dict[str, Reconciled]]
    writes_by_pass: list[int]
    told: str

    def after(self) -> dict[str, dict[str, Any]]:
        return everything(self.market.waldur.world)


class _Everything(logging.Handler):
    """Keeps every message of every logger, as a log file with everything switched on would."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def demo(module_engine: Engine) -> Iterator[Demo]:
    """Three passes over the three connections of the demo."""
    setup = json.loads((resources.files("sync_pipelines.sandbox") / "data/offerings/waldur_setup.json").read_text())
    with opened_market(module_engine, ChainWorld.from_demo(), WaldurStandIn.demo()) as market:
        connections = [
            market.connection(
                name=NAMES[provider],
                provider=provider,
                waldur={
                    "token": Secret(demo_owner_token(customer["name"])),
                    "staff_token": Secret(DEMO_STAFF_TOKEN),
                    "customer_uuid": customer["uuid"],
                },
                category_map=setup["categories"],
                guard={},
            )
            for provider, customer in setup["customers"].items()
        ]
        before = everything(market.waldur.world)
        passes, counts, handler = [], [], _Everything()
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            for _ in range(3):
                already = len(market.waldur.world.mutations)
                passes.append({connection.name: market.reconcile(connection) for connection in connections})
                counts.append(len(market.waldur.world.mutations) - already)
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
        yield Demo(market, before, passes, counts, "\n".join(handler.lines))


def _changes(demo: Demo) -> dict[str, tuple[Action, tuple[str, ...]]]:
    with demo.market.engine.begin() as connection:
        return {
            change.key: (change.action, change.fields)
            for result in demo.passes[0].values()
            for change in plans.changes(connection, result.plan.id)
        }


def test_the_first_plan_names_every_discrepancy_and_nothing_else(demo: Demo) -> None:
    changes = _changes(demo)

    assert {key for key, (action, _) in changes.items() if action is Action.CREATE} == CREATED
    updates = {key: fields for key, (action, fields) in changes.items() if action is Action.UPDATE}
    assert updates == UPDATED
    assert sum(action is Action.ADOPT for action, _ in changes.values()) == 42
    assert {action for action, _ in changes.values()} == {Action.CREATE, Action.UPDATE, Action.ADOPT}


def test_everything_planned_was_applied_and_later_passes_write_nothing(demo: Demo) -> None:
    for result in demo.passes[0].values():
        assert result.plan.state == "open"
        assert result.applied is not None
        assert set(result.applied.outcomes) == {"applied"}
    assert demo.writes_by_pass[1:] == [0, 0]


def test_missing_offerings_exist_once_and_stand_as_on_the_chain(demo: Demo) -> None:
    states = {key: demo.market.offering(key).state for key in CREATED}

    assert states == {f"{NORDLYS}/4": "Paused", f"{OKRA}/3": "Paused", f"{KUMO}/2": "Paused", f"{KUMO}/21": "Active"}
    assert (
        demo.market.offering(f"{NORDLYS}/4").name == demo.market.chain.offering(f"{NORDLYS}/4")["name"][:150].rstrip()
    )


@pytest.mark.parametrize(
    ("offering_id", "state"),
    [
        (f"{NORDLYS}/7", "Active"),
        (f"{NORDLYS}/12", "Active"),
        (f"{NORDLYS}/15", "Paused"),
        (f"{NORDLYS}/17", "Archived"),
    ],
)
def test_wrong_states_are_put_right(demo: Demo, offering_id: str, state: str) -> None:
    assert demo.market.offering(offering_id).state == state


def test_drifted_fields_say_what_the_chain_says(demo: Demo) -> None:
    market = demo.market
    for offering_id in (f"{NORDLYS}/14", f"{NORDLYS}/16"):
        on_chain, shown = market.chain.offering(offering_id), market.offering(offering_id)
        assert (shown.name, shown.description) == (on_chain["name"].strip(), on_chain["description"].strip())
    for offering_id in (f"{NORDLYS}/1", f"{OKRA}/6"):
        assert Decimal("0.999999") not in market.offering(offering_id).prices().values()
    assert "legacy_fee" not in {component.type for component in market.offering(f"{OKRA}/9").components}
    assert (
        market.offering(f"{OKRA}/12").category.uuid
        != demo.before["f4850255dc8449d6b95e663adc21743d"]["category"]["uuid"]
    )
    assert "ve_secret_ref" not in market.offering(f"{OKRA}/14").attributes


def test_amounts_beyond_a_float_arrive_exactly(demo: Demo) -> None:
    amounts = [
        price["price"]["amount"]
        for offering_id in demo.market.chain.offering_ids()
        for price in demo.market.chain.offering(offering_id).get("prices", ())
    ]
    assert amounts.count("9007199254740993") == 5
    assert Decimal("9007199254.740993") in demo.market.offering(f"{NORDLYS}/7").prices().values()


@pytest.mark.parametrize("why", UNTOUCHED)
def test_what_is_not_ours_or_no_drift_is_untouched(demo: Demo, why: str) -> None:
    after = demo.after()
    for uuid in UNTOUCHED[why]:
        assert after[uuid] == demo.before[uuid]


def test_only_what_the_plan_names_was_written(demo: Demo) -> None:
    after = demo.after()
    changed = {row["backend_id"] for uuid, row in after.items() if demo.before.get(uuid) != row}
    assert changed == CREATED | set(UPDATED)


def test_orphans_and_conflicts_stand_as_findings(demo: Demo) -> None:
    found = {(finding.scope, finding.kind, finding.natural_key) for finding in demo.market.findings()}
    assert found == {
        ("okra", "orphan", f"{OKRA}/900"),
        ("kumo", "orphan", f"{KUMO}/901"),
        ("nordlys", "duplicate", f"{NORDLYS}/18"),
        ("nordlys", "misplaced", f"{KUMO}/6"),
    }


@pytest.mark.parametrize(
    ("offering_id", "name", "reason"),
    [
        (f"{OKRA}/15", "okra", "unspecified"),
        (f"{KUMO}/6", "kumo", "before it was ever published"),
        (f"{OKRA}/7", "okra", "Waldur refuses edits of an archived offering"),
    ],
)
def test_what_waits_says_why(demo: Demo, offering_id: str, name: str, reason: str) -> None:
    stands = demo.market.state(offering_id, name)
    assert stands.state is not State.SYNCED
    assert reason in stands.reason


def test_an_offering_of_unspecified_state_is_not_in_waldur(demo: Demo) -> None:
    assert demo.market.waldur.world.by_backend_id(f"{OKRA}/15") == []


def test_nothing_was_dead_lettered_and_the_audit_chain_is_intact(demo: Demo) -> None:
    assert demo.market.letters() == []
    assert demo.market.audit_is_intact()


def _secrets(market: Market) -> set[str]:
    """Every text below ``encrypted_secrets`` on the chain, the canaries plain and at each base64 alignment."""
    found = {"canary-", *(base64.b64encode(b"x" * lead + b"canary-").decode()[lead + 1 : 9] for lead in range(3))}

    def collect(value: Any) -> None:
        match value:
            case dict():
                for inner in value.values():
                    collect(inner)
            case list():
                for inner in value:
                    collect(inner)
            case str() if len(value) > 8:
                found.add(value)

    for offering_id in market.chain.offering_ids():
        collect(market.chain.offering(offering_id).get("encrypted_secrets"))
    return found


def test_g_secrets_reach_neither_waldur_nor_the_database_nor_a_log(demo: Demo) -> None:
    market = demo.market
    secrets = _secrets(market)
    assert len(secrets) > 30
    sent = "\n".join(
        f"{request.path}?{request.query} {request.body.decode()}" for request in market.waldur.world.requests
    )
    tables = [
        row.name
        for row in market.rows("SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'sync'")
    ]
    stored = "\n".join(
        row.line for table in tables for row in market.rows(f"SELECT t::text AS line FROM sync.{table} t")
    )
    assert len(stored) > 100_000

    for where, content in {"sent to Waldur": sent, "stored": stored, "logged": demo.told}.items():
        assert [secret for secret in secrets if secret in content] == [], where
    tokens = (DEMO_STAFF_TOKEN, "demo-owner-")
    for where, content in {"stored": stored, "logged": demo.told}.items():
        assert [token for token in tokens if token in content] == [], where
    assert "canary-" not in json.dumps(demo.after(), default=str)
