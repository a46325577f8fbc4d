"""``sync-pipelines offerings``: why is an offering in the state it is in?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Connection

from sync_pipelines.cli import output
from sync_pipelines.cli.session import PIPELINE, connections, open_store, provider_of
from sync_pipelines.core.errors import ConfigurationError, SyncError
from sync_pipelines.store import audit, base, effects, findings, states
from sync_pipelines.store.scopes import Scope, find_scope

SHOWN_ENTRIES = 10


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
    names = [connection.name for connection in connections() if connection.provider == provider]
    if not names:
        raise ConfigurationError(f"no enabled connection has the provider {provider}")
    with open_store() as engine, engine.connect() as connection:
        scopes = [scope for name in names if (scope := find_scope(connection, PIPELINE, name))]
        documents = [found for scope in scopes if (found := _document(connection, scope, offering_id))]
    if not documents:
        raise SyncError(
            f"{offering_id} was never seen on the chain by {', '.join(names)}; if it is new, run "
            f"'sync-pipelines reconcile offerings --provider {names[0]} --keys {offering_id}'"
        )
    if as_json:
        output.print_json(documents[0] if len(documents) == 1 else documents)
        return
    for document in documents:
        _show(document)


def _document(connection: Connection, scope: Scope, key: str) -> dict[str, Any] | None:
    state = states.find_state(connection, scope, key)
    link = base.find_link(connection, scope, key)
    related = {key, link.right_key if link else key}
    found = [
        finding
        for finding in findings.standing(connection, PIPELINE, scope=scope.name)
        if {finding.key, finding.natural_key} & related
    ]
    if state is None and link is None and not found:
        return None
    effect = effects.latest(connection, scope, key)
    letters = [letter for letter in states.letters(connection, PIPELINE, scope=scope.name) if letter.key == key]
    entries = audit.latest(connection, PIPELINE, key=key, limit=SHOWN_ENTRIES)
    return {
        "offering_id": key,
        "connection": scope.name,
        "state": state.state.value if state else None,
        "why": state.reason if state else None,
        "waldur_uuid": link.right_key if link else None,
        "linked_by": link.linked_by if link else None,
        "linked_at": link.linked_at if link else None,
        "agreed_at": link.agreed_at if link else None,
        "retired_at": link.retired_at if link else None,
        "synced_at": state.synced_at if state else None,
        "last_attempt_at": state.last_attempt_at if state else None,
        "next_retry_at": state.next_retry_at if state else None,
        "failures": state.failures if state else 0,
        "first_error": state.first_error if state else None,
        "last_error": state.last_error if state else None,
        "last_write": asdict(effect) if effect else None,
        "dead_letter": asdict(letters[0]) if letters else None,
        "findings": [asdict(finding) for finding in found],
        "audit": [dict(entry.entry) for entry in entries],
    }


def _show(document: Mapping[str, Any]) -> None:
    about = {
        "connection": document["connection"],
        "state": document["state"],
        "why": document["why"],
        "in Waldur": document["waldur_uuid"] or "not linked",
        "linked": _by(document["linked_by"], document["linked_at"]),
        "last agreed": document["agreed_at"],
        "retired": document["retired_at"],
        "last attempt": document["last_attempt_at"],
        "next retry": document["next_retry_at"],
        "failures in a row": document["failures"],
        "first error": document["first_error"],
        "last error": document["last_error"],
    }
    if letter := document["dead_letter"]:
        about["dead letter"] = (
            f"{letter['id']}, since {output.moment(letter['dead_lettered_at'])}; "
            f"try again with 'sync-pipelines dead-letter reprocess {letter['id']}'"
        )
    for finding in document["findings"]:
        about[finding["kind"]] = f"{finding['detail']} (since {output.moment(finding['first_seen'])})"
    always = ("state", "why", "last attempt", "next retry")
    shown = {name: value for name, value in about.items() if value or name in always}
    output.show(f"Offering {document['offering_id']}", output.facts(shown))
    rows = [
        (e["timestamp"], e["action"], "done" if e["success"] else "failed", e.get("error") or e.get("last_error"))
        for e in document["audit"]
    ]
    if rows:
        output.show("", output.table("Latest audit entries", ["when", "action", "outcome", "error"], rows))


def _by(how: str | None, when: datetime | None) -> str | None:
    return None if how is None else f"by {how}, {output.moment(when)}"
