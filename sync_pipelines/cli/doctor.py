"""``sync-pipelines doctor``: is everything fit to work, and if not, what is to be done?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass

import click
from sqlalchemy import Engine, text

from sync_pipelines.cli import output
from sync_pipelines.cli.session import DAGSTER_VARIABLE, connections, dagster_instance
from sync_pipelines.cli.wording import first_line
from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.settings import connections_path
from sync_pipelines.store.database import DatabaseUrls, check_server, connect_engine, resolve_database_url
from sync_pipelines.store.migrations import pending


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check. ``detail`` says what was found; of a problem also what to do."""

    check: str
    ok: bool
    detail: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check settings, database, Dagster and every connection.

    Nothing is written to the peers. Ends with 1 when something is wrong, saying what and what to do.
    """
    console = output.progress_console()
    found: list[Finding] = []
    with console.status("checking") as status:
        for finding in _all_checks():
            found.append(finding)
            status.update(f"checked {finding.check}")
    healthy = all(finding.ok for finding in found)
    if as_json:
        output.print_json({"healthy": healthy, "checks": found})
    else:
        rows = [("ok" if f.ok else "WRONG", f.check, f.detail) for f in found]
        output.show(output.table("Doctor", ["", "what", "finding"], rows))
    if not healthy:
        click.get_current_context().exit(1)


def _all_checks() -> Iterator[Finding]:
    configured: tuple[OfferingsConnection, ...] = ()
    try:
        configured = connections()
        names = ", ".join(connection.name for connection in configured)
        yield Finding("settings", True, f"{connections_path()}: {names}")
    except SyncError as error:
        yield Finding("settings", False, str(error))
    try:
        urls = resolve_database_url()
    except SyncError as error:
        yield Finding("database", False, str(error))
        return
    engine = connect_engine(urls.sync_url, pool_size=2)
    try:
        database = _database(engine, urls)
        yield from database
        if all(finding.ok for finding in database):
            yield _dagster()
            for connection in configured:
                yield from asyncio.run(_connection(connection, engine))
    finally:
        engine.dispose()


def _database(engine: Engine, urls: DatabaseUrls) -> list[Finding]:
    try:
        check_server(engine)
        due = pending(engine)
    except SyncError as error:
        return [Finding("database", False, str(error))]
    with engine.connect() as connection:
        version = connection.execute(text("SELECT current_setting('server_version')")).scalar_one()
    kind = "embedded" if urls.embedded else engine.url.render_as_string(hide_password=True)
    found = [Finding("database", True, f"PostgreSQL {version}, {kind}")]
    if due:
        todo = f"{', '.join(due)} not applied yet; run 'sync-pipelines migrate'"
        return [*found, Finding("schema", False, todo)]
    return [*found, Finding("schema", True, "up to date")]


def _dagster() -> Finding:
    try:
        from dagster import DagsterError

        with dagster_instance() as instance:
            try:
                instance.get_runs_count()
                ill = [kind for kind, state in instance.get_daemon_statuses().items() if not state.healthy]
            except DagsterError as error:
                return Finding("dagster", False, f"{os.environ[DAGSTER_VARIABLE]}: {first_line(error)}")
            told = f"settings of {os.environ[DAGSTER_VARIABLE]}; "
            if ill:
                # No mistake: who reconciles by cron and CLI needs no daemon.
                return Finding("dagster", True, told + "the daemon does not run, so nothing starts by itself")
            return Finding("dagster", True, told + "the daemon runs")
    except SyncError as error:
        return Finding("dagster", False, str(error))


async def _connection(connection: OfferingsConnection, engine: Engine) -> list[Finding]:
    from sync_pipelines.pipelines.offerings.pair import open_connection
    from sync_pipelines.systems.throttle import NoThrottle

    # Past the shared breakers: a dead URL found here must not stop runs, and an open breaker must not hide the cause.
    async with open_connection(connection, engine, throttle=NoThrottle()) as opened:
        chain, waldur = f"{connection.name}: chain", f"{connection.name}: waldur"
        found = []
        try:
            tip = await opened.chain.check()
            offerings = len(await opened.chain.list_offerings(connection.provider))
            told = f"{tip.chain_id} at height {tip.height}, CometBFT {tip.node_version}, {offerings} offerings"
            found.append(Finding(chain, True, told if tip.tx_index else told + "; without tx_index, events are slow"))
        except SyncError as error:
            found.append(Finding(chain, False, str(error)))
        try:
            problems = await opened.waldur.check(
                connection.waldur.customer_uuid,
                category_uuids=sorted(set(connection.category_map.values())),
                offering_type=connection.waldur.offering_type,
            )
        except SyncError as error:
            problems = [str(error)]
        found += [Finding(waldur, False, problem) for problem in problems]
        if not problems:
            publishing = "publishes" if opened.waldur.can_publish else "no staff token: new offerings wait in Draft"
            found.append(Finding(waldur, True, f"{connection.waldur.url}, {publishing}"))
        return found
