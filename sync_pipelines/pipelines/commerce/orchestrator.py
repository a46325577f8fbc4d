"""What people ask about syncs, and what they are answered: the requests of the guide over the store alone.

Whoever serves them brings the organization and the person, both proved, and the organization's shops.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine

from sync_pipelines.core.conflicts import Resolution
from sync_pipelines.core.errors import SyncError
from sync_pipelines.core.orchestration import (
    MOST_ACTIVE,
    REQUESTS_PER_MINUTE,
    IllegalStep,
    StartRequest,
    Status,
    Step,
    in_words,
)
from sync_pipelines.pipelines.commerce.settling import custom_values
from sync_pipelines.pipelines.commerce.sync_documents import (
    MOST_SHOWN,
    Document,
    activity_documents,
    conflict_document,
    is_open,
    sync_document,
)
from sync_pipelines.store import conflicts as conflict_store
from sync_pipelines.store import orchestrations, sync_activity, sync_items, sync_steps
from sync_pipelines.store.conflicts import ConflictUnsettled
from sync_pipelines.store.orchestrations import Orchestration

MOST_LISTED = 20
"""Syncs in one answer."""


class Refused(SyncError):
    """A request is refused.

    Attributes:
        status: HTTP status.
        retry_after: seconds after which it may be made again, when that would help.
    """

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        org: organization; the syncs, conflicts and shops of others do not exist for it.
        person: for the logs.
        shops: connections of the organization.
    """

    org: str
    person: str
    shops: Collection[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """HTTP status, document and headers of an answer."""

    status: int
    body: Document
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(engine: Engine, caller: Caller, body: bytes | str) -> Answer:
    """Answer a request as it came: JSON whose ``action`` says what is wanted. Nothing that is wrong in it is raised."""
    try:
        admit(engine, caller.org)
        request = _parsed(body)
        action = _ACTIONS.get(request["action"]) if isinstance(request.get("action"), str) else None
        if action is None:
            raise Refused(400, f"unknown action; there are {', '.join(_ACTIONS)}")
        return Answer(202 if action is start else 200, action(engine, caller, request))
    except Refused as refused:
        wait = {} if refused.retry_after is None else {"Retry-After": str(math.ceil(refused.retry_after))}
        return Answer(refused.status, {"success": False, "error": str(refused)}, wait)


def admit(engine: Engine, org: str) -> None:
    """Count a request of an organization.

    Raises:
        Refused: (429) it has made as many in the last minute as it may, in whatever process they were served.
    """
    with engine.begin() as connection:
        wait = sync_activity.admit(connection, org, REQUESTS_PER_MINUTE)
    if wait:
        raise Refused(429, f"more than {REQUESTS_PER_MINUTE} requests in a minute", retry_after=wait)


def start(engine: Engine, caller: Caller, request: Document) -> Document:
    """Queue a sync, and a worker takes it up; or store it as a draft, to be started by a request with its ``syncId``.

    Raises:
        Refused: (400) an unknown system, entity, shop or setting, or one beyond its limit; (404) the organization has
            no such draft; (409) the organization has as many syncs under way as it may, or what is named is no draft.
    """
    if request.keys() == {"action", "syncId"}:
        return _start_draft(engine, caller, request)
    try:
        wanted = StartRequest.model_validate(request)
    except ValidationError as error:
        raise Refused(400, in_words(error)) from None
    shop = _shop(caller, wanted.shop)
    with engine.begin() as connection:
        orchestrations.lock_organization(connection, caller.org)
        if wanted.idempotencyKey is not None:
            before = orchestrations.started_before(connection, caller.org, wanted.idempotencyKey)
            if before is not None:
                return _moved(before, "Sync orchestration was started before")
        if not wanted.draft:
            _refuse_too_many(connection, caller)
        stored = orchestrations.create(connection, caller.org, shop, wanted, caller.person)
        return _moved(stored, "Sync orchestration stored as a draft" if wanted.draft else "Sync orchestration started")


def status(engine: Engine, caller: Caller, request: Document) -> Document:
    """Say how far a sync is.

    Raises:
        Refused: (404) the organization has no such sync.
    """
    with engine.begin() as connection:
        sync = _find(connection, caller, request)
        return {"success": True, **_told(connection, sync)}


def syncs(engine: Engine, caller: Caller, request: Document) -> Document:
    """Say how far the newest syncs of the organization are; of one of its shops, if the request names one.

    Raises:
        Refused: (400) an unknown shop.
    """
    shop = None if request.get("shop") is None else _shop(caller, request["shop"])
    with engine.begin() as connection:
        found = orchestrations.of_organization(connection, caller.org, shop=shop, limit=MOST_LISTED)
        return {"success": True, "syncs": [_told(connection, sync) for sync in found]}


def activity(engine: Engine, caller: Caller, request: Document) -> Document:
    """List the milestones of a sync, oldest first.

    Raises:
        Refused: (404) the organization has no such sync.
    """
    with engine.begin() as connection:
        sync = _find(connection, caller, request)
        found = sync_activity.entries(connection, caller.org, sync.sync_id)
    return {"success": True, "syncId": sync.sync_id, "activity": activity_documents(found)}


def pause(engine: Engine, caller: Caller, request: Document) -> Document:
    """Let a sync rest until it is resumed. Changes in hand are finished first; until then it is still processing.

    Raises:
        Refused: (404) the organization has no such sync; (409) it cannot be paused.
    """
    return _steer(engine, caller, request, Step.PAUSE)


def cancel(engine: Engine, caller: Caller, request: Document) -> Document:
    """End a sync for good. Changes in hand are finished first; until then it is still processing.

    Raises:
        Refused: (404) the organization has no such sync; (409) it is over.
    """
    return _steer(engine, caller, request, Step.CANCEL)


def resume(engine: Engine, caller: Caller, request: Document) -> Document:
    """Queue a sync again that is paused, or that ended with something left over, and carry settlements out; or a draft.

    Raises:
        Refused: (404) the organization has no such sync; (409) it cannot be resumed, or too many are under way.
    """
    return _queue(engine, caller, request, "Sync orchestration resumed")


def conflicts(engine: Engine, caller: Caller, request: Document) -> Document:
    """List the conflicts that stand in what a sync synchronizes.

    Raises:
        Refused: (404) the organization has no such sync.
    """
    with engine.begin() as connection:
        sync = _find(connection, caller, request)
        found = sync_items.conflicts_of(connection, sync)
    standing = [one for one in found if one.applied_at is None]
    unsettled = [one for one in standing if is_open(one)]
    return {
        "success": True,
        "syncId": sync.sync_id,
        "stats": {
            "totalConflicts": len(found),
            "unresolvedCount": len(unsettled),
            "byType": dict(Counter(str(one.kind) for one in unsettled)),
        },
        "conflicts": [conflict_document(one) for one in standing[:MOST_SHOWN]],
    }


def resolve_conflict(engine: Engine, caller: Caller, request: Document) -> Document:
    """Write down how a person settles a conflict; the sync's next run, or any other one, carries it out.

    Raises:
        Refused: (400) an unknown resolution, or values that do not fit; (404) the organization has no such conflict;
            (409) the conflict is over.
    """
    conflict_id, custom = request.get("conflictId"), request.get("customData")
    try:
        resolution = Resolution(str(request.get("resolution")))
    except ValueError:
        raise Refused(400, f"resolution: one of {', '.join(Resolution)}") from None
    if not isinstance(conflict_id, str) or not isinstance(custom, dict | None):
        raise Refused(400, "conflictId: a text, customData: an object of fields and their values")
    with engine.begin() as connection:
        found = conflict_store.find(connection, caller.org, conflict_id)
        if found is None:
            raise Refused(404, f"there is no conflict {conflict_id}")
        if found.applied_at is not None:
            raise Refused(409, f"{conflict_id} is over: {found.closed_because}")
        try:
            values = (
                None if custom is None else custom_values(found, {name: _text(one) for name, one in custom.items()})
            )
            settled = conflict_store.settle(connection, caller.org, conflict_id, resolution, caller.person, values)
        except ConflictUnsettled as error:
            raise Refused(400, str(error)) from None
    message = "Conflict resolved; the next run carries it out"
    return {"success": True, "conflictId": conflict_id, "message": message, "conflict": conflict_document(settled)}


_ACTIONS: Mapping[str, Callable[[Engine, Caller, Document], Document]] = {
    "start": start,
    "status": status,
    "list": syncs,
    "activity": activity,
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
    "conflicts": conflicts,
    "resolve-conflict": resolve_conflict,
}


def _parsed(body: bytes | str) -> Document:
    try:
        request = json.loads(body, parse_float=Decimal)
        # Neither a NUL nor half a surrogate pair can be looked up in PostgreSQL.
        if "\\u0000" in json.dumps(request, ensure_ascii=False, default=str).encode().decode():
            raise Refused(400, "the body has a NUL character")
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON") from None
    if not isinstance(request, dict):
        raise Refused(400, "the body is no JSON object")
    return request


def _told(connection: Connection, sync: Orchestration) -> Document:
    return sync_document(sync, sync_items.counts(connection, sync), sync_items.conflicts_of(connection, sync))


def _shop(caller: Caller, wanted: object) -> str:
    if wanted is None and len(caller.shops) == 1:
        return next(iter(caller.shops))
    if not isinstance(wanted, str) or wanted not in caller.shops:
        known = ", ".join(sorted(caller.shops)) or "none is connected"
        raise Refused(400, f"shop: {'which one' if wanted is None else 'unknown'}? {known}")
    return wanted


def _refuse_too_many(connection: Connection, caller: Caller, *, most: int = MOST_ACTIVE) -> None:
    if orchestrations.count_active(connection, caller.org) >= most:
        raise Refused(409, f"{MOST_ACTIVE} syncs of {caller.org} are under way: pause, cancel or await one of them")


def _text(value: Any) -> str:
    """Return a value of the request as people would write it, to be read in the form that its field has."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    return "" if value is None else json.dumps(value, default=float)


def _find(connection: Connection, caller: Caller, request: Document, *, locked: bool = False) -> Orchestration:
    sync_id = request.get("syncId")
    if not isinstance(sync_id, str):
        raise Refused(400, "syncId: a text")
    sync = orchestrations.find(connection, caller.org, sync_id, locked=locked)
    if sync is None:
        raise Refused(404, f"there is no sync {sync_id}")
    return sync


def _start_draft(engine: Engine, caller: Caller, request: Document) -> Document:
    with engine.begin() as connection:
        status = _find(connection, caller, request).status
    if status is not Status.DRAFT:
        raise Refused(409, f"a sync that is {status} is no draft; one that is paused or left something over is resumed")
    return _queue(engine, caller, request, "Sync orchestration started")


def _queue(engine: Engine, caller: Caller, request: Document, message: str) -> Document:
    with engine.begin() as connection:
        orchestrations.lock_organization(connection, caller.org)
        sync = _find(connection, caller, request, locked=True)
        try:
            queued = sync_steps.resume(connection, sync, caller.person)
        except IllegalStep as error:
            raise Refused(409, str(error)) from None
        _refuse_too_many(connection, caller, most=MOST_ACTIVE + 1)
        return _moved(queued, message)


def _steer(engine: Engine, caller: Caller, request: Document, step: Step) -> Document:
    with engine.begin() as connection:
        sync = _find(connection, caller, request, locked=True)
        try:
            moved = sync_steps.pause_or_cancel(connection, sync, step, caller.person)
        except IllegalStep as error:
            raise Refused(409, str(error)) from None
    if moved.requested is None:
        return _moved(moved, f"Sync orchestration {moved.status}")
    return _moved(moved, f"Sync orchestration will {moved.requested} once the changes in hand are finished")


def _moved(sync: Orchestration, message: str) -> Document:
    document = {"success": True, "syncId": sync.sync_id, "status": sync.status, "message": message}
    return document | ({"requested": sync.requested} if sync.requested else {})
