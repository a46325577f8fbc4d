"""What the routes under ``/api/sync`` are asked and answer. Names are those of the API's first clients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sync_pipelines.store.cycles import Cycle, CycleStatus, Source
from sync_pipelines.store.marketplaces.connections import ConnectionState, ConnectionStatus, SyncStatus

MOST_CONNECTIONS = 1000


class CycleView(BaseModel):
    """A cycle as it stands."""

    cycleId: str
    source: Source
    status: CycleStatus
    runId: str | None
    jobName: str | None
    scheduleTime: datetime | None
    connectionIds: list[str] = Field(description="Empty: all connections.")
    reason: str | None = Field(description="Why it was refused, failed, or does not start yet.")
    requestedAt: datetime
    startedAt: datetime | None
    endedAt: datetime | None
    result: dict[str, Any] | None = Field(description="What it came to for the connections; null until then.")

    @classmethod
    def of(cls, cycle: Cycle) -> CycleView:
        """Return what is shown of a cycle."""
        return cls(
            cycleId=cycle.cycle_id,
            source=cycle.source,
            status=cycle.status,
            runId=cycle.run_id,
            jobName=cycle.job or None,
            scheduleTime=cycle.schedule_time,
            connectionIds=list(cycle.connections),
            reason=cycle.reason,
            requestedAt=cycle.requested_at,
            startedAt=cycle.started_at,
            endedAt=cycle.ended_at,
            result=None if cycle.result is None else dict(cycle.result),
        )


class ConnectionView(BaseModel):
    """A connection of the marketplaces as it stands."""

    connectionId: str
    organizationId: str
    marketplaceId: str
    account: str
    active: bool
    status: ConnectionStatus
    syncStatus: SyncStatus | None
    lastChecked: datetime | None
    lastSyncedAt: datetime | None
    lastError: str | None

    @classmethod
    def of(cls, state: ConnectionState) -> ConnectionView:
        """Return what is shown of a connection."""
        return cls(
            connectionId=state.name,
            organizationId=state.organization,
            marketplaceId=state.marketplace,
            account=state.account,
            active=state.active,
            status=state.status,
            syncStatus=state.sync_status,
            lastChecked=state.last_checked,
            lastSyncedAt=state.last_synced_at,
            lastError=state.last_error,
        )


class StatusReply(BaseModel):
    """Whether anything is under way, and how the last cycles ended."""

    success: bool = True
    isRunning: bool
    isScheduled: bool = Field(description="Whether the service's own interval is on; other schedules are not its.")
    intervalMinutes: int
    lastSyncTime: datetime | None = Field(description="When the last cycle that succeeded ended.")
    lastError: str | None = Field(description="Why the last cycle that ended did not succeed.")
    problem: str | None = Field(description="Why runs cannot be started or followed now.")
    connections: list[ConnectionView] = Field(description="As the last cycle left them.")
    cycles: list[CycleView] = Field(description="The last ones, newest first.")


class StartedReply(BaseModel):
    """A cycle was accepted: its run starts within seconds, whatever becomes of this service."""

    success: bool = True
    message: str
    started: bool = Field(description="Whether this call started it. A repeated call starts nothing.")
    cycleId: str
    status: CycleStatus
    statusUrl: str


class TriggeredReply(StartedReply):
    """The same, for some connections."""

    connectionIds: list[str]


class IntervalReply(BaseModel):
    """How the service's own interval is set."""

    success: bool = True
    message: str
    isScheduled: bool
    intervalMinutes: int


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class IntervalRequest(_Asked):
    """How often a cycle is to start."""

    intervalMinutes: int = Field(ge=1, le=1440)


class TriggerRequest(_Asked):
    """Which connections are to be pulled."""

    connectionIds: Annotated[
        list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]],
        Field(min_length=1, max_length=MOST_CONNECTIONS),
    ]


def last_error(cycles: Sequence[Cycle]) -> str | None:
    """Return why the last cycle that had a run failed; ``None`` when it did not.

    Arguments:
        cycles: newest first.
    """
    for cycle in cycles:
        if cycle.status is CycleStatus.SUCCEEDED:
            return None
        if cycle.status in (CycleStatus.FAILED, CycleStatus.CANCELED):
            return cycle.reason or f"the cycle was {cycle.status}"
    return None
