"""Starts the runs of accepted cycles in Dagster and follows them to their end, whoever started them.

Nothing of this is done while a caller waits, and everything it has to know is in the database: a service that is
killed and started again goes on where it was. Of several services one does the work.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sync_pipelines.core.errors import LeaseHeld, LeaseLost, SyncError
from sync_pipelines.core.redaction import Redactor
from sync_pipelines.engine.tasks import in_thread
from sync_pipelines.orchestration.dagster_ui import DagsterUi, LaunchRefused, RunState
from sync_pipelines.service.intake import Intake
from sync_pipelines.service.settings import ServiceSettings
from sync_pipelines.store import cycles, leases
from sync_pipelines.store.cycles import Cycle, CycleStatus, Source, Wish

WISH_TAG = "sync/cycle"
"""Tag of a run: the cycle that it was started for."""
INTERVAL_JOB = "interval"
LEASE = "service/cycles"
_LEASE_SECONDS = 90.0
_ASK_SECONDS = 30.0
"""For one answer of Dagster's; less than the lease lasts."""
_LISTED = 25
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
_GONE_AFTER = timedelta(minutes=5)
_ENDINGS = {
    "SUCCESS": CycleStatus.SUCCEEDED,
    "FAILURE": CycleStatus.FAILED,
    "CANCELED": CycleStatus.CANCELED,
}
log = logging.getLogger(__name__)


class Follower:
    """The service's background work.

    Arguments:
        engine: the store's database.

    Attributes:
        problem: why Dagster could not be asked at the last look; empty when it could.
    """

    def __init__(self, engine: Engine, settings: ServiceSettings) -> None:
        self.problem = ""
        self._engine = engine
        self._settings = settings
        self._ui = DagsterUi(settings.dagster_url, location=settings.dagster_location, timeout=_ASK_SECONDS)
        self._bell = asyncio.Event()
        self._is_over = False
        self._holder = f"service {socket.gethostname()} {os.getpid()}"
        self._lease: leases.Lease | None = None
        self._held_until = 0.0

    def stop(self) -> None:
        """End :meth:`run` after the look in hand."""
        self._is_over = True
        self._bell.set()

    def ring(self) -> None:
        """Look now and not only after the pause."""
        self._bell.set()

    async def run(self, intake: Intake) -> None:
        """Look again and again until stopped."""
        try:
            while not self._is_over:
                self._bell.clear()
                await self._look(intake)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.look_seconds):
                        await self._bell.wait()
        finally:
            await in_thread(self._let_go)
            self._ui.close()

    async def _look(self, intake: Intake) -> None:
        try:
            if not await in_thread(self._hold):
                return
            wish = await in_thread(self._interval_wish)
            if wish is not None:
                await intake.ask(wish)
            await in_thread(self.look)
            self.problem = ""
        except (SyncError, DBAPIError, PoolTimeout) as error:
            told = str(error) if isinstance(error, SyncError) else f"the database: {type(error).__name__}"
            if told != self.problem:
                log.warning("cycles cannot be followed now: %s", told)
            self.problem = told

    def look(self) -> None:
        """Start what waits, and note what became of the rest.

        Raises:
            SyncError: Dagster does not answer.
        """
        with self._engine.connect() as connection:
            waiting = cycles.due(connection)
        if waiting is not None:
            self._start(waiting)
        self._follow()

    def _start(self, cycle: Cycle) -> None:
        try:
            # An earlier attempt may have launched it although no answer came back.
            known = self._ui.tagged(WISH_TAG, cycle.cycle_id) if cycle.attempts else []
            with self._engine.begin() as connection:
                cycles.attempting(connection, cycle.cycle_id)
            run_id = known[0].run_id if known else self._launch(cycle)
        except LaunchRefused as error:
            self._note_failure(cycle, str(error))
            raise
        except SyncError as error:
            self._put_off(cycle, str(error))
            raise
        with self._engine.begin() as connection:
            cycles.launched(connection, cycle.cycle_id, run_id)
        log.info("%s is run %s", cycle.cycle_id, run_id)

    def _launch(self, cycle: Cycle) -> str:
        options = {"connections": list(cycle.connections)} if cycle.connections else {}
        config = {"ops": {self._settings.cycle_step: {"config": options}}} if options else {}
        return self._ui.launch(self._settings.cycle_job, None, {WISH_TAG: cycle.cycle_id, "user": cycle.by}, config)

    def _put_off(self, cycle: Cycle, why: str) -> None:
        if datetime.now(UTC) - cycle.requested_at > timedelta(seconds=self._settings.give_up_seconds):
            self._note_failure(cycle, f"its run could not be started: {why}")
            return
        pause = min(_FIRST_PAUSE * 2**cycle.attempts, _LONGEST_PAUSE)
        with self._engine.begin() as connection:
            cycles.postpone(connection, cycle.cycle_id, why, timedelta(seconds=pause))

    def _note_failure(self, cycle: Cycle, why: str) -> None:
        log.error("%s failed: %s", cycle.cycle_id, why)
        with self._engine.begin() as connection:
            cycles.ended(connection, cycle.cycle_id, CycleStatus.FAILED, why)

    def _follow(self) -> None:
        listed = {run.run_id: run for run in self._ui.runs_of(self._settings.cycle_job, _LISTED)}
        with self._engine.begin() as connection:
            for run in listed.values():
                if WISH_TAG not in run.tags and not run.is_over:
                    cycles.adopt(connection, run.run_id, run.started_at)
            followed = [cycle for cycle in cycles.active(connection) if cycle.run_id is not None]
        missing = [cycle.run_id for cycle in followed if cycle.run_id and cycle.run_id not in listed]
        if missing:
            listed |= self._ui.runs(missing)
        for cycle in followed:
            self._settle(cycle, listed.get(cycle.run_id or ""))

    def _settle(self, cycle: Cycle, run: RunState | None) -> None:
        if run is not None and not run.is_over:
            return
        at: datetime | None = None
        reason: str | None = None
        if run is not None:
            status, at = _ENDINGS[run.status], run.ended_at
            if status is CycleStatus.FAILED:
                reason = Redactor().text(self._ui.reason(run.run_id))
        elif datetime.now(UTC) - (cycle.started_at or cycle.requested_at) < _GONE_AFTER:
            return
        else:
            status, reason = CycleStatus.FAILED, "its run is no longer known to Dagster"
        with self._engine.begin() as connection:
            cycles.ended(connection, cycle.cycle_id, status, reason, at)
        log.info("%s: %s", cycle.cycle_id, status)

    def _interval_wish(self) -> Wish | None:
        """Return the wish of the service's own interval when a time of it has come."""
        with self._engine.connect() as connection:
            interval = cycles.interval(connection)
        if not interval.is_on:
            return None
        now = datetime.now(UTC)
        step = timedelta(minutes=interval.minutes)
        passed = (now - interval.on_since) // step
        if passed < 1:
            return None
        at = interval.on_since + passed * step
        # A service that was down does not do later what nobody waits for any more; nor is each look a request.
        if now - at > step / 2:
            return None
        return Wish(Source.INTERVAL, "the service's interval", INTERVAL_JOB, at)

    def _hold(self) -> bool:
        """Hold the lease for another while. Returns whether it is ours."""
        if self._lease is not None and time.monotonic() < self._held_until - _LEASE_SECONDS / 2:
            return True
        before = time.monotonic()
        with self._engine.begin() as connection:
            try:
                if self._lease is not None:
                    leases.renew(connection, self._lease, _LEASE_SECONDS)
                    self._held_until = before + _LEASE_SECONDS
                    return True
            except LeaseLost:
                self._lease = None
            try:
                self._lease = leases.take(connection, LEASE, self._holder, _LEASE_SECONDS)
            except LeaseHeld:
                return False
        self._held_until = before + _LEASE_SECONDS
        return True

    def _let_go(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(DBAPIError, PoolTimeout), self._engine.begin() as connection:
                leases.release(connection, lease)
