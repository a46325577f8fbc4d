"""``sync-pipelines serve``: the REST service."""

from __future__ import annotations

import logging

import click

from sync_pipelines.cli.pipelines import PIPELINES
from sync_pipelines.store.database import connect_engine, resolve_database_url
from sync_pipelines.store.migrations import migrate

_POOL = 10
"""Connections to the database; as many again for a while."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 chooses a free one."
)
@click.option("--verbose", is_flag=True, help="Log more than warnings.")
def serve(host: str, port: int, verbose: bool) -> None:
    """Serve the REST API until Ctrl-C.

    Starts syncs on request (POST /api/sync/scheduler for Cloud Scheduler) as Dagster runs, and tells how they stand
    (GET /api/sync/status). Takes what the webhooks of shops deliver (POST /api/webhooks/woocommerce/SHOP). Ctrl-C or
    SIGTERM answers what is under way and ends with 0.

    Settings are environment variables: SCHEDULER_AUTH, SCHEDULER_AUDIENCE, SCHEDULER_SERVICE_ACCOUNTS,
    SCHEDULER_SECRET, SYNC_ADMIN_TOKEN, SYNC_READ_TOKEN, SYNC_DAGSTER_URL and others; docs/service.md lists them all.
    """
    from sync_pipelines.pipelines.registry import enabled_connections
    from sync_pipelines.service.application import create_app
    from sync_pipelines.service.server import listen
    from sync_pipelines.service.server import serve as serve_application
    from sync_pipelines.service.settings import load_service_settings

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = load_service_settings()
    if settings.scheduler is not None and settings.scheduler.skip:
        click.echo("SKIP_SCHEDULER_AUTH=true: whoever reaches this service may start syncs", err=True)
    with listen(host, port) as listener:
        engine = connect_engine(
            resolve_database_url().sync_url, application_name="sync-pipelines-service", pool_size=_POOL
        )
        try:
            migrate(engine)
            address, taken = listener.getsockname()[:2]
            shown = f"[{address}]" if ":" in address else address
            click.echo(f"http://{shown}:{taken}")
            pairs = {name: enabled_connections(name) for name in PIPELINES}
            shops = enabled_connections("commerce")
            serve_application(create_app(settings, engine, shops=shops, pairs=pairs), listener)
        finally:
            engine.dispose()
