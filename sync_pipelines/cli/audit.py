"""``sync-pipelines audit``: hand the audit log out, and prove that nobody altered it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
from sqlalchemy import Connection

from sync_pipelines.cli import output
from sync_pipelines.cli.options import pair_option, scopes_of
from sync_pipelines.cli.session import open_store
from sync_pipelines.cli.shops import shop_scopes, shops
from sync_pipelines.core.audit import ChainedEntry, ChainReport
from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.store import audit as audit_log
from sync_pipelines.store.audit import Archive
from sync_pipelines.store.audit_archive import exported_line, verify_archives
from sync_pipelines.store.lookup import records_called
from sync_pipelines.store.scopes import find_scope

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]


@click.group()
def audit() -> None:
    """Hand the audit log out, and prove that nobody altered it."""


@audit.command()
@pair_option
@click.option("--since", type=click.DateTime(_FORMATS), metavar="TIME", help="Only from this time on (UTC, ISO 8601).")
@click.option("--key", metavar="ID", help="Only entries about this record.")
@click.option("--output", "path", type=click.Path(path_type=Path, dir_okay=False), help="File; default is stdout.")
def export(pipeline: str | None, since: datetime | None, key: str | None, path: Path | None) -> None:
    """Write the log as JSON lines, oldest first.

    Each pipeline has a log of its own. Each line is an entry with the pipeline, its number there, its hash and the
    hash before it. The hash is SHA-256 over the previous hash, a line end, and the entry's canonical JSON without these
    four.
    """
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    number = 0
    with open_store() as engine, engine.connect() as connection, _target(path) as target:
        for chain in [one.pair for one in scopes_of(pipeline, None)] if pipeline else audit_log.chains(connection):
            for item in _entries(connection, chain, key, since):
                target.write(exported_line(chain, item))
                number += 1
    output.note(f"{number} entries{f' of {pipeline}' if pipeline else ''} exported" + (f" to {path}" if path else ""))


def _entries(connection: Connection, chain: str, key: str | None, since: datetime | None) -> Iterator[ChainedEntry]:
    """Yield entries of a chain. Records of a shop may be asked for by what people call them."""
    if key is None or chain not in PAIRS:
        yield from audit_log.entries(connection, chain, key=key, since=since)
        return
    names = [scope for shop in shops() for pair, scope in shop_scopes(shop.name) if pair == chain]
    scopes = [scope for name in names if (scope := find_scope(connection, chain, name))]
    keys = {key}.union(*(records_called(connection, scope, key) for scope in scopes))
    for one in sorted(keys):
        yield from audit_log.entries(connection, chain, key=one, since=since)


@audit.command()
@click.option("--archives", "with_archives", is_flag=True, help="Read the exported files as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(with_archives: bool, as_json: bool) -> None:
    """Recompute every hash of every log.

    Ends with 1 when an entry was altered, removed or cut off, and names the first one. Of a log whose older entries
    were exported and pruned, what is kept is verified from there on; the files are read with --archives.
    """
    with open_store() as engine, engine.connect() as connection:
        chains = audit_log.chains(connection)
        reports = {chain: audit_log.verify(connection, chain) for chain in chains}
        archives = {chain: audit_log.newest_archive(connection, chain) for chain in chains}
        faults = [f"{c}: {fault}" for c in chains if with_archives for fault in verify_archives(connection, c)]
    if as_json:
        output.print_json(
            {
                chain: asdict(report) | {"intact": report.intact, "archive": asdict(found) if found else None}
                for chain, report in reports.items()
                for found in [archives[chain]]
            }
        )
    elif not reports:
        output.note("The audit log is empty.")
    else:
        rows = [(chain, report.entries, _finding(report, archives[chain])) for chain, report in reports.items()]
        output.show(output.table("Audit logs", ["pipeline", "good entries", "finding"], rows, numbers=["good entries"]))
    broken = [f"{chain}: {report.reason}" for chain, report in reports.items() if not report.intact] + faults
    if broken:
        raise SyncError(f"the audit log is broken: {'; '.join(broken)}")


def _finding(report: ChainReport, archive: Archive | None) -> str:
    if not report.intact:
        return f"broken: {report.reason}"
    return f"verified from entry {archive.last + 1}, earlier ones exported to {archive.file}" if archive else "intact"


@contextmanager
def _target(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8") as target:
            yield target
    except OSError as error:
        raise SyncError(f"{path} cannot be written: {error.strerror}") from None
