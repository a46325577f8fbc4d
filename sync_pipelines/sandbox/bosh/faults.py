"""Faults that only a Director has. The others are those of every stand-in: see :mod:`sync_pipelines.sandbox.faults`."""

from __future__ import annotations

import re

from sync_pipelines.sandbox.bosh.errors import CHALLENGE, TEXT
from sync_pipelines.sandbox.bosh.world import DirectorWorld
from sync_pipelines.sandbox.faults import ArmedFault, FaultInjector, FaultKind, Lie, Rewrite

LISTING = r"^/deployments/?$"
"""The path of the list of deployments."""


def short_list(faults: FaultInjector, lie: Lie = Lie.HALF, *, count: int = 1, times: int | None = None) -> ArmedFault:
    """Leave deployments out of the list, which stays a whole answer with status 200.

    Arguments:
        lie: which are left out, e.g. every second one, the first or last ``count``, or all.
        times: how many lists; ``None`` means all.
    """
    return faults.add(FaultKind.REWRITE, path=LISTING, method="GET", rewrite=Rewrite(lie, count), times=times)


def empty_error(faults: FaultInjector, deployment: str, *, times: int | None = None) -> ArmedFault:
    """Answer everything below one deployment with 500 and no body, as for an exception that nobody caught."""
    path = rf"^/deployments/{re.escape(deployment)}(/|$)"
    return faults.add(
        FaultKind.STATUS, path=path, status=500, body="", content_type=TEXT, headers=CHALLENGE, times=times
    )


def deleted_after_listing(world: DirectorWorld, deployment: str) -> None:
    """Delete a deployment when it was listed, before its details can be asked for."""
    world.after(LISTING, lambda: world.delete(deployment))


def scopes_lost(world: DirectorWorld, who: str, *scopes: str, after: str = LISTING, skip: int = 0) -> None:
    """Grant a client or user something else in the middle of a run.

    With UAA the tokens that are out end, so that a new one has to be fetched, which grants less.

    Arguments:
        after: regular expression for the path of the request after which it happens.
        skip: matching requests that are let through first.
    """

    def narrow() -> None:
        if world.uaa is not None:
            world.uaa.narrow(who, *scopes)
        else:
            world.set_scopes(who, *scopes)

    world.after(after, narrow, skip=skip)
