"""The deployments pipeline's peers with the demo's data: two Directors, a UAA, and a real OpenBao.

The Directors remember their state as the other stand-ins do; OpenBao keeps what it acknowledged on disk.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.bosh import (
    DEMO_PASSWORD,
    DEMO_USER,
    DirectorStandIn,
    DirectorWorld,
    UaaStandIn,
    UaaWorld,
    demo_world,
    many,
)
from sync_pipelines.sandbox.keeping import SavingWrites, restored, save, served
from sync_pipelines.sandbox.openbao import OpenBao
from sync_pipelines.sandbox.openbao.process import is_free

DIRECTOR_PORT = 25555
"""A Director's usual port; the small one has the next."""
UAA_PORT = 8443
VAULT_PORT = 8200
DIRECTOR_SECRET_VARIABLE = "DEMO_DIRECTOR_SECRET"

_ANNEX_MOUNT = "annex"
_ANNEX_UUID = "5f0c8ab1-7f0e-4b2e-9a51-3f0b1f4b8f52"
_ANNEX_DEPLOYMENTS = 3
_ROLE = "sync-pipelines"
_ALL = ("create", "read", "update", "patch", "delete", "list", "scan")
# Read only, so that a write of theirs would not go through unseen.
_RIGHTS = {f"{mount}/*": _ALL for mount in ("secret", _ANNEX_MOUNT)} | {
    f"{mount}/data/+/{name}": ("read",) for mount in ("secret", _ANNEX_MOUNT) for name in ("credentials", "bindings")
}
_DATA = resources.files("sync_pipelines.sandbox") / "data" / "deployments"


@dataclass(frozen=True, slots=True)
class DeploymentPeers:
    """Where the running peers are.

    Attributes:
        director, annex: base URLs of the Directors; the annex is the small one.
        vault: base URL of OpenBao.
        vault_pid: its process. It is in the group of ours, so that it ends with it, whenever that is.
        role: folder with the files ``role_id`` and ``secret_id`` of an AppRole.
    """

    director: str
    annex: str
    vault: str
    vault_pid: int
    role: str


def deployment_connections(peers: DeploymentPeers) -> dict[str, Any]:
    """Return the section of a connections file for the demo's two Directors; secrets are references."""
    secret = f"env:{DIRECTOR_SECRET_VARIABLE}"
    vault = {
        "url": peers.vault,
        "role_id": f"file:{Path(peers.role) / 'role_id'}",
        "secret_id": f"file:{Path(peers.role) / 'secret_id'}",
    }
    catalog = str(_DATA / "catalog.json")
    return {
        "deployments": [
            {
                "name": "lab",
                "director": {"url": peers.director, "client": DEMO_USER, "client_secret": secret},
                "vault": vault | {"mount": "secret"},
                "catalog": catalog,
            },
            {
                "name": "annex",
                "director": {"url": peers.annex, "user": DEMO_USER, "password": secret},
                "vault": vault | {"mount": _ANNEX_MOUNT},
                "catalog": catalog,
            },
        ]
    }


def deployment_secrets() -> dict[str, str]:
    """Return the variables that :func:`deployment_connections` refers to; they are invented and open no door."""
    return {DIRECTOR_SECRET_VARIABLE: DEMO_PASSWORD}


@contextlib.contextmanager
def deployment_peers(
    folder: Path, *, director_port: int = DIRECTOR_PORT, uaa_port: int = UAA_PORT, vault_port: int = VAULT_PORT
) -> Iterator[DeploymentPeers]:
    """Run the peers on loopback until the block is left.

    Arguments:
        folder: where their state is kept; made when it is missing.
        director_port, uaa_port, vault_port: preferred ports; a taken one is replaced by a free one.

    Raises:
        BaoMissing: there is no OpenBao on this machine.
        BaoFailed: it does not start, or does not serve.
        StateUnreadable: what is in the folder cannot be read.
    """
    uaa = UaaWorld()
    # A new world in any case: by it the UAA learns of its client.
    fresh = demo_world(uaa=uaa)
    folder.mkdir(parents=True, exist_ok=True)
    main = restored(folder / "director.pickle", lambda: DirectorWorld(uaa=uaa), lambda: fresh)
    annex = restored(folder / "annex.pickle", DirectorWorld, _annex)
    with contextlib.ExitStack() as stack:
        bao = stack.enter_context(_vault(folder, vault_port))
        stack.enter_context(UaaStandIn(uaa).running(port=_free(uaa_port)))
        yield DeploymentPeers(
            director=_director(stack, main, folder / "director.pickle", director_port),
            annex=_director(stack, annex, folder / "annex.pickle", director_port + 1 if director_port else 0),
            vault=bao.url,
            vault_pid=bao.pid,
            role=str(folder),
        )


def _annex() -> DirectorWorld:
    world = many(_ANNEX_DEPLOYMENTS, 2, seed=7)
    world.name, world.uuid = "annex-director", _ANNEX_UUID
    return world


def _director(stack: contextlib.ExitStack, world: DirectorWorld, file: Path, port: int) -> str:
    def keep() -> None:
        with world.guard:
            save(world, file)

    keep()
    stack.callback(keep)
    return served(stack, SavingWrites(DirectorStandIn(world).app, "/", keep), port)


@contextlib.contextmanager
def _vault(folder: Path, port: int) -> Iterator[OpenBao]:
    """Run OpenBao with the demo's secrets, and leave the means to log in in the folder."""
    with OpenBao.durable(folder / "openbao", port=_free(port), own_group=False) as bao:
        loaded = folder / "openbao" / "loaded"
        if not loaded.exists():
            bao.admin.load({"mount": _ANNEX_MOUNT, "kv_version": 2, "secrets": {}})
            bao.admin.load(json.loads((_DATA / "vault.json").read_text("utf-8")))
            loaded.touch()
        bao.admin.put_policy(_ROLE, _RIGHTS)
        for name, value in zip(("role_id", "secret_id"), bao.admin.create_role(_ROLE, _ROLE), strict=True):
            file = folder / name
            file.touch(0o600)
            file.write_text(value, encoding="utf-8")
        yield bao


def _free(port: int) -> int:
    """Return a port when it is free, else 0, which stands for any free one."""
    return port if is_free(port) else 0
