"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass

import click

from sync_pipelines.cli.pipelines import PIPELINES
from sync_pipelines.cli.session import choose_one, connections, pairs
from sync_pipelines.cli.shops import COMMERCE, shop_scopes
from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.commerce.one_way import PAIRS

connection_option = click.option(
    "--connection",
    "--provider",
    "wanted",
    metavar="NAME",
    help="Only this connection: NAME, PIPELINE/NAME where two pipelines have that name, or its provider's address.",
)

pair_option = click.option(
    "--pipeline",
    type=click.Choice([*PIPELINES, COMMERCE, *PAIRS]),
    help="Only this pipeline; all of them by default. What is written to either system of a shop has its own.",
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where records of work are looked for: a pair of systems, and one scope of it or, for ``None``, all."""

    pair: str
    scope: str | None = None


def scopes_of(pipeline: str | None, wanted: str | None) -> list[Chosen]:
    """Return what two options stand for.

    Arguments:
        wanted: a connection as :func:`sync_pipelines.cli.session.choose` knows it, a shop, or an entity of a shop
            (``nordwind.orders``).

    Raises:
        ConfigurationError: there is no such connection, or more than one; or they are of different pipelines.
    """
    if wanted in (*PIPELINES, COMMERCE, *PAIRS):
        if pipeline not in (None, wanted):
            raise ConfigurationError(f"--pipeline {pipeline} and --connection {wanted} are two pipelines; give one")
        pipeline, wanted = wanted, None
    among = list(PAIRS) if pipeline == COMMERCE else [pipeline] if pipeline else [*PIPELINES, *PAIRS]
    if wanted is None:
        return [Chosen(name) for name in among]
    of_shops = [Chosen(pair, scope) for pair, scope in shop_scopes(wanted) if pair in among]
    if of_shops:
        if clash := [c for c in pairs() if c.pipeline.name in among and wanted in (c.name, c.alias)]:
            names = " or ".join([*(c.full_name for c in clash), f"{COMMERCE}/{wanted}"])
            raise ConfigurationError(f"{wanted!r} is a connection of several pipelines; write {names}")
        return of_shops
    chosen = choose_one([c for c in connections() if c.pipeline.name in among], wanted)
    return [Chosen(chosen.pipeline.name, chosen.name)]
