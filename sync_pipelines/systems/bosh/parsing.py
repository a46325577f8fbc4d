"""Typed values from a Director's JSON.

Keys that are not used are not looked at: they vary with the version. Errors name the field and never repeat its value,
which may be a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from sync_pipelines.systems.bosh.models import Event, Info, ListedDeployment, NamedVersion, Process, Task, Vm, VmFull

_T = TypeVar("_T")
_Row = Mapping[str, Any]


def parse_info(row: Any) -> Info:
    """Return the answer of ``/info``. Raises ``ValueError`` when a key that is used is missing or of another kind."""
    row = _object(row, "info")
    auth = _required(row, "user_authentication", dict)
    options = _optional(auth, "options", dict) or {}
    urls = _texts(options, "urls")
    return Info(
        name=_required(row, "name", str),
        uuid=_required(row, "uuid", str),
        version=_required(row, "version", str),
        auth=_required(auth, "type", str),
        uaa_url=_optional(options, "url", str) or (urls[0] if urls else None),
    )


def parse_deployments(rows: Any, *, releases: bool, stemcells: bool, locks: bool) -> tuple[ListedDeployment, ...]:
    """Return the entries of the list.

    Arguments:
        releases, stemcells, locks: what was asked for and must therefore be there.

    Raises:
        ValueError: an entry cannot be read, or a name is there twice. Then the list is not to be trusted at all.
    """
    entries = tuple(
        _deployment(_object(row, "deployment"), releases=releases, stemcells=stemcells, locks=locks)
        for row in _array(rows, "the list")
    )
    if len({entry.name for entry in entries}) < len(entries):
        raise ValueError("a deployment is listed twice")
    return entries


def parse_manifest(row: Any) -> str | None:
    """Return the manifest's text, ``None`` for a deployment that never succeeded. Raises ``ValueError``."""
    row = _object(row, "deployment")
    if "manifest" not in row:
        raise ValueError("manifest: missing")
    return _optional(row, "manifest", str)


def parse_vms(rows: Any) -> tuple[Vm, ...]:
    """Return the VMs of ``/vms``. Raises ``ValueError``."""
    return tuple(Vm(**_vm(_object(row, "vm"), job="job", cid="cid")) for row in _array(rows, "the list of VMs"))


def parse_full_vms(content: bytes) -> tuple[VmFull, ...]:
    """Return the VMs of a task's result, sorted by group and index. Raises ``ValueError``.

    Arguments:
        content: one JSON object a line, in the order in which the agents answered.
    """
    vms = [_full_vm(_object(orjson.loads(line), "vm")) for line in content.splitlines() if line.strip()]
    return tuple(sorted(vms, key=lambda vm: (vm.job, vm.index if vm.index is not None else -1, vm.id)))


def parse_events(rows: Any) -> tuple[Event, ...]:
    """Return a page of events. Raises ``ValueError``."""
    return tuple(_event(_object(row, "event")) for row in _array(rows, "the page of events"))


def parse_task(row: Any) -> Task:
    """Return a task. Raises ``ValueError``."""
    row = _object(row, "task")
    return Task(
        id=_required(row, "id", int),
        state=_required(row, "state", str),
        description=_optional(row, "description", str) or "",
        result=_optional(row, "result", str),
        deployment=_optional(row, "deployment", str),
    )


def _deployment(row: _Row, *, releases: bool, stemcells: bool, locks: bool) -> ListedDeployment:
    name = _required(row, "name", str)
    if not name:
        raise ValueError("name: empty")
    return ListedDeployment(
        name=name,
        teams=_texts(row, "teams"),
        releases=_versions(row, "releases") if releases else None,
        stemcells=_versions(row, "stemcells") if stemcells else None,
        locked=_required(row, "locked", bool) if locks else None,
    )


def _versions(row: _Row, name: str) -> tuple[NamedVersion, ...]:
    return tuple(_version(_object(item, name)) for item in _required(row, name, list))


def _version(row: _Row) -> NamedVersion:
    return NamedVersion(_required(row, "name", str), _required(row, "version", str))


def _vm(row: _Row, *, job: str, cid: str) -> dict[str, Any]:
    return {
        "id": _required(row, "id", str),
        "job": _required(row, job, str),
        "index": _optional(row, "index", int),
        "cid": _optional(row, cid, str),
        "agent_id": _optional(row, "agent_id", str),
        "az": _optional(row, "az", str),
        "ips": _texts(row, "ips"),
        "created_at": _time(row, "vm_created_at"),
        "active": _optional(row, "active", bool),
    }


def _full_vm(row: _Row) -> VmFull:
    processes = [_object(item, "processes") for item in _optional(row, "processes", list) or ()]
    stemcell = _optional(row, "stemcell", dict)
    return VmFull(
        **_vm(row, job="job_name", cid="vm_cid"),
        job_state=_optional(row, "job_state", str),
        state=_optional(row, "state", str),
        vm_type=_optional(row, "vm_type", str),
        vitals=_optional(row, "vitals", dict),
        processes=tuple(Process(_required(item, "name", str), _required(item, "state", str)) for item in processes),
        disk_cids=_texts(row, "disk_cids"),
        stemcell=_version(stemcell) if stemcell else None,
    )


def _event(row: _Row) -> Event:
    parent = _optional(row, "parent_id", str)
    return Event(
        id=_number(_required(row, "id", str), "id"),
        timestamp=_moment(_required(row, "timestamp", int)),
        action=_required(row, "action", str),
        object_type=_required(row, "object_type", str),
        object_name=_optional(row, "object_name", str) or "",
        user=_optional(row, "user", str),
        deployment=_optional(row, "deployment", str),
        instance=_optional(row, "instance", str),
        task=_optional(row, "task", str),
        parent_id=None if parent is None else _number(parent, "parent_id"),
        error=_optional(row, "error", str),
    )


def _object(row: Any, what: str) -> _Row:
    if not isinstance(row, dict):
        raise ValueError(f"{what}: an object was expected, not {type(row).__name__}")
    return row


def _array(rows: Any, what: str) -> list[Any]:
    if not isinstance(rows, list):
        raise ValueError(f"{what}: an array was expected, not {type(rows).__name__}")
    return rows


def _required(row: _Row, name: str, kind: type[_T]) -> _T:
    value = _optional(row, name, kind)
    if value is None:
        raise ValueError(f"{name}: missing")
    return value


def _optional(row: _Row, name: str, kind: type[_T]) -> _T | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name}: {type(value).__name__} is not the expected kind")
    return value


def _texts(row: _Row, name: str) -> tuple[str, ...]:
    values = _optional(row, name, list) or []
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name}: not a list of texts")
    return tuple(values)


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name}: not a number")
    return int(text)


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError):
        raise ValueError("timestamp: out of range") from None


def _time(row: _Row, name: str) -> datetime | None:
    text = _optional(row, name, str)
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{name}: no time zone")
    return moment
