"""The deployments pipeline as a subject of the conformance kit: a Director, and a mount of a real Vault."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from sqlalchemy import Engine

from sync_pipelines.core.guard import GuardLimits
from sync_pipelines.engine.ports import Pair
from sync_pipelines.pipelines.deployments.connection import DeploymentsConnection
from sync_pipelines.pipelines.deployments.pair import NAME, open_connection
from sync_pipelines.sandbox.bosh import DirectorStandIn, DirectorWorld
from sync_pipelines.sandbox.bosh.model import READ, Deployment, Vm
from sync_pipelines.sandbox.openbao import OpenBaoProxy
from sync_pipelines.settings import Secret
from sync_pipelines.systems.transport import READ_DELAY
from sync_pipelines_tests.conformance.mishaps import hinder_served, skewed_served
from sync_pipelines_tests.conformance.subject import (
    EVERYTHING,
    USUAL,
    Capability,
    Mishap,
    Opener,
    Opening,
    Registration,
    ServedPeer,
    Side,
    Skew,
    Step,
)
from sync_pipelines_tests.pipelines.deployments.demo_data import DATA
from sync_pipelines_tests.vaults import Mounted, mounted, shared_openbao

USER, PASSWORD_MARK, TOKEN_MARK = "reader-marked", "5ec2e7-director-90af3b", "5ec2e7-vault-token-1c22d9"
"""Credentials of this subject's own, recognizable wherever they turn up."""
MANIFEST_MARK, CREDENTIALS_MARK, BINDING_MARK = "5ec2e7-property-77e0", "5ec2e7-credential-41bb", "5ec2e7-binding-c86d"
"""What only Vault may know: a manifest's property, and what the broker keeps of an instance."""
PLAN = "redis-cache-small"
NO_INSTANCE = "zookeeper-of-the-platform"
"""A deployment that is none of the services', the last one of the list."""
START = datetime(2026, 10, 1, 8, tzinfo=UTC)
RIGHTS = {
    "+/data/*": ("create", "read", "update"),
    "+/data/+/credentials": ("deny",),
    "+/metadata/*": ("read", "list", "scan", "delete"),
    "+/detailed-metadata/*": ("list", "scan"),
    "+/delete/*": ("update",),
}
"""All that the pipeline needs in Vault."""
_MANIFEST = """---
name: {name}
releases:
- name: redis
  version: 17.{revision}
- name: bpm
  version: 1.4.12
instance_groups:
- name: standalone
  instances: 1
properties:
  blacksmith:
    service_id: redis
    plan_id: {plan}
    instance_id: {instance}
  redis:
    maxmemory: {revision}
    password: {password}
"""
_JSON = {"content_type": "application/json", "body": '{"errors": ["permission denied"]}'}

Json = dict[str, Any]


def standing() -> datetime:
    """Return the pipeline's present time, which stands: what a killed run left can be compared to the letter."""
    return datetime(2026, 11, 22, 10, tzinfo=UTC)


@asynccontextmanager
async def _open(connection: DeploymentsConnection, opening: Opening, engine: Engine) -> AsyncIterator[Pair]:
    pause = READ_DELAY if opening.read_delay_seconds is None else opening.read_delay_seconds
    async with open_connection(connection, engine, read_delay=pause, clock=standing) as opened:
        # One at a time: changes of the index that wait go together in one request, and so would its refusal.
        policies = {"guard": GuardLimits(enabled=False), "in_flight": 1, **opening.policies}
        yield replace(opened.pair, **policies)


@dataclass
class DeploymentsSubject:
    """One Director's service instances.

    Attributes:
        times: moments of what happens at the Director.
    """

    director: DirectorStandIn
    director_url: str
    vault: Mounted
    proxy: OpenBaoProxy
    proxy_url: str
    engine: Engine
    pair_name: str = NAME
    scope_name: str = "lab"
    secrets: tuple[str, ...] = (PASSWORD_MARK, TOKEN_MARK, MANIFEST_MARK, CREDENTIALS_MARK, BINDING_MARK)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    times: Iterator[int] = field(default_factory=lambda: itertools.count(int(START.timestamp()), 60))
    removed: dict[str, Deployment] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    counted: int = 0
    created: int = 0

    @property
    def world(self) -> DirectorWorld:
        """The Director's state."""
        return self.director.world

    @property
    def peers(self) -> Mapping[Side, ServedPeer]:
        data = f"^/v1/{self.vault.path}/data"
        one = "[0-9a-f-]{36}/(metadata|manifest)"
        return {
            "left": ServedPeer(
                "bosh", self.director_url, self.director.faults, self.world.requests, listing="^/deployments/?$"
            ),
            "right": ServedPeer(
                "vault",
                self.proxy_url,
                self.proxy.faults,
                self.proxy.requests,
                listing=f"{data}/db$",
                listing_requests=1,
                create=f"{data}/db$",
                change=f"{data}/(db|{one})$",
                change_of=f"{data}/{{key}}/(metadata|manifest)$",
            ),
        }

    def connection(self, opening: Opening = USUAL, **changes: Any) -> DeploymentsConnection:
        """Return the connection; ``changes`` are further settings."""
        director = {"url": opening.urls.get("left", self.director_url), "user": USER, "auth": "basic"}
        vault = {"url": opening.urls.get("right", self.proxy_url), "mount": self.vault.path}
        limits = {"requests_per_second": opening.requests_per_second, "burst": opening.burst}
        timeout = {"timeout_seconds": opening.timeout_seconds}
        settings = {
            "name": self.scope_name,
            "director": {**director, **timeout, "password": Secret(PASSWORD_MARK)},
            "vault": {**vault, **timeout, "limits": limits, "token": Secret(TOKEN_MARK)},
            "catalog": str(DATA / "catalog.json"),
        }
        return DeploymentsConnection.model_validate(settings | changes, context={"environment": {}})

    def opener(self, opening: Opening = USUAL) -> Opener:
        return partial(_open, self.connection(opening), opening)

    def add(self, count: int = 1) -> list[str]:
        return [self._deploy(next(self.numbers)) for _ in range(count)]

    def edit(self, key: str) -> None:
        self.world.update(key, at=next(self.times), **_parts(key, next(self.numbers)))

    def rename(self, key: str, text: str) -> None:
        # Half a surrogate pair has no UTF-8; the Director's language writes U+FFFD for it.
        whole = "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= one <= "\udfff" else one for one in text)
        self._set(key, teams=(whole,))

    def change_state(self, key: str) -> None:
        # There is no state to change. The teams are seen in the list alone, and kept in one document alone.
        teams = self.world.deployments[key].teams
        self._set(key, teams=("on-call",) if teams == ("data",) else ("data",))

    def remove(self, key: str) -> None:
        self.removed[key] = self.world.deployments[key]
        self.world.delete(key, at=next(self.times))

    def bring_back(self, key: str) -> None:
        self.world.add(self.removed.pop(key))

    def spoil(self, key: str) -> None:
        manifest = self.world.deployments[key].manifest or ""
        self.removed[key] = self.world.deployments[key]
        self._set(key, manifest=manifest.replace(f"plan_id: {PLAN}", "plan_id: redis-cache-large"), teams=("spoiled",))

    def mend(self, key: str) -> None:
        self.world.add(self.removed.pop(key))

    def natural_key(self, key: str) -> str:
        return key.removeprefix(f"{PLAN}-")

    def shown(self) -> dict[str, list[Json]]:
        shown: dict[str, list[Json]] = {}
        for key, entry in self.index().items():
            shown.setdefault(key.lower(), []).append(_content(entry, *self._documents(key.lower())))
        return shown

    def traces(self) -> Any:
        """Return every document but the index, and its version; the pipeline's clock stands."""
        admin, mount = self.vault.admin, self.vault.path
        return {
            path: (version, admin.read(mount, path)) for path, version in admin.versions(mount).items() if path != "db"
        }

    def in_service(self, natural_key: str) -> int:
        entries = [entry for key, entry in self.index().items() if key.lower() == natural_key]
        return sum(entry.get("orphaned") is not True for entry in entries)

    def edit_right(self, natural_key: str) -> None:
        self._put_metadata(natural_key, teams=[f"edited {next(self.numbers)}"])

    def overwrite_right(self, natural_key: str) -> None:
        self._put_metadata(natural_key, releases=[{"name": "redis", "version": f"99.{next(self.numbers)}"}])

    def delete_right(self, natural_key: str) -> None:
        index = self.index()
        keys = sorted(key for key in index if key.lower() == natural_key)
        # In upper case, which comes first, is the one that was made later.
        del index[keys[0]]
        self._put_index(index)
        if len(keys) == 1:
            for name in ("metadata", "manifest"):
                self.vault.admin.call("DELETE", f"{self.vault.path}/metadata/{natural_key}/{name}")

    def double_right(self, natural_key: str) -> None:
        index = self.index()
        self._put_index({**index, natural_key.upper(): index[natural_key]})

    def stray(self) -> str:
        natural_key = _instance(9000 + next(self.numbers))
        entry = {"service_id": "redis", "plan_id": PLAN, "deployment_name": f"{PLAN}-{natural_key}"}
        self._put_index({**self.index(), natural_key: entry})
        return natural_key

    def hinder(self, step: Step, mishap: Mishap, *, times: int | None = 1, skip: int = 0) -> None:
        peer = self.peers["right"]
        if mishap is not Mishap.UNAUTHORIZED:
            return hinder_served(peer, step, mishap, times=times, skip=skip)
        path = peer.create if step == "create" else peer.change
        peer.faults.add("status", method="POST", path=path, times=times, skip=skip, status=403, **_JSON)
        # Vault says 403 of policies, too. What the token may not even ask of itself is dead; the first look was before.
        peer.faults.add("status", path="/lookup-self$", skip=1, status=403, **_JSON)
        return None

    def relent(self) -> None:
        self.proxy.faults.clear()

    def show_pages_of(self, rows: int) -> None:
        """The index is one document."""

    def skewed(self, skew: Skew) -> AbstractContextManager[None]:
        return skewed_served(self.peers["right"], skew)

    def commits(self) -> int:
        done = [one for one in self.proxy.forwarded if one.method in ("POST", "DELETE") and _is_good(one.status)]
        return sum(f"/{self.vault.path}/" in one.path for one in done)

    def creates(self) -> int:
        self._count()
        return self.created

    def index(self) -> Json:
        """Return the index as Vault has it."""
        return self.vault.read("db") or {}

    def _deploy(self, number: int) -> str:
        instance = _instance(number)
        key = f"{PLAN}-{instance}"
        self.world.deploy(key, at=next(self.times), teams=("data",), vms=(_vm(number),), **_parts(key, number))
        if number == 1:
            self.vault.write(f"{instance}/credentials", {"password": CREDENTIALS_MARK})
            self.vault.write(f"{instance}/bindings", {"app-1": {"credentials": {"password": BINDING_MARK}}})
        return key

    def _set(self, key: str, **parts: Any) -> None:
        self.world.add(replace(self.world.deployments[key], **parts))

    def _documents(self, instance: str) -> tuple[Json, Json]:
        return self.vault.read(f"{instance}/metadata") or {}, self.vault.read(f"{instance}/manifest") or {}

    def _put_metadata(self, instance: str, **fields: Any) -> None:
        metadata, _ = self._documents(instance)
        self.vault.write(f"{instance}/metadata", {**metadata, **fields})

    def _put_index(self, index: Json) -> None:
        self._count()
        self.vault.write("db", index)
        self.known = {key.lower() for key in index}

    def _count(self) -> None:
        """Count the entries that a client added, by what it wrote; what the owners of Vault add is none of these."""
        done, self.counted = self.proxy.forwarded[self.counted :], len(self.proxy.forwarded)
        for request in done:
            if (
                request.method == "POST"
                and request.path.endswith(f"/{self.vault.path}/data/db")
                and request.status == 200
            ):
                now = {key.lower() for key in json.loads(request.body)["data"]}
                self.created += len(now - self.known)
                self.known = now


def _instance(number: int) -> str:
    # With letters, so that it can be spelled in another case.
    return f"{number:08d}-feed-4bad-8ace-0123456789ab"


def _parts(key: str, revision: int) -> Json:
    instance = key.removeprefix(f"{PLAN}-")
    named = {"name": key, "plan": PLAN, "instance": instance}
    return {
        "manifest": _MANIFEST.format(**named, revision=revision, password=MANIFEST_MARK),
        "releases": (("bpm", "1.4.12"), ("redis", f"17.{revision}")),
        "stemcells": (("ubuntu-jammy", "1.719"),),
    }


def _vm(number: int) -> Vm:
    return Vm("standalone", 0, f"vm-{number}", f"agent-{number}", f"cid-{number}", ips=(f"10.0.0.{number % 250}",))


def _content(entry: Any, metadata: Json, manifest: Json) -> Json:
    """Return what belongs together as one field: the first is all that a deploy changes."""
    entry = entry if isinstance(entry, dict) else {}
    teams = metadata.get("teams") or []
    return {
        "deployed": [
            *(metadata.get(name) for name in ("releases", "stemcells", "properties", "latest_task_id")),
            manifest.get("manifest"),
            entry.get("updated_at"),
        ],
        "teams": teams[0] if len(teams) == 1 else teams,
        "vms": metadata.get("vms"),
        "entry": {name: entry.get(name) for name in ("service_id", "plan_id", "plan", "service_name", "created_at")},
        "place": [entry.get(name) for name in ("deployment_name", "director", "reconciled_by")],
        "match": [metadata.get(name) for name in ("match_confidence", "match_reason", "service_name", "plan_name")],
        "kept": [metadata.get(name) for name in ("has_credentials", "has_bindings", "bindings_count", "binding_ids")],
        "orphaned": entry.get("orphaned") is True,
    }


def _is_good(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


@cache
def _with_token() -> None:
    admin = shared_openbao().admin
    admin.put_policy("sync-pipelines", RIGHTS)
    admin.create_token("sync-pipelines", ttl="24h", id=TOKEN_MARK)


@contextmanager
def opened_subject(engine: Engine) -> Iterator[DeploymentsSubject]:
    """Serve a Director with one deployment that is no instance, and an empty mount."""
    _with_token()
    world = DirectorWorld()
    world.add_user(USER, PASSWORD_MARK, READ)
    world.deploy(NO_INSTANCE, "--- {}\n", at=START.timestamp())
    director, vault = DirectorStandIn(world), mounted(shared_openbao(), 2)
    proxy = OpenBaoProxy(vault.url)
    with director.running() as director_url, proxy.running() as proxy_url:
        try:
            yield DeploymentsSubject(director, director_url, vault, proxy, proxy_url, engine)
        finally:
            vault.admin.disable(vault.path)


DEPLOYMENTS = Registration(
    "deployments",
    opened_subject,
    can=EVERYTHING - {Capability.TOTALS, Capability.STATES, Capability.INVALID, Capability.LEAVES_UNTRACKED},
    dies_at=frozenset({"after-call", "before-settle", "between-calls"}),
)
