"""``sync-pipelines tokens``: who may call the REST service."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from sync_pipelines.cli import output
from sync_pipelines.cli.session import open_store, operator
from sync_pipelines.core.access import DEFAULT_ORGANIZATION, Scope
from sync_pipelines.store import access_tokens
from sync_pipelines.store.access_tokens import AccessToken

ALL = "*"
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def tokens() -> None:
    """Make, list and revoke access tokens of the REST service."""


@tokens.command()
@click.argument("name")
@click.option(
    "--organization",
    default=DEFAULT_ORGANIZATION,
    show_default=True,
    metavar="NAME",
    help="Whose connections it is for; '*' for those of all.",
)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    help="What it allows; may be given several times. read by default. operate and approve include read; admin "
    "includes all.",
)
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How long it works.")
@click.option("--no-expiry", is_flag=True, help="It works until it is revoked.")
@_json
def create(name: str, organization: str, scopes: tuple[str, ...], days: int, no_expiry: bool, as_json: bool) -> None:
    """Make a token and print it, once: only its hash is kept.

    NAME stands in the audit log beside everything that is done with it.
    """
    if not name.strip() or not name.isprintable() or not organization.strip() or not organization.isprintable():
        raise click.UsageError("the name and the organization are printable and not empty")
    expires_at = None if no_expiry else datetime.now(UTC) + timedelta(days=days)
    with open_store() as engine, engine.begin() as connection:
        made, token = access_tokens.create(
            connection,
            name,
            None if organization == ALL else organization,
            [Scope(scope) for scope in scopes] or [Scope.READ],
            expires_at=expires_at,
            by=operator(),
        )
    if as_json:
        output.print_json(_document(made) | {"token": token})
        return
    click.echo(token)
    until = "until it is revoked" if made.expires_at is None else f"until {output.moment(made.expires_at)}"
    output.note(f"{name} may {', '.join(made.scopes)} for {_whose(made)}, {until}; the token is not shown again")


@tokens.command(name="list")
@click.option("--organization", metavar="NAME", help="Only tokens of this organization.")
@_json
def list_(organization: str | None, as_json: bool) -> None:
    """List tokens: what each allows, until when, and when it was used last."""
    with open_store() as engine, engine.connect() as connection:
        found = access_tokens.listed(connection, organization=organization)
    if as_json:
        output.print_json([_document(one) for one in found])
        return
    columns = ["name", "label", "organization", "scopes", "state", "expires", "last used"]
    rows = [
        (one.name, one.label, _whose(one), ", ".join(one.scopes), _state(one), one.expires_at, one.last_used_at)
        for one in found
    ]
    output.show(output.table("Access tokens", columns, rows))


@tokens.command()
@click.argument("name")
@_json
def revoke(name: str, as_json: bool) -> None:
    """Let a token work no more, from the next request on.

    NAME is its name or its label (spt_ and eight digits).
    """
    with open_store() as engine, engine.begin() as connection:
        revoked = access_tokens.revoke(connection, name, by=operator())
    if as_json:
        output.print_json(_document(revoked))
    else:
        output.note(f"{revoked.name} ({revoked.label}) is revoked")


def _document(one: AccessToken) -> dict[str, Any]:
    document = asdict(one) | {"state": _state(one)}
    del document["id"], document["is_good"]
    return document


def _state(one: AccessToken) -> str:
    return "revoked" if one.revoked_at is not None else "good" if one.is_good else "expired"


def _whose(one: AccessToken) -> str:
    return "all organizations" if one.organization is None else one.organization
