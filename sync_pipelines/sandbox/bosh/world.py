"""The state of one Director in memory, and what operators, brokers and accidents do to it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sync_pipelines.sandbox.bosh.events import EventLog
from sync_pipelines.sandbox.bosh.model import ADMIN, Deployment, Lock, Task, User
from sync_pipelines.sandbox.bosh.tasks import TaskBoard
from sync_pipelines.sandbox.bosh.uaa_world import UaaWorld
from sync_pipelines.sandbox.bosh.work import DirectorWork
from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.request_log import LoggedRequest

_LOCK_SECONDS = 3600


@dataclass(slots=True)
class _Hook:
    method: str
    path: str
    action: Callable[[], object]
    skip: int


class DirectorWorld:
    """Everything a Director knows. Change it by its methods, from any thread: listings are kept until one is called.

    Arguments:
        name, uuid: as told by ``/info``; the uuid identifies the Director.
        uaa: who signs its tokens; ``None`` makes it ask for user and password.
        clock: its time.

    Attributes:
        users: people with a password by name, for a Director without UAA.
        deployments, locks: by deployment name.
        events, board: the journal and the tasks.
        vms_seconds, dead_agent_seconds: how long a task takes that asks all agents, and one that meets a dead agent.
        change_seconds: how long a deploy or a deletion takes that was asked for over HTTP.
        broken: names of deployments whose details are answered with an empty 500.
        configs: rows of ``/configs``, newest first.
        latency_seconds: passes before each answer.
        requests: every request received, in order.
        in_flight, most_in_flight: requests under way now, and the most that were at a time.
        revision: grows with each change.
    """

    def __init__(
        self,
        name: str = "services-director",
        uuid: str = "c0775b35-1d86-4b72-b7e2-7b882e06d7df",
        *,
        uaa: UaaWorld | None = None,
        clock: Clock | None = None,
        workers: int = 2,
    ) -> None:
        self.name = name
        self.uuid = uuid
        self.version = "282.1.17"
        self.uaa = uaa
        self.clock = clock or (uaa.clock if uaa else Clock())
        self.users: dict[str, User] = {}
        self.deployments: dict[str, Deployment] = {}
        self.locks: dict[str, Lock] = {}
        self.events = EventLog()
        self.board = TaskBoard(self.clock, workers=workers)
        self.vms_seconds = 0.05
        self.dead_agent_seconds = 15.0
        self.change_seconds = 0.2
        self.broken: set[str] = set()
        self.configs: list[dict[str, Any]] = []
        self.latency_seconds = 0.0
        self.requests: list[LoggedRequest] = []
        self.in_flight = self.most_in_flight = 0
        self.revision = 0
        self._hooks: list[_Hook] = []
        self._lock = threading.RLock()

    @property
    def guard(self) -> threading.RLock:
        """Held while a request is answered; hold it to make several changes at once."""
        return self._lock

    @property
    def writes(self) -> list[LoggedRequest]:
        """Every request received that asked for a change."""
        return [request for request in self.requests if request.is_write]

    def add_user(self, name: str, password: str, *scopes: str) -> User:
        """Let somebody log in with a password; without scopes they may do everything."""
        user = self.users[name] = User(name, password, scopes or (ADMIN,))
        return user

    def set_scopes(self, name: str, *scopes: str) -> None:
        """Grant somebody with a password something else from now on."""
        self.users[name].scopes = scopes

    def add(self, deployment: Deployment) -> None:
        """Put a deployment there as it is, without task or events."""
        with self._lock:
            self.deployments[deployment.name] = deployment
            self.revision += 1

    def deploy(
        self,
        name: str,
        manifest: str | None = None,
        *,
        user: str = "blacksmith",
        at: float | None = None,
        error: str | None = None,
        **parts: Any,
    ) -> int:
        """Deploy something new or anew, as the broker would, and return the id of the finished task.

        Arguments:
            manifest: new text; ``None`` keeps the present one.
            at: Unix seconds of everything that happens; ``None`` means now.
            error: why it failed; a new deployment then stays without manifest, an old one as it was.
            parts: further fields of :class:`Deployment` to set; those not given stay.
        """
        with self._lock:
            is_new = name not in self.deployments
            if error is None:
                self._set(name, **parts, **({} if manifest is None else {"manifest": manifest}))
            task = self.board.add("update_deployment", "create deployment", user, name)
            moment = self.clock.now() if at is None else at
            task.queued_at, task.started_at, task.timestamp = moment, int(moment), int(moment)
            task.state, task.result = ("error", error) if error else ("done", f"/deployments/{name}")
            self.record_deploy(name, task, is_new=is_new, error=error)
            if name not in self.deployments:
                self._set(name)
            return task.id

    def update(self, name: str, manifest: str | None = None, **details: Any) -> int:
        """Deploy something that is there anew; see :meth:`deploy`.

        Raises:
            KeyError: it is not there.
        """
        return self.deploy(self.deployments[name].name, manifest, **details)

    def delete(self, name: str, *, user: str = "blacksmith", at: float | None = None) -> int:
        """Delete a deployment as the broker would, and return the id of the finished task.

        Raises:
            KeyError: it is not there.
        """
        with self._lock:
            if name not in self.deployments:
                raise KeyError(name)
            task = self.board.add("delete_deployment", f"delete deployment {name}", user, name)
            moment = self.clock.now() if at is None else at
            task.state, task.started_at, task.timestamp = "done", int(moment), int(moment)
            task.result = f"/deployments/{name}"
            self.erase(name, task)
            return task.id

    def lock(self, name: str, *, user: str = "blacksmith", at: float | None = None) -> int:
        """Begin a change that does not end before :meth:`unlock`, and return the id of its task."""
        with self._lock:
            task = self.board.add("update_deployment", "create deployment", user, name)
            moment = self.clock.now() if at is None else at
            task.state, task.started_at = "processing", int(moment)
            self.locks[name] = Lock(task.id, moment + _LOCK_SECONDS)
            self._lock_event("acquire", name, task, moment)
            self.revision += 1
            return task.id

    def unlock(self, name: str) -> None:
        """End the change that was begun with :meth:`lock`."""
        with self._lock:
            task = self.board.tasks[self.locks.pop(name).task]
            task.state, task.timestamp, task.result = "done", int(self.clock.now()), f"/deployments/{name}"
            self._lock_event("release", name, task, self.clock.now())
            self.revision += 1

    def set_agents(self, name: str, *, dead: bool, index: int | None = None) -> None:
        """Kill or revive the agents of a deployment's VMs, or that of the VM at one place."""
        with self._lock:
            vms = self.deployments[name].vms
            changed = (replace(vm, is_dead=dead) if index in (None, place) else vm for place, vm in enumerate(vms))
            self._set(name, vms=tuple(changed))

    def add_events(self, count: int, deployment: str | None = None, *, at: float | None = None) -> None:
        """Let ``count`` things happen that say nothing of creation or update of a deployment."""
        with self._lock:
            moment = self.clock.now() if at is None else at
            for _ in range(count):
                details = {"deployment": deployment, "instance": "standalone/0"}
                self.events.add(moment, "blacksmith", "start", "instance", **details)

    def set_latency(self, seconds: float) -> None:
        """Let time pass before each answer; in seconds."""
        self.latency_seconds = seconds

    def after(self, path: str, action: Callable[[], object], *, method: str = "GET", skip: int = 0) -> None:
        """Do something once, when a request was answered and before the client knows.

        Arguments:
            path: regular expression searched for in the path.
            action: e.g. deletes a deployment that was just listed.
            skip: matching requests that are let through first.
        """
        self._hooks.append(_Hook(method, path, action, skip))

    def answered(self, method: str, path: str) -> None:
        """Take note that a request was answered."""
        for hook in [hook for hook in self._hooks if hook.method == method and re.search(hook.path, path)]:
            if hook.skip:
                hook.skip -= 1
            else:
                self._hooks.remove(hook)
                hook.action()

    def settle(self) -> None:
        """Let the workers do what they must have done by now."""
        self.board.settle(DirectorWork(self))

    def set_manifest(self, name: str, manifest: str) -> None:
        """Store the text of a successful deploy."""
        self._set(name, manifest=manifest)

    def erase(self, name: str, task: Task) -> None:
        """Remove a deployment for a task, and leave its events."""
        at = float(task.timestamp or 0)
        about = {"object_name": name, "task": str(task.id), "deployment": name}
        parent = self.events.add(at, task.user, "delete", "deployment", **about)
        self._lock_event("acquire", name, task, at)
        self.events.add(at, task.user, "delete", "deployment", parent_id=parent, **about)
        self._lock_event("release", name, task, at)
        self.deployments.pop(name)
        self.locks.pop(name, None)
        self.revision += 1

    def record_deploy(self, name: str, task: Task, *, is_new: bool, error: str | None = None) -> None:
        """Leave the events of a deploy; what is there already is the outcome."""
        at = float(task.timestamp or 0)
        present = self.deployments.get(name)
        action = "create" if is_new else "update"
        about: dict[str, Any] = {"task": str(task.id), "deployment": name}
        self._lock_event("acquire", name, task, at)
        parent = self.events.add(at, task.user, action, "deployment", object_name=name, **about)
        for vm in present.vms if present and not error else ():
            instance = f"{vm.job}/{vm.id}"
            self.events.add(at, task.user, action, "instance", instance=instance, **about)
        outcome = {"parent_id": parent, "object_name": name, "error": error}
        self.events.add(at, task.user, action, "deployment", **outcome, **about)
        self._lock_event("release", name, task, at)

    def _lock_event(self, action: str, name: str, task: Task, at: float) -> None:
        about = {"object_name": f"lock:deployment:{name}", "task": str(task.id), "deployment": name}
        self.events.add(at, task.user, action, "lock", **about)

    def _set(self, name: str, **parts: Any) -> None:
        present = self.deployments.get(name) or Deployment(name)
        self.deployments[name] = replace(present, **parts)
        self.revision += 1
