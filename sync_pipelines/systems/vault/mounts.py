"""Which version of the KV engine a mount has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.vault.errors import Forbidden, unexpected_shape
from sync_pipelines.systems.vault.paths import PEER, folder_path
from sync_pipelines.systems.vault.session import VaultSession

KvVersion = Literal[1, 2]


@dataclass(frozen=True, slots=True)
class KvMount:
    """A mount of the KV engine.

    Attributes:
        path: where it is mounted, without slashes around it, e.g. ``secret``.
        version: 1 keeps one state of each secret; 2 keeps versions and knows check-and-set.
    """

    path: str
    version: KvVersion


async def detect_mount(session: VaultSession, path: str) -> KvMount:
    """Ask the server which version a mount has.

    Arguments:
        path: of the mount, e.g. ``secret``; slashes around it do not matter.

    Raises:
        Forbidden: there is no such mount, or the token has no rights on any path in it. The server says the same to
            both, even to root.
        PeerError: the mount is not of the KV engine, or lies above the path given.
    """
    mount = path.strip("/")
    place = f"sys/internal/ui/mounts/{folder_path(mount)}"
    operation = f"GET /v1/{place}"
    try:
        answer = await session.request("GET", place, write=False)
    except Forbidden as refusal:
        refusal.message = (
            f"mount {mount!r} does not exist, or the token has no rights there, so that its KV version cannot be asked "
            "for; check the mount's name and the policies, or state the version (1 or 2) in the settings"
        )
        raise
    data = (answer or {}).get("data")
    if not isinstance(data, dict):
        raise unexpected_shape(operation, "no object 'data'", write=False)
    if data.get("type") not in ("kv", "generic"):
        raise _no_kv(operation, f"mount {mount!r} is of type {data.get('type')!r} and keeps no plain secrets")
    if str(data.get("path", mount)).strip("/") != mount:
        raise _no_kv(operation, f"{mount!r} lies in mount {data['path']!r}; name the mount itself")
    return KvMount(mount, _version(operation, data.get("options")))


def _version(operation: str, options: Any) -> KvVersion:
    # A mount made without options says null or {} and is version 1.
    stated = str((options or {}).get("version", 1))
    for version in get_args(KvVersion):
        if stated == str(version):
            found: KvVersion = version
            return found
    raise _no_kv(operation, f"KV version {stated!r} is not known here")


def _no_kv(operation: str, message: str) -> PeerError:
    return PeerError(PEER, FailureKind.PERMANENT, message, operation=operation)
