"""Exchanges recorded from a BOSH Director 282.1.17, and a Director in the state they were made in.

The files were made in different moments of one Director, hence each has its own state of the journal of events.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.bosh import Clock, Deployment, DirectorWorld, Event, Task, UaaWorld, Vm
from sync_pipelines.sandbox.bosh.model import Lock
from sync_pipelines_tests.contract.replay import Step, read_scenarios

FOLDER = Path(__file__).parent / "recordings" / "bosh"
HOST = "bosh.test:25555"
UAA_URL = "http://uaa.test:8443"
DIRECTOR_UUID = "c0775b35-1d86-4b72-b7e2-7b882e06d7df"
BEGAN_AT = 1795316421.7
LAST_EVENT = {"auth": 324, "deployments": 324, "tasks": 324, "events": 332}
"""Of each file: the newest event when it was begun."""
_LOCKED_BY = 65
_LOCK_ENDS_AT = 1795320018.0


@cache
def steps(name: str) -> tuple[Step, ...]:
    """Return the exchanges of a file in the order in which they were made."""
    return tuple(step for scenario in read_scenarios(FOLDER / f"{name}.jsonl").values() for step in scenario)


def recorded_world(name: str, uaa: UaaWorld | None = None) -> DirectorWorld:
    """Return the Director before the first exchange of a file; its time stands still."""
    clock = uaa.clock if uaa else Clock(standing_at=BEGAN_AT)
    world = DirectorWorld(uuid=DIRECTOR_UUID, uaa=uaa, clock=clock)
    world.board.pickup_seconds = 1.0
    world.add_user("admin", "admin")
    vms = _vms()
    manifests = _manifests()
    for row in _answer("deployments", "list_full", 1):
        world.add(
            Deployment(
                row["name"],
                manifests.get(row["name"]),
                tuple((release["name"], release["version"]) for release in row["releases"]),
                tuple((stemcell["name"], stemcell["version"]) for stemcell in row["stemcells"]),
                tuple(row["teams"]),
                tuple(vms.get(row["name"], ())),
                row["cloud_config"],
            )
        )
        if row["locked"]:
            world.locks[row["name"]] = Lock(_LOCKED_BY, _LOCK_ENDS_AT)
    for task in _past_tasks():
        world.board.restore(task)
    for event in _events(LAST_EVENT[name]):
        world.events.restore(event)
    world.configs = _answer("deployments", "inventory", 4)
    return world


def authorization(placeholder: str, uaa: UaaWorld | None) -> str:
    """Return credentials that are what a placeholder says, e.g. ``bearer <token:expired>``."""
    kind, _, told = placeholder.partition(" ")
    what = told.strip("<>").partition(":")[2]
    if kind == "Basic":
        password = "admin" if what == "admin" else "another password"
        return f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"
    assert uaa is not None
    scopes = what.replace("<director uuid>", DIRECTOR_UUID).replace("<other uuid>", "another-uuid")
    tokens = {
        "expired": lambda: uaa.token("recorded", "bosh.read", seconds=-1),
        "no bosh scope": lambda: uaa.token("recorded", "openid"),
        "refresh token": lambda: uaa.sign("recorded", ("bosh.read",), seconds=600, is_refresh=True),
        "bad signature": lambda: uaa.token("recorded", "bosh.read")[:-4] + "AAAA",
    }
    return f"bearer {tokens.get(what, lambda: uaa.token('recorded', scopes))()}"


def _answer(name: str, scenario: str, number: int) -> Any:
    found = next(step for step in steps(name) if (step.scenario, step.number) == (scenario, number))
    return found.response["body"]


def _manifests() -> dict[str, str | None]:
    return {
        _deployment_of(step): step.response["body"]["manifest"]
        for step in steps("deployments")
        if step.scenario == "get_deployment"
    }


def _vms() -> dict[str, list[Vm]]:
    """Return the VMs of each deployment as the answers from the database and from the agents tell of them."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for step in steps("deployments"):
        if step.scenario in ("vms_plain", "instances") and step.response["status"] == 200:
            for row in step.response["body"]:
                found.setdefault(_deployment_of(step), {}).setdefault(row["id"], {}).update(row)
    for deployment, line in _full_lines():
        found.setdefault(deployment, {}).setdefault(line["id"], {}).update(line)
    return {name: [_vm(row) for row in rows.values()] for name, rows in found.items()}


def _full_lines() -> Iterator[tuple[str, dict[str, Any]]]:
    asked: dict[str, str] = {}
    for step in steps("tasks"):
        if step.request["query"].get("format") == "full":
            asked[step.response["headers"]["Location"].rpartition("/")[2]] = _deployment_of(step)
        path, query = step.request["path"], step.request["query"]
        is_whole = step.response["status"] == 200 and query.get("type") == "result"
        if path.endswith("/output") and is_whole and path.split("/")[2] in asked:
            for line in (step.response["body"] or "").splitlines():
                yield asked[path.split("/")[2]], json.loads(line)


def _vm(row: Mapping[str, Any]) -> Vm:
    state = row.get("job_state", "running")
    return Vm(
        job=row["job"] if "job" in row else row["job_name"],
        index=row["index"],
        id=row["id"],
        agent_id=row["agent_id"],
        cid=row["cid"] if "cid" in row else row["vm_cid"],
        az=row["az"],
        ips=tuple(row["ips"]),
        created_at=row["vm_created_at"],
        expects_vm=row.get("expects_vm", False),
        bootstrap=row.get("bootstrap", True),
        job_state=state,
        has_vitals=row.get("vitals", True) is not None,
        processes=tuple((process["name"], process["state"]) for process in row.get("processes", ())),
        is_dead=state == "unresponsive agent",
    )


def _past_tasks() -> list[Task]:
    """Return the tasks that were there when the recording began; the first two are too old to have logs."""
    bodies = {body["id"]: body for step in steps("tasks") for body in _task_bodies(step) if body["id"] <= _LOCKED_BY}
    for number in (1, 2):
        bodies.setdefault(number, {"id": number, "state": "done", "deployment": "blacksmith", "user": "blacksmith"})
    kept = {name for name in Task.__dataclass_fields__ if name != "manifest"}
    tasks = []
    for number, body in sorted(bodies.items()):
        told = {name: value for name, value in body.items() if name in kept}
        task = Task(**{"type": "update_deployment", "description": "create deployment", "queued_at": BEGAN_AT, **told})
        task.lost_logs = number == 1
        task.outputs = None if number == 2 else task.outputs
        tasks.append(task)
    return tasks


def _task_bodies(step: Step) -> list[dict[str, Any]]:
    body = step.response["body"]
    rows = body if isinstance(body, list) else [body]
    return [row for row in rows if isinstance(row, dict) and {"state", "started_at"} <= row.keys()]


def recorded_tasks(step: Step) -> dict[int, str]:
    """Return the states of the tasks that an answer tells of."""
    return {body["id"]: body["state"] for body in _task_bodies(step)}


def _events(last: int) -> list[Event]:
    bodies = [body for number in (1, 2) for body in _answer("events", "paging", number)]
    events = []
    for body in sorted(bodies, key=lambda body: int(body["id"])):
        if int(body["id"]) > last:
            break
        parent = body.get("parent_id")
        told = {name: value for name, value in body.items() if name not in ("id", "parent_id")}
        events.append(Event(id=int(body["id"]), parent_id=None if parent is None else int(parent), **told))
    return events


def _deployment_of(step: Step) -> str:
    return str(step.request["path"].split("/")[2])
