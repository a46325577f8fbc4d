"""The part of a Director's API that tells what is deployed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.bosh.errors import (
    DeploymentGone,
    InvalidName,
    TaskCancelled,
    TaskFailed,
    TaskTimedOut,
    refuse_failure,
    unexpected_shape,
)
from sync_pipelines.systems.bosh.models import Deployments, Event, Info, Life, Task, Vm, VmFull
from sync_pipelines.systems.bosh.parsing import (
    parse_deployments,
    parse_events,
    parse_full_vms,
    parse_manifest,
    parse_task,
    parse_vms,
)
from sync_pipelines.systems.bosh.session import PEER, BoshSession
from sync_pipelines.systems.transport import segment

EVENTS_PAGE = 200
"""Events in one answer, always: the Director knows no other size."""

POLL_SECONDS = 0.5
TASK_SECONDS = 120.0
"""A dead agent alone takes 15 s, and the Director works on a few tasks at a time."""

_CREATIONS = frozenset({"create", "deploy", "create_deployment"})
_CHANGES = _CREATIONS | {"update", "update_deployment"}
_UNFINISHED = frozenset({"queued", "processing", "cancelling"})
_TASK_PATH = re.compile(r"/tasks/(\d+)/?")
_T = TypeVar("_T")


class BoshClient:
    """Reads deployments. Every method raises ``PeerError``, classified by ``errors.py``.

    Methods about one deployment raise :class:`DeploymentGone` when there is none of this name, and
    :class:`InvalidName`, without a request, when a name cannot be one.

    Arguments:
        session: closed by whoever made it.
        sleep, clock: how to wait between two looks at a task; given by tests.
    """

    def __init__(
        self,
        session: BoshSession,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._sleep = sleep
        self._clock = clock

    async def info(self) -> Info:
        """Return what the Director says of itself; needs no login. Asked once a session."""
        return await self._session.info()

    async def deployments(self, *, releases: bool = True, stemcells: bool = True, locks: bool = True) -> Deployments:
        """Return all deployments that the login is shown, in one request. Look at the scope before missing one.

        Arguments:
            releases, stemcells, locks: what to read beside names and teams. Of 1,000 deployments, the full list takes
                a Director 0.22 s and the names alone 0.04 s.
        """
        unwanted = {"configs": True, "releases": not releases, "stemcells": not stemcells, "lock": not locks}
        params = {f"exclude_{what}": "true" for what, is_unwanted in unwanted.items() if is_unwanted}
        answer = await self._session.get("deployments", params)
        entries = _shaped(
            answer.operation,
            lambda: parse_deployments(self._session.value(answer), releases=releases, stemcells=stemcells, locks=locks),
        )
        return Deployments(entries, answer.scope)

    async def manifest(self, name: str) -> str | None:
        """Return the text of the manifest that was last deployed with success; ``None`` when none ever was.

        It is YAML only if whoever wrote it took care, and it holds secrets.
        """
        return await self._read(_deployment(name), parse_manifest)

    async def is_present(self, name: str) -> bool:
        """Ask for this one deployment. Only the Director's own "doesn't exist" makes ``False``."""
        try:
            await self.manifest(name)
        except DeploymentGone:
            return False
        return True

    async def vms(self, name: str) -> tuple[Vm, ...]:
        """Return the VMs of a deployment from the Director's database: no task, no agent."""
        return await self._read(f"{_deployment(name)}/vms", parse_vms)

    async def vms_full(self, name: str, *, deadline: float = TASK_SECONDS) -> tuple[VmFull, ...]:
        """Return the VMs of a deployment with what their agents say: a task that competes with deploys.

        Arguments:
            deadline: seconds to wait for the task. It is not cancelled afterwards: this client changes nothing.

        Raises:
            TaskFailed: the task failed, was cancelled, took too long or is gone.
        """
        task_id = await self._start(f"{_deployment(name)}/vms")
        until = self._clock() + deadline
        # State first and output afterwards: the other way round the output's end could be missing.
        while (task := await self._read(f"tasks/{task_id}", parse_task)).state in _UNFINISHED:
            if self._clock() + POLL_SECONDS > until:
                message = f"task {task_id} is still {task.state} after {deadline:g} s"
                raise TaskTimedOut(PEER, FailureKind.TRANSIENT, message, operation=f"GET /tasks/{task_id}")
            await self._sleep(POLL_SECONDS)
        if task.state != "done":
            raise self._task_failure(task)
        answer = await self._session.get(f"tasks/{task_id}/output", {"type": "result"})
        refuse_failure(PEER, answer.operation, answer.response, redactor=self._session.redactor)
        return _shaped(answer.operation, lambda: parse_full_vms(answer.response.content))

    async def events(self, name: str, *, object_type: str | None = None) -> AsyncGenerator[Event, None]:
        """Yield the events of a deployment, newest first, as far back as the Director keeps them.

        Arguments:
            object_type: only those about such an object, e.g. ``"deployment"``; others are locks, instances, VMs.
        """
        _deployment(name)
        async with aclosing(self._event_pages(name, object_type)) as pages:
            async for page in pages:
                for event in page:
                    yield event

    async def life_of(self, name: str) -> Life:
        """Return when a deployment was made and last changed, by all events that are left of it."""
        life = Life()
        async with aclosing(self.events(name, object_type="deployment")) as events:
            async for event in events:
                life = _lived(life, event)
        return life

    async def lives(self, requests: int) -> Mapping[str, Life] | None:
        """Return the life of every deployment that events are left of, those included that are gone.

        Arguments:
            requests: how many may be spent, each for 200 events. ``None`` is returned when there are more events.
        """
        lives: dict[str, Life] = {}
        async with aclosing(self._event_pages(None, "deployment")) as pages:
            async for page in pages:
                for event in page:
                    if event.deployment is not None:
                        lives[event.deployment] = _lived(lives.get(event.deployment, Life()), event)
                requests -= 1
                if len(page) < EVENTS_PAGE:
                    return lives
                if requests <= 0:
                    return None
        return lives

    async def _event_pages(self, name: str | None, object_type: str | None) -> AsyncGenerator[Sequence[Event], None]:
        wanted = {"deployment": name, "object_type": object_type}
        params = {key: value for key, value in wanted.items() if value is not None}
        last: Event | None = None
        while True:
            page = await self._read("events", parse_events, params)
            for event in page:
                _refuse_stranger(event, last, name, object_type)
                last = event
            yield page
            if last is None or len(page) < EVENTS_PAGE:
                return
            params["before_id"] = str(last.id)

    async def _read(self, path: str, parse: Callable[[Any], _T], params: dict[str, str] | None = None) -> _T:
        answer = await self._session.get(path, params)
        return _shaped(answer.operation, lambda: parse(self._session.value(answer)))

    async def _start(self, path: str) -> int:
        """Return the id of the task that a read with ``format=full`` starts."""
        answer = await self._session.get(path, {"format": "full"}, follow=False)
        if answer.response.status_code not in (302, 303):
            refuse_failure(PEER, answer.operation, answer.response, redactor=self._session.redactor)
            raise unexpected_shape(PEER, answer.operation, "a redirect to a task was expected")
        # Host and scheme are what a proxy or tunnel made of them. The task is on the Director that was asked.
        location = _path(answer.response.headers.get("Location", ""))
        match = _TASK_PATH.fullmatch(location[max(location.find("/tasks/"), 0) :])
        if match is None:
            message = "redirected to something that is no task: is this the address of a BOSH Director?"
            raise PeerError(PEER, FailureKind.PERMANENT, message, operation=answer.operation)
        return int(match[1])

    def _task_failure(self, task: Task) -> PeerError:
        operation = f"GET /tasks/{task.id}"
        kinds = {"error": TaskFailed, "cancelled": TaskCancelled, "timeout": TaskTimedOut}
        if task.state not in kinds:
            return unexpected_shape(PEER, operation, f"unknown task state {task.state!r:.40}")
        reason = self._session.redactor.text(task.result or "no reason given")[:300]
        message = f"task {task.id} ended as {task.state}: {reason}"
        return kinds[task.state](PEER, FailureKind.TRANSIENT, message, operation=operation)


def _deployment(name: str) -> str:
    try:
        return f"deployments/{segment(name)}"
    except ValueError as error:
        raise InvalidName(PEER, FailureKind.PERMANENT, f"not a deployment name: {error}") from None


def _path(location: str) -> str:
    try:
        return urlsplit(location).path
    except ValueError:
        return ""


def _shaped(operation: str, parsed: Callable[[], _T]) -> _T:
    try:
        return parsed()
    except ValueError as error:
        raise unexpected_shape(PEER, operation, str(error)) from None


def _lived(life: Life, event: Event) -> Life:
    """Return a life with one more event, which is older than those before."""
    if event.action not in _CHANGES:
        return life
    created_at, at = life.created_at, event.timestamp
    if event.action in _CREATIONS:
        created_at = at if created_at is None else min(created_at, at)
    updated_at = at if life.updated_at is None else max(life.updated_at, at)
    return Life(created_at, updated_at, life.latest_task_id or event.task)


def _refuse_stranger(event: Event, last: Event | None, name: str | None, object_type: str | None) -> None:
    """Raise when the server did not apply a filter: reading would never end, or tell another deployment's story."""
    if last is not None and event.id >= last.id:
        reason = "events do not come newest first, or before_id is not applied"
    elif (name and event.deployment != name) or (object_type and event.object_type != object_type):
        reason = "events of something else came; the filters are not applied"
    else:
        return
    raise PeerError(PEER, FailureKind.PERMANENT, f"{reason}; does a proxy drop the query?", operation="GET /events")
