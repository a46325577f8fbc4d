"""``/tasks``, ``/task`` and ``/locks``."""

from __future__ import annotations

import json
import re
from typing import Any

from sync_pipelines.sandbox.bosh.calls import JSON, Answer, Call, json_answer
from sync_pipelines.sandbox.bosh.errors import TEXT, Refusal, crash, no_task, refused
from sync_pipelines.sandbox.bosh.model import Task
from sync_pipelines.sandbox.bosh.rendering import task_body
from sync_pipelines.sandbox.bosh.tasks import CANCELLABLE, QUIET_TYPES

_PLAIN = "text/plain;charset=utf-8"
_RANGE = re.compile(r"bytes=(?P<first>\d+)-(?P<last>\d*)")
_ADMIN_OUTPUTS = frozenset({"debug", "cpi"})
_OUTPUTS = frozenset({"result", "event"}) | _ADMIN_OUTPUTS


def list_all(call: Call) -> Answer:
    """Return tasks, newest first. Those that only read VMs are shown to who asks for ``verbose=2``."""
    call.caller.need_any_read()
    query = call.query
    tasks = [task for task in call.world.board.newest_first() if _sees(call, task)]
    if query.get("verbose", "1") == "1":
        tasks = [task for task in tasks if task.type not in QUIET_TYPES]
    if states := query.get("state"):
        # Filtered before each state is looked at: a task that is found timed out now is listed as processing.
        tasks = [task for task in tasks if task.state in states.split(",")]
    for name in ("deployment", "context_id"):
        if name in query:
            tasks = [task for task in tasks if getattr(task, name) == query[name]]
    limit = _leading_number(query.get("limit", ""))
    shown = tasks[:limit] if limit else tasks
    return json_answer([task_body(call.world.board.look(task)) for task in shown], JSON)


def show(call: Call) -> Answer:
    """Return one task."""
    return json_answer(task_body(call.world.board.look(_task(call))), JSON)


def output(call: Call) -> Answer:
    """Return what a task wrote, or the part of it that is asked for."""
    task = _task(call)
    kind = call.query.get("type", "debug")
    if kind == "none":
        return _nothing()
    if kind not in _OUTPUTS:
        raise refused(401, 600000, f"Unknown type {kind}")
    if kind in _ADMIN_OUTPUTS:
        call.caller.need_admin()
    if task.lost_logs:
        raise crash()
    if task.outputs is None:
        return _nothing()
    text = _debug_log(call, task) if kind in _ADMIN_OUTPUTS else task.outputs.get(kind, "")
    return _part(text.encode(), call.headers.get("range", ""), _PLAIN if kind in _ADMIN_OUTPUTS else TEXT)


def cancel(call: Call) -> Answer:
    """Ask for the end of a task."""
    task = _task(call)
    call.caller.need_admin()
    if not call.world.board.cancel(task):
        raise Refusal(400, f"Cannot cancel task {task.id}: invalid state ({task.state})")
    return _nothing()


def cancel_many(call: Call) -> Answer:
    """Ask for the end of all tasks of some types, states and deployment."""
    call.caller.need_admin()
    wanted: dict[str, Any] = json.loads(call.body or b"{}")
    states = wanted.get("states") or list(CANCELLABLE)
    for state in states:
        if state not in CANCELLABLE:
            raise Refusal(400, f"{state} is not one of the cancellable states: {', '.join(CANCELLABLE)}")
    for task in call.world.board.newest_first():
        is_meant = task.state in states and task.type in wanted.get("types", [task.type])
        if is_meant and wanted.get("deployment", task.deployment) == task.deployment:
            call.world.board.cancel(task)
    return _nothing()


def locks(call: Call) -> Answer:
    """Return what is being changed."""
    call.caller.need_any_read()
    held = [
        {"type": "deployment", "resource": [name], "timeout": f"{lock.ends_at:.6f}", "task_id": str(lock.task)}
        for name, lock in sorted(call.world.locks.items())
    ]
    return json_answer(held, JSON)


def _task(call: Call) -> Task:
    asked = call.names["task"]
    task = call.world.board.tasks.get(int(asked)) if asked.isdecimal() else None
    if task is None:
        raise no_task(asked)
    if not _sees(call, task):
        call.caller.need_read()
    return task


def _sees(call: Call, task: Task) -> bool:
    deployment = call.world.deployments.get(task.deployment or "")
    return call.caller.reads_all or (deployment is not None and call.caller.sees(deployment))


def _part(body: bytes, wanted: str, content_type: str) -> Answer:
    asked = _RANGE.fullmatch(wanted)
    # A range that cannot be read is taken for none.
    if asked is None:
        return Answer(body, content_type)
    first = int(asked["first"])
    if first >= len(body):
        headers = {"Content-Range": f"bytes */{len(body)}"}
        raise Refusal(416, "Byte range unsatisfiable", headers=headers)
    last = min(int(asked["last"] or len(body) - 1), len(body) - 1)
    headers = {"Content-Range": f"bytes {first}-{last}/{len(body)}"}
    return Answer(body[first : last + 1], content_type, 206, headers)


def _debug_log(call: Call, task: Task) -> str:
    told = [f"Director Version: {call.world.version}", f"Enqueuing task: {task.id}"]
    told += [f"Looking for task with task id {task.id}", f"Found task {task.id} ({task.description})"]
    told += [f"Performing task: {task.type}", f"Task took {task.ends_at - task.queued_at:.6f} seconds to process."]
    stamp = "2026-11-22T03:00:22.903295 #31318"
    return "".join(f"I, [{stamp}] [0x884]  INFO -- DirectorJobRunner: {line}\n" for line in told * 4)


def _nothing() -> Answer:
    return Answer(content_type="", status=204)


def _leading_number(text: str) -> int:
    found = re.match(r"\s*\d+", text)
    return int(found[0]) if found else 0
