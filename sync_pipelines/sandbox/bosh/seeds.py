"""Ready worlds: the demo's deployments with their documented peculiarities, and as many made-up ones as wanted."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from importlib import resources
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import yaml

from sync_pipelines.sandbox.bosh.model import READ, Versions, Vm
from sync_pipelines.sandbox.bosh.uaa_world import UaaWorld
from sync_pipelines.sandbox.bosh.world import DirectorWorld
from sync_pipelines.sandbox.clock import Clock

DEMO_USER = "demo-reader"
DEMO_PASSWORD = "demo-reader-password"
"""Opens the demo's Director, and as the secret of a client of the same name its UAA."""
DEMO_CREATED_AT = datetime(2026, 9, 2, 8, 14, 51, tzinfo=UTC)
"""When the broker made the demo's instances, as their entries in Vault say."""
DEMO_UPDATED_AT = datetime(2026, 11, 20, 22, 0, 4, tzinfo=UTC)

_DATA = resources.files("sync_pipelines.sandbox") / "data" / "deployments"
_BUSY = "redis-cache-small-3ceaaf30-8142-48ea-91d9-3080f9b439fc"
_BUSY_EVENTS = 260
_LAST_TASK = 4127
_CONFIG = {"content": "azs:\n- name: z1\n- name: z2\n- name: z3\n", "type": "cloud", "name": "default", "team": None}

_PLANS = (
    ("redis", "redis-cache-small", ("redis", "17.1.4"), "standalone"),
    ("redis", "redis-cache-large", ("redis", "17.1.4"), "standalone"),
    ("postgresql", "postgresql-standalone-small", ("postgres", "53.0.2"), "postgres"),
    ("rabbitmq", "rabbitmq-single-node", ("rabbitmq", "1.36.0"), "rabbitmq"),
)
_BPM = ("bpm", "1.4.12")
_STEMCELL = ("bosh-google-kvm-ubuntu-jammy", "1.719")
_MANIFEST = """---
name: {name}
releases:
- name: {release}
  version: {version}
- name: bpm
  version: 1.4.12
stemcells:
- alias: default
  os: ubuntu-jammy
  version: '1.719'
instance_groups:
- name: {group}
  instances: {count}
  azs: [z1, z2, z3]
  vm_type: small
  stemcell: default
  networks:
  - name: services
  jobs:
  - name: {release}
    release: {release}
properties:
  blacksmith:
    service_id: {service}
    plan_id: {plan}
    instance_id: {instance}
"""


def demo_world(*, uaa: UaaWorld | None = None) -> DirectorWorld:
    """Return a Director with twelve service instances and two deployments that are none.

    One deployment is locked, and the creation of one lies more than 200 events back. Creation and last update are
    those that Vault's demo data tell of the instances. :data:`DEMO_USER` may read everything.

    Arguments:
        uaa: signs the tokens; a client with the demo's name and password is added to it.
    """
    world = DirectorWorld(uaa=uaa)
    world.add_user(DEMO_USER, DEMO_PASSWORD, READ)
    if uaa is not None:
        uaa.add_client(DEMO_USER, DEMO_PASSWORD, READ)
    rows: list[dict[str, Any]] = json.loads((_DATA / "deployments.json").read_text("utf-8"))
    for row in rows:
        world.deploy(row["name"], at=DEMO_CREATED_AT.timestamp(), **_parts(row))
    span = DEMO_UPDATED_AT.timestamp() - DEMO_CREATED_AT.timestamp()
    for number in range(_BUSY_EVENTS):
        at = DEMO_CREATED_AT.timestamp() + span * (number + 1) / (_BUSY_EVENTS + 1)
        world.add_events(1, _BUSY, at=at)
    world.board.next_id = _LAST_TASK - len(rows) + 1
    for row in sorted(rows, key=lambda row: row["name"] == _BUSY):
        world.update(row["name"], at=DEMO_UPDATED_AT.timestamp())
    for row in rows:
        if row["locked"]:
            world.lock(row["name"])
    world.configs = [{**_CONFIG, "id": "1", "created_at": "2026-09-01 03:00:18 UTC", "current": True}]
    return world


def many(deployments: int, vms_each: int = 1, *, seed: int = 0, clock: Clock | None = None) -> DirectorWorld:
    """Return a Director with made-up service instances, named after the plans of the demo's catalog.

    Arguments:
        deployments: how many.
        vms_each: VMs of each.
        seed: another one makes other instance ids.
    """
    world = DirectorWorld(clock=clock)
    world.add_user(DEMO_USER, DEMO_PASSWORD, READ)
    chance = random.Random(seed)
    start = DEMO_CREATED_AT.timestamp()
    for number in range(deployments):
        service, plan, release, group = _PLANS[number % len(_PLANS)]
        instance = _uuid(chance)
        name = f"{plan}-{instance}"
        manifest = _MANIFEST.format(
            name=name,
            release=release[0],
            version=release[1],
            group=group,
            count=vms_each,
            service=service,
            plan=plan,
            instance=instance,
        )
        vms = tuple(_made_up(chance, group, index, number * vms_each + index) for index in range(vms_each))
        parts: dict[str, Any] = {"releases": (_BPM, release), "stemcells": (_STEMCELL,), "vms": vms}
        world.deploy(name, manifest, at=start + number, **parts)
    return world


def vms_of(name: str, manifest: str | None) -> tuple[Vm, ...]:
    """Return the VMs that a manifest asks for, always with the same ids; one for a manifest that cannot be read."""
    if manifest is None:
        return ()
    try:
        groups = yaml.safe_load(manifest)["instance_groups"]
    except yaml.YAMLError:
        groups = [{"name": "postgres", "instances": 1}]
    return tuple(_vm(name, group, index) for group in groups for index in range(group["instances"]))


def _vm(deployment: str, group: dict[str, Any], index: int) -> Vm:
    def made(kind: str) -> str:
        return str(uuid5(NAMESPACE_URL, f"{deployment}/{group['name']}/{index}/{kind}"))

    zones = group.get("azs", ["z1"])
    processes = tuple((job["name"], "running") for job in group.get("jobs", ()))
    return Vm(
        job=group["name"],
        index=index,
        id=made("instance"),
        agent_id=made("agent"),
        cid=f"vm-{made('vm')}",
        az=zones[index % len(zones)],
        ips=(f"10.128.{UUID(made('ip')).int % 250}.{10 + index}",),
        created_at=f"{DEMO_CREATED_AT:%Y-%m-%dT%H:%M:%SZ}",
        bootstrap=index == 0,
        processes=processes,
    )


def _made_up(chance: random.Random, group: str, index: int, number: int) -> Vm:
    return Vm(
        job=group,
        index=index,
        id=_uuid(chance),
        agent_id=_uuid(chance),
        cid=f"vm-{_uuid(chance)}",
        az=f"z{index % 3 + 1}",
        ips=(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",),
        bootstrap=index == 0,
        processes=((group, "running"),),
    )


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def _parts(row: dict[str, Any]) -> dict[str, Any]:
    file = _DATA / f"{row['name']}.yaml"
    manifest = file.read_text("utf-8") if file.is_file() else None
    return {
        "manifest": manifest,
        "releases": _versions(row["releases"]),
        "stemcells": _versions(row["stemcells"]),
        "teams": tuple(row["teams"]),
        "cloud_config": row["cloud_config"],
        "vms": vms_of(row["name"], manifest),
    }


def _versions(rows: list[dict[str, str]]) -> Versions:
    return tuple((row["name"], row["version"]) for row in rows)
