"""``sync-pipelines offerings``: why is an offering in the state it is in?"""

from __future__ import annotations

import click

from sync_pipelines.cli.pipelines import PIPELINES, provider_of
from sync_pipelines.cli.session import connections
from sync_pipelines.cli.why import documents_of, places_of, tell
from sync_pipelines.core.errors import ConfigurationError, SyncError


@click.group()
def offerings() -> None:
    """Look at single offerings."""


@offerings.command()
@click.argument("offering_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(offering_id: str, as_json: bool) -> None:
    """Say where an offering stands and why.

    ID is the offering's id on the chain: <provider address>/<number>.
    """
    provider = provider_of(offering_id)
    its = [one for one in connections() if one.pipeline is PIPELINES["offerings"] and one.alias == provider]
    if not its:
        raise ConfigurationError(f"no enabled connection has the provider {provider}")
    documents = documents_of(places_of(its), offering_id)
    if not documents:
        raise SyncError(
            f"{offering_id} was never seen on the chain by {', '.join(one.name for one in its)}; if it is new, run "
            f"'sync-pipelines reconcile offerings --provider {its[0].name} --keys {offering_id}'"
        )
    tell([_in_words_of_the_pair(document) for document in documents], as_json=as_json)


def _in_words_of_the_pair(document: dict[str, object]) -> dict[str, object]:
    return {**document, "offering_id": document["key"], "waldur_uuid": document["right_key"]}
