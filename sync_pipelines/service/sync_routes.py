"""The routes ``/api/sync/...``: start cycles, steer the interval, and tell how things stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Engine

from sync_pipelines.core.access import Scope
from sync_pipelines.core.occasion import Unreadable, occasion
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.service.access import Caller, address_of, allowed, installation
from sync_pipelines.service.intake import CHAIN
from sync_pipelines.service.parts import Parts, parts_of
from sync_pipelines.service.problems import Problem, refusals
from sync_pipelines.service.replies import (
    ConnectionView,
    CycleView,
    IntervalReply,
    IntervalRequest,
    StartedReply,
    StatusReply,
    TriggeredReply,
    TriggerRequest,
    last_error,
)
from sync_pipelines.store import audit, cycles
from sync_pipelines.store.cycles import Admission, Cycle, Source, Verdict, Wish
from sync_pipelines.store.marketplaces import connections as marketplaces

SHOWN_CYCLES = 20
SCHEDULED = "Scheduled sync cycle started"
REPEATED = "This sync cycle was started before"
OVERLAPS = "A sync cycle is under way; this one was not started"
PREFIX = "/api/sync"

router = APIRouter(prefix=PREFIX, tags=["marketplaces"])
Service = Annotated[Parts, Depends(parts_of)]
Reader = Annotated[Caller, Depends(allowed(Scope.READ))]
Operator = Annotated[Caller, Depends(allowed(Scope.OPERATE))]
Admin = Annotated[Caller, Depends(allowed(Scope.ADMIN))]
_Responses = dict[int | str, dict[str, Any]]


@router.post(
    "/scheduler",
    status_code=202,
    response_model=StartedReply,
    responses={200: {"model": StartedReply, "description": OVERLAPS}, **refusals(400, 403, 413, 503)},
)
async def scheduler(request: Request) -> JSONResponse:
    """Start a cycle for Cloud Scheduler, which authenticates with a token of Google's, a shared secret, or both.

    The body is not looked at. A call with the job's name and time of an earlier one starts nothing. While a cycle is
    under way none is started either, and that is no failure: what it would find, the next one finds.
    """
    # Asked for here and not as dependencies, which would take as long as all the rest.
    service = await parts_of(request)
    headers = request.headers
    caller = await service.gate.admit(headers)
    await request.body()
    try:
        what = occasion(
            headers.get("x-cloudscheduler-jobname"), headers.get("x-cloudscheduler-scheduletime"), datetime.now(UTC)
        )
    except Unreadable as error:
        raise Problem(400, str(error)) from None
    admission = await service.intake.ask(
        Wish(Source.SCHEDULER, caller, what.job, what.time, address=address_of(request))
    )
    message = {Verdict.ACCEPTED: SCHEDULED, Verdict.REPEATED: REPEATED, Verdict.OVERLAPS: OVERLAPS}[admission.verdict]
    # Any 2xx satisfies the scheduler; it would repeat a refusal with the same time and count it as a failure.
    status = 200 if admission.verdict is Verdict.OVERLAPS else 202
    return _answer(StartedReply(**_told(admission, message)), status)


@router.get("/status", responses=refusals(401, 403, 503))
async def status(service: Service, caller: Reader) -> StatusReply:
    """Tell whether a cycle is under way, and how the last ones ended."""
    return await in_thread(_status, service.engine, caller, service.follower.problem)


@router.get("/cycles/{cycle_id}", responses=refusals(401, 403, 404, 503))
async def cycle(service: Service, caller: Reader, cycle_id: str) -> CycleView:
    """Tell how a cycle stands."""
    found = await in_thread(_find, service.engine, caller, cycle_id)
    if found is None:
        raise Problem(404, "There is no cycle of that id")
    return found


@router.post("/trigger", status_code=202, responses=refusals(400, 401, 403, 404, 409, 413, 429, 503))
async def trigger(service: Service, caller: Operator, wanted: TriggerRequest) -> TriggeredReply:
    """Pull some connections now."""
    names = list(dict.fromkeys(wanted.connectionIds))
    if unknown := await in_thread(_unknown, service.engine, caller, names):
        raise Problem(404, f"There is no active connection {', '.join(unknown)}; GET {PREFIX}/status lists them")
    told = await _started(service, caller, f"Sync triggered for {len(names)} connections", tuple(names))
    return TriggeredReply(**told, connectionIds=names)


@router.post("/run-full", status_code=202, responses=refusals(401, 403, 404, 409, 413, 429, 503))
async def run_full(service: Service, caller: Operator) -> StartedReply:
    """Pull all connections now: those of the caller's organization, if its token is for one."""
    own = () if caller.organization is None else await in_thread(_active, service.engine, caller)
    if caller.organization is not None and not own:
        raise Problem(404, "The organization has no active connection")
    return StartedReply(**await _started(service, caller, "Full sync cycle started", tuple(own)))


@router.post("/start", responses=refusals(401, 403, 413, 429, 503))
async def start(service: Service, caller: Admin) -> IntervalReply:
    """Let the service start a cycle at every interval, where neither Cloud Scheduler nor Dagster does."""
    installation(caller)
    return await in_thread(_set_interval, service.engine, caller, "Sync interval started", is_on=True)


@router.post("/stop", responses=refusals(401, 403, 413, 429, 503))
async def stop(service: Service, caller: Admin) -> IntervalReply:
    """Let the service start no cycles by itself. What is under way goes on."""
    installation(caller)
    return await in_thread(_set_interval, service.engine, caller, "Sync interval stopped", is_on=False)


@router.post("/interval", responses=refusals(400, 401, 403, 413, 429, 503))
async def interval(service: Service, caller: Admin, wanted: IntervalRequest) -> IntervalReply:
    """Set the interval, whether it is on or not. It begins anew."""
    installation(caller)
    minutes = wanted.intervalMinutes
    told = f"Sync interval set to {minutes} minutes"
    return await in_thread(_set_interval, service.engine, caller, told, minutes=minutes)


async def _started(service: Parts, caller: Caller, message: str, connections: tuple[str, ...] = ()) -> dict[str, Any]:
    admission = await service.intake.ask(
        Wish(Source.REQUEST, caller.name, connections=connections, address=caller.address)
    )
    if admission.verdict is Verdict.OVERLAPS:
        shown = await in_thread(_find, service.engine, caller, admission.cycle.cycle_id)
        where = "" if shown is None else f". See {PREFIX}/cycles/{shown.cycleId}"
        raise Problem(409, f"{OVERLAPS}{where}")
    return _told(admission, message)


def _unknown(engine: Engine, caller: Caller, names: Sequence[str]) -> list[str]:
    """Return those that are no active connection of the caller's. New ones are known from the first cycle on."""
    known = set(_active(engine, caller))
    return [name for name in names if name not in known]


def _active(engine: Engine, caller: Caller) -> list[str]:
    with engine.connect() as connection:
        return [one.name for one in marketplaces.states(connection) if one.active and caller.sees(one.organization)]


def _told(admission: Admission, message: str) -> dict[str, Any]:
    cycle = admission.cycle
    return {
        "message": message,
        "started": admission.verdict is Verdict.ACCEPTED,
        "cycleId": cycle.cycle_id,
        "status": cycle.status,
        "statusUrl": f"{PREFIX}/cycles/{cycle.cycle_id}",
    }


def _answer(reply: StartedReply, status: int) -> JSONResponse:
    return JSONResponse(reply.model_dump(mode="json"), status, headers={"Location": reply.statusUrl})


def _status(engine: Engine, caller: Caller, problem: str) -> StatusReply:
    with engine.connect() as connection:
        under_way = cycles.active(connection)
        latest = cycles.latest(connection, SHOWN_CYCLES)
        set_to = cycles.interval(connection)
        succeeded = cycles.last_success(connection)
        connected = [one for one in marketplaces.states(connection) if caller.sees(one.organization)]
    latest = _seen(caller, latest, {one.name for one in connected})
    return StatusReply(
        isRunning=bool(under_way),
        isScheduled=set_to.is_on,
        intervalMinutes=set_to.minutes,
        lastSyncTime=succeeded,
        lastError=last_error(latest),
        problem=problem or None,
        connections=[ConnectionView.of(one) for one in connected],
        cycles=[CycleView.of(cycle) for cycle in latest],
    )


def _find(engine: Engine, caller: Caller, cycle_id: str) -> CycleView | None:
    with engine.connect() as connection:
        found = cycles.find(connection, cycle_id)
        own = {one.name for one in marketplaces.states(connection) if caller.sees(one.organization)}
    return next(map(CycleView.of, _seen(caller, [found] if found is not None else [], own)), None)


def _seen(caller: Caller, found: Sequence[Cycle], own: Collection[str]) -> list[Cycle]:
    """Return the cycles that exist for a caller: of one organization those of its connections alone, and those of all.

    Of a cycle of all connections it sees neither the result nor the reason: they tell of the others.
    """
    if caller.organization is None:
        return list(found)
    return [
        cycle if cycle.connections else replace(cycle, result=None, reason=None)
        for cycle in found
        if set(cycle.connections) <= set(own)
    ]


def _set_interval(
    engine: Engine, caller: Caller, message: str, *, is_on: bool | None = None, minutes: int | None = None
) -> IntervalReply:
    with engine.begin() as connection:
        set_to = cycles.set_interval(connection, is_on=is_on, minutes=minutes, by=caller.name)
        audit.append(connection, CHAIN, caller.entry("interval_set", is_on=set_to.is_on, minutes=set_to.minutes))
    return IntervalReply(message=message, isScheduled=set_to.is_on, intervalMinutes=set_to.minutes)
