"""The Director's queue of tasks and the few workers that take from it.

Nothing runs in the background: what must have happened by now is worked out when somebody looks.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from sync_pipelines.sandbox.bosh.model import Task
from sync_pipelines.sandbox.clock import Clock

CANCELLABLE = ("queued", "processing")
QUIET_TYPES = frozenset({"vms", "cck_scan"})
"""Left out of listings that do not ask for ``verbose=2``."""

_CHECKPOINT_SECONDS = 30
_MISSED_CHECKPOINTS = 6


class Work(Protocol):
    """What tasks do."""

    def seconds(self, task: Task) -> float:
        """Return how long a task takes that starts now."""
        ...

    def finish(self, task: Task, at: float) -> None:
        """Do what the task is for: set its state, result and outputs."""
        ...


class TaskBoard:
    """All tasks by id.

    Attributes:
        workers: how many tasks run at a time.
        pickup_seconds: how long a task lies in the queue at least; real workers look once a second.
        next_id: of the next task.
    """

    def __init__(self, clock: Clock, *, workers: int = 2, pickup_seconds: float = 0.1) -> None:
        self.tasks: dict[int, Task] = {}
        self.pickup_seconds = pickup_seconds
        self.next_id = 1
        self._clock = clock
        self._free_at = [0.0] * workers
        self._waiting: deque[Task] = deque()
        self._running: list[Task] = []

    def add(self, task_type: str, description: str, user: str, deployment: str | None, context_id: str = "") -> Task:
        """Make a task that no worker will take."""
        task = Task(
            self.next_id, task_type, description, user, deployment, self._clock.now(), context_id=context_id[:64]
        )
        self.restore(task)
        return task

    def enqueue(self, task: Task) -> None:
        """Let a worker take a task when it comes to it."""
        self._waiting.append(task)

    def restore(self, task: Task) -> None:
        """Put a task there that happened elsewhere, with its own id."""
        self.tasks[task.id] = task
        self.next_id = max(self.next_id, task.id + 1)

    def forget(self, task_id: int) -> None:
        """Prune a task with its logs."""
        del self.tasks[task_id]

    def newest_first(self) -> list[Task]:
        """Return all tasks by falling id."""
        return [self.tasks[task_id] for task_id in sorted(self.tasks, reverse=True)]

    def cancel(self, task: Task) -> bool:
        """Ask for a task's end; ``False`` when it is in no state for that."""
        if task.state not in CANCELLABLE:
            return False
        task.state, task.timestamp = "cancelling", int(self._clock.now())
        return True

    def settle(self, work: Work) -> None:
        """Let everything happen that must have happened by now."""
        while self._waiting and self._start(self._waiting[0], work):
            self._waiting.popleft()
        for task in sorted(self._running, key=lambda task: task.ends_at):
            if task.ends_at <= self._clock.now():
                self._running.remove(task)
                work.finish(task, task.ends_at)

    def look(self, task: Task) -> Task:
        """Return a task as it is told. One without a sign of life is found timed out only when it is looked at."""
        silent_since = task.checkpoint_at
        limit = _CHECKPOINT_SECONDS * _MISSED_CHECKPOINTS
        if task.state == "processing" and silent_since is not None and self._clock.now() - silent_since > limit:
            task.state = "timeout"
        return task

    def _start(self, task: Task, work: Work) -> bool:
        worker = self._free_at.index(min(self._free_at))
        start = max(self._free_at[worker], task.queued_at + self.pickup_seconds)
        if start > self._clock.now():
            return False
        if task.state == "cancelling":
            task.state, task.timestamp, task.result = "cancelled", int(start), "task cancelled"
            error = f'{{"time":{int(start)},"error":{{"code":10001,"message":"Task {task.id} cancelled"}}}}\n'
            task.outputs = {"result": "", "event": error}
            return True
        task.state, task.started_at = "processing", int(start)
        task.ends_at = start + work.seconds(task)
        self._free_at[worker] = task.ends_at
        self._running.append(task)
        return True
