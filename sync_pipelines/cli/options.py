"""Options that several commands share."""

from __future__ import annotations

import click

from sync_pipelines.cli.pipelines import PIPELINES
from sync_pipelines.cli.session import choose_one, connections
from sync_pipelines.core.errors import ConfigurationError

connection_option = click.option(
    "--connection",
    "--provider",
    "wanted",
    metavar="NAME",
    help="Only this connection: NAME, PIPELINE/NAME where two pipelines have that name, or its provider's address.",
)

pipeline_option = click.option(
    "--pipeline", type=click.Choice(list(PIPELINES)), help="Only this pipeline; all of them by default."
)


def scope_of(pipeline: str | None, wanted: str | None) -> tuple[list[str], str | None]:
    """Return the pipelines and the connection's name that two options stand for; ``None`` for all connections.

    Raises:
        ConfigurationError: there is no such connection, or more than one; or they are of different pipelines.
    """
    if wanted in PIPELINES:
        if pipeline not in (None, wanted):
            raise ConfigurationError(f"--pipeline {pipeline} and --connection {wanted} are two pipelines; give one")
        pipeline, wanted = wanted, None
    if wanted is None:
        return [pipeline] if pipeline else list(PIPELINES), None
    chosen = choose_one([c for c in connections() if pipeline in (None, c.pipeline.name)], wanted)
    return [chosen.pipeline.name], chosen.name
