"""A chain and a Waldur server over real HTTP, and what a test wants to do with the two."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, text
from starlette.applications import Starlette

from sync_pipelines.core.lifecycle import State
from sync_pipelines.engine.reconcile import Reconciled, reconcile
from sync_pipelines.pipelines.offerings import events
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.events import Ingested
from sync_pipelines.pipelines.offerings.pair import NAME, open_connection
from sync_pipelines.sandbox.cometbft import ChainWorld, create_app
from sync_pipelines.sandbox.cometbft.listing import StorePairs
from sync_pipelines.sandbox.faults import FaultInjector
from sync_pipelines.sandbox.hosted import KeyInPath
from sync_pipelines.sandbox.request_log import LoggedRequest, RequestLog
from sync_pipelines.sandbox.server import serve
from sync_pipelines.sandbox.waldur import Mutation, WaldurStandIn, WaldurWorld
from sync_pipelines.sandbox.waldur.model import Offering
from sync_pipelines.settings import Secret
from sync_pipelines.store import audit, findings, states
from sync_pipelines.store.findings import StandingFinding
from sync_pipelines.store.scopes import Scope, find_scope
from sync_pipelines.store.states import DeadLetter, RecordState
from sync_pipelines_tests.engine.worlds import approve_and_apply

PROVIDER = "virtengine1rk28937hz050m2lm46skdlvvx39csat7pjvyv3"
RIVAL = "virtengine152yqmg9hp4g8e3slwvdgcdny6c0x8tchnqr2qg"
CUSTOMERS = {PROVIDER: "a" * 32, RIVAL: "b" * 32}
OWNERS = {PROVIDER: "0a" * 20, RIVAL: "0b" * 20}
STAFF = "05" * 20
CATEGORIES = {"compute": "ca" + "1" * 30, "storage": "ca" + "2" * 30, "gpu": "ca" + "3" * 30}
CHAIN_ID = "virtengine-demo-1"

ACTIVE, PAUSED, SUSPENDED, DEPRECATED, TERMINATED = 1, 2, 3, 4, 5

log = logging.getLogger("sync_pipelines.test")


@dataclasses.dataclass(frozen=True)
class Market:
    """Both peers, served, and the database of the pipeline between them."""

    engine: Engine
    chain: ChainWorld
    waldur: WaldurStandIn
    chain_app: Starlette
    chain_faults: FaultInjector
    chain_requests: list[LoggedRequest]
    chain_url: str
    waldur_url: str

    def connection(self, provider: str = PROVIDER, **changes: Any) -> OfferingsConnection:
        """Return the connection of a provider. A change of ``chain`` or ``waldur`` is merged into the usual one.

        One record is more than a fifth of a scope of three, so the guard lets small numbers through.
        """
        usual: dict[str, Any] = {
            "name": "nordlys" if provider == PROVIDER else "okra",
            "provider": provider,
            "chain": {"rpc_url": self.chain_url, "chain_id": CHAIN_ID},
            "waldur": {
                "url": self.waldur_url,
                "token": Secret(OWNERS.get(provider, "")),
                "staff_token": Secret(STAFF),
                "customer_uuid": CUSTOMERS.get(provider),
            },
            "category_map": CATEGORIES,
            "guard": {"ignore_up_to": 3},
        }
        for name, value in changes.items():
            merges = name in ("chain", "waldur")
            usual[name] = usual[name] | value if merges else value
        return OfferingsConnection.model_validate(usual)

    def reconcile(
        self,
        connection: OfferingsConnection | None = None,
        *,
        keys: Sequence[str] | None = None,
        plan_only: bool = False,
        force: bool = False,
    ) -> Reconciled:
        """Run one reconcile in this process, as a Dagster run would."""
        connection = connection or self.connection()

        async def run() -> Reconciled:
            async with open_connection(connection, self.engine) as opened:
                return await reconcile(
                    self.engine,
                    opened.pair,
                    run_id=uuid.uuid4().hex[:8],
                    log=log,
                    keys=keys,
                    plan_only=plan_only,
                    force=force,
                )

        return asyncio.run(run())

    def approve(self, plan_hash: str, connection: OfferingsConnection | None = None) -> Reconciled:
        """Approve a held plan and carry it out."""
        connection = connection or self.connection()

        async def run() -> Reconciled:
            async with open_connection(connection, self.engine) as opened:
                return await approve_and_apply(self.engine, opened.pair, plan_hash, run_id="approval", log=log)

        return asyncio.run(run())

    def ingest(self, first: int, last: int, connection: OfferingsConnection | None = None) -> Ingested:
        """Read the events of a range of heights."""
        connection = connection or self.connection()

        async def run() -> Ingested:
            async with open_connection(connection, self.engine) as opened:
                return await events.ingest(self.engine, opened.chain, [connection], first, last, run_id="events")

        return asyncio.run(run())

    def offer(self, provider: str = PROVIDER, **fields: Any) -> str:
        """Put an offering on the chain and return its id."""
        return self.chain.create_offering(provider, {"category": "compute", "name": "VM", **fields})

    def offering(self, offering_id: str) -> Offering:
        """Return the one Waldur offering of an id; fails when there are none or several."""
        (found,) = self.waldur.world.by_backend_id(offering_id)
        return found

    @property
    def writes(self) -> list[str]:
        """Every write that Waldur committed so far, by the last part of its path: ``create`` is the list itself."""
        return [_name(mutation) for mutation in self.waldur.world.mutations]

    def calls_for(self, offering: Offering, since: int) -> list[str]:
        """Return the writes to one offering and its plans, from a number of writes on."""
        names = [offering.uuid, *(plan.uuid for plan in offering.plans)]
        mutations = self.waldur.world.mutations[since:]
        return [_name(m) for m in mutations if any(uuid_ in f"{m.path} {m.body}" for uuid_ in names)]

    def writes_of(self, *runs: Reconciled) -> int:
        """Return how many changes these reconciles carried out at the peer."""
        return sum(
            number
            for run in runs
            if run.applied is not None
            for action, number in run.applied.actions.items()
            if action in ("create", "update", "retire")
        )

    def state(self, offering_id: str, name: str = "nordlys") -> RecordState:
        """Return where a record stands."""
        with self.engine.begin() as connection:
            found = states.find_state(connection, self.scope(name), offering_id)
        assert found is not None
        return found

    def scope(self, name: str = "nordlys") -> Scope:
        """Return a connection's scope in the database."""
        with self.engine.begin() as connection:
            scope = find_scope(connection, NAME, name)
        assert scope is not None
        return scope

    def letters(self, *, open_only: bool = True) -> list[DeadLetter]:
        """Return the dead letters."""
        with self.engine.begin() as connection:
            return states.letters(connection, NAME, open_only=open_only)

    def reprocess(self, *keys: str, name: str = "nordlys") -> list[str]:
        """Give dead letters a new life, as the CLI does."""
        with self.engine.begin() as connection:
            return states.reprocess(connection, self.scope(name), list(keys) or None, "ada")

    def findings(self) -> list[StandingFinding]:
        """Return orphans and conflicts that stand."""
        with self.engine.begin() as connection:
            return findings.standing(connection, NAME)

    def rows(self, sql: str) -> list[Any]:
        """Return what a query finds."""
        with self.engine.begin() as connection:
            return list(connection.execute(text(sql)).all())

    def metric(self, name: str, scope: str = "nordlys") -> float:
        """Return a counter, 0 when it was never raised."""
        with self.engine.begin() as connection:
            value = connection.execute(
                text("SELECT value FROM sync.metric WHERE name = :name AND scope = :scope AND bucket = ''"),
                {"name": name, "scope": scope},
            ).scalar()
        return float(value or 0)

    def audit_is_intact(self) -> bool:
        """Recompute the audit chain."""
        with self.engine.begin() as connection:
            return audit.verify(connection, NAME).broken_at is None

    def let_time_pass(self) -> None:
        """Make everything due that waits for a time: retries, doubts, leases of the dead, an open breaker."""
        with self.engine.begin() as connection:
            for statement in (
                "UPDATE sync.record_state SET next_retry_at = now() - interval '1 s' WHERE state = 'retrying'",
                "UPDATE sync.effect SET quiet_until = now() - interval '1 s' WHERE quiet_until IS NOT NULL",
                "UPDATE sync.lease SET expires_at = now() - interval '1 s'",
                "DELETE FROM sync.peer",
            ):
                connection.execute(text(statement))

    def lose_everything(self) -> None:
        """Delete all that the pipeline remembers but its audit log."""
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "TRUNCATE sync.scope, sync.snapshot, sync.record, sync.base, sync.plan, sync.plan_change, "
                    "sync.effect, sync.record_state, sync.dead_letter, sync.finding, sync.watermark, sync.chain_event "
                    "RESTART IDENTITY CASCADE"
                )
            )

    def synced(self, offering_id: str, name: str = "nordlys") -> bool:
        """Say whether a record is synced."""
        return self.state(offering_id, name).state is State.SYNCED


def _name(mutation: Mutation) -> str:
    last = mutation.path.strip("/").rpartition("/")[2]
    return {"marketplace-provider-offerings": "create", "marketplace-plans": "create_plan"}.get(last, last)


def price_list(prices: Mapping[str, str], denom: str = "uvirt") -> list[dict[str, Any]]:
    """Return the chain's price list for ``"cpu/hour" -> amount``."""
    return [
        {"resource_type": kind, "unit": unit, "price": {"denom": denom, "amount": amount}, "usd_reference": ""}
        for (kind, unit), amount in ((name.split("/"), amount) for name, amount in prices.items())
    ]


def everything(world: WaldurWorld) -> dict[str, dict[str, Any]]:
    """Return all that Waldur knows about each offering, to be compared with a later state."""
    return {uuid_: dataclasses.asdict(offering) for uuid_, offering in world.offerings.items()}


def small_waldur() -> WaldurStandIn:
    """Return a server with two customers, an owner each, a staff user and three categories."""
    stand_in = WaldurStandIn()
    world = stand_in.world
    world.add_customer(CUSTOMERS[PROVIDER], "Nordlys")
    world.add_customer(CUSTOMERS[RIVAL], "Okra")
    world.add_user("nordlys", OWNERS[PROVIDER], owns={CUSTOMERS[PROVIDER]})
    world.add_user("okra", OWNERS[RIVAL], owns={CUSTOMERS[RIVAL]})
    world.add_user("staff", STAFF, is_staff=True)
    for title, uuid_ in CATEGORIES.items():
        world.add_category(uuid_, title)
    return stand_in


@contextmanager
def opened_market(engine: Engine, chain: ChainWorld, waldur: WaldurStandIn, *, node_key: str = "") -> Iterator[Market]:
    """Serve both until the block is left.

    Arguments:
        node_key: key in the path of the chain's address, as hosted nodes have it.
    """
    node = create_app(chain)
    faults = FaultInjector(node, StorePairs())
    requests: list[LoggedRequest] = []
    hosted = KeyInPath(RequestLog(faults, requests), node_key)
    with serve(hosted) as url, waldur.running() as waldur_url:
        chain_url = f"{url}/{node_key}" if node_key else url
        yield Market(engine, chain, waldur, node, faults, requests, chain_url, waldur_url)
