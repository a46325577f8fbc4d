"""The doctor at a connection of the deployments pipeline: its Director, its catalog and its Vault."""

from __future__ import annotations

from sync_pipelines.cli.finding import Finding
from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.deployments.pair import OpenConnection
from sync_pipelines.systems.vault.index import Index


async def examine(opened: OpenConnection, name: str) -> list[Finding]:
    """Try both peers and the catalog.

    Arguments:
        name: what the connection is called in the findings.
    """
    unknown = [
        Finding(f"{name}: options", False, f"{place}: unknown option; remove it or correct its spelling")
        for place in opened.connection.reconciler.unknown
    ]
    return [
        *unknown,
        await _director(opened, f"{name}: director"),
        await _catalog(opened, f"{name}: catalog"),
        await _vault(opened, f"{name}: vault"),
    ]


async def _director(opened: OpenConnection, check: str) -> Finding:
    try:
        info, listing = await opened.director.info(), await opened.director.deployments()
    except SyncError as error:
        return Finding(check, False, str(error))
    told = f"{info.name} {info.uuid}, {len(listing.entries)} deployments as {listing.scope.identity}"
    if not listing.scope.sees_everything:
        todo = "only those of its teams are shown, so nothing can be taken for gone; give the login bosh.read"
        return Finding(check, False, f"{told}; {todo}")
    return Finding(check, True, told)


async def _catalog(opened: OpenConnection, check: str) -> Finding:
    try:
        catalog = await opened.scan.catalog()
    except SyncError as error:
        return Finding(check, False, str(error))
    return Finding(check, True, f"{len(catalog.services)} services, {len(catalog.offers)} plans")


async def _vault(opened: OpenConnection, check: str) -> Finding:
    vault = opened.connection.vault
    try:
        entries = await Index(opened.kv, vault.index).entries()
    except SyncError as error:
        return Finding(check, False, str(error))
    mount = opened.kv.mount
    return Finding(check, True, f"{vault.url}, KV {mount.version} at {mount.path}, {len(entries.by_id)} instances")
