"""``sync-pipelines migrate`` and ``database``: the store's schema, and the embedded server."""

from __future__ import annotations

import os

import click

from sync_pipelines.cli import output
from sync_pipelines.core.errors import SyncError
from sync_pipelines.store import embedded
from sync_pipelines.store.database import SYNC_VARIABLE, connect_engine, resolve_database_url
from sync_pipelines.store.home import home_folder
from sync_pipelines.store.migrations import migrate as apply_migrations


@click.command()
def migrate() -> None:
    """Bring the database's schema up to date.

    Other commands and runs do so by themselves when they start; this does it ahead of them.
    """
    engine = connect_engine(resolve_database_url().sync_url)
    try:
        applied = apply_migrations(engine)
    finally:
        engine.dispose()
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the schema is up to date")


@click.group()
def database() -> None:
    """Start and stop the embedded PostgreSQL.

    It starts by itself when it is needed and no other server is named in SYNC_DATABASE_URL. It goes on running when
    commands end.
    """


@database.command()
def start() -> None:
    """Start the embedded server, unless it runs."""
    _note_other_server()
    server = embedded.ensure_running(home_folder() / "postgres")
    click.echo(f"running, socket in {server.socket_dir}")


@database.command()
def stop() -> None:
    """Stop the embedded server, ending its connections."""
    stopped = embedded.stop(home_folder() / "postgres")
    click.echo("stopped" if stopped else "it was not running")


@database.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Say whether the embedded server runs; ends with 1 when it does not."""
    _note_other_server()
    folder = home_folder() / "postgres"
    server = embedded.status(folder)
    if as_json:
        url = server.url("sync") if server else None
        output.print_json({"running": server is not None, "folder": str(folder), "url": url})
    elif server is not None:
        click.echo(f"running, socket in {server.socket_dir}")
    if server is None:
        raise SyncError(
            f"the embedded PostgreSQL in {folder} is not running; 'sync-pipelines database start' starts it"
        )


def _note_other_server() -> None:
    if os.environ.get(SYNC_VARIABLE):
        output.note(f"{SYNC_VARIABLE} is set: that server is used and not the embedded one")
