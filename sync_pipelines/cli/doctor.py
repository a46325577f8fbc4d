"""``sync-pipelines doctor``: is everything fit to work, and if not, what is to be done?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from sqlalchemy import Engine, text

from sync_pipelines.cli import output
from sync_pipelines.cli.accounts import MARKETPLACES, accounts
from sync_pipelines.cli.finding import Finding
from sync_pipelines.cli.ledgers import LEDGER, ledgers
from sync_pipelines.cli.pipelines import Configured
from sync_pipelines.cli.session import DAGSTER_VARIABLE, connections, dagster_instance, labels, pairs
from sync_pipelines.cli.shops import COMMERCE, shops
from sync_pipelines.cli.wording import first_line
from sync_pipelines.core.errors import SyncError
from sync_pipelines.settings import connections_path
from sync_pipelines.store.database import DatabaseUrls, check_server, connect_engine, resolve_database_url
from sync_pipelines.store.migrations import pending

if TYPE_CHECKING:
    from sync_pipelines.pipelines.commerce.connection import ShopConnection
    from sync_pipelines.pipelines.ledger.connection import LedgerConnection
    from sync_pipelines.pipelines.marketplaces.connection import MarketplaceConnection


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
    configured: tuple[Configured, ...] = ()
    replicas: tuple[LedgerConnection, ...] = ()
    known_shops: tuple[ShopConnection, ...] = ()
    pulled: tuple[MarketplaceConnection, ...] = ()
    try:
        replicas, known_shops, pulled = ledgers(), shops(), accounts()
        configured = pairs() if replicas or known_shops or pulled else connections()
        names = [one.full_name for one in configured]
        names += [f"{LEDGER}/{one.name}" for one in replicas] + [f"{COMMERCE}/{one.name}" for one in known_shops]
        names += [f"{MARKETPLACES}/{one.name}" for one in pulled]
        yield Finding("settings", True, f"{connections_path()}: {', '.join(names)}")
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
            called = labels(configured)
            for one in configured:
                yield from asyncio.run(_connection(one, called[one.full_name], engine))
            for replica in replicas:
                yield from _ledger(replica, engine)
            for shop in known_shops:
                yield from _shop(shop, engine)
            for account in pulled:
                yield from _account(account, engine)
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


def _ledger(connection: LedgerConnection, engine: Engine) -> list[Finding]:
    from sync_pipelines.cli.doctor_ledger import examine_ledger

    return asyncio.run(examine_ledger(connection, engine, f"{LEDGER}/{connection.name}"))


def _shop(connection: ShopConnection, engine: Engine) -> list[Finding]:
    from sync_pipelines.cli.doctor_commerce import examine_shop

    return asyncio.run(examine_shop(connection, engine, f"{COMMERCE}/{connection.name}"))


def _account(connection: MarketplaceConnection, engine: Engine) -> list[Finding]:
    from sync_pipelines.cli.doctor_marketplaces import examine_account

    return asyncio.run(examine_account(connection, engine, f"{MARKETPLACES}/{connection.name}"))


async def _connection(one: Configured, name: str, engine: Engine) -> list[Finding]:
    from sync_pipelines.systems.throttle import NoThrottle

    # Past the shared breakers: a dead URL found here must not stop runs, and an open breaker must not hide the cause.
    try:
        async with one.pipeline.open(one.connection, engine, throttle=NoThrottle()) as opened:
            found: list[Finding] = await one.pipeline.examiner()(opened, name)
            return found
    except SyncError as error:
        return [Finding(name, False, str(error))]
