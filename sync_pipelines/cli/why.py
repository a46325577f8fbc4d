"""``sync-pipelines why``: why is a record in the state it is in?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Connection

from sync_pipelines.cli import output
from sync_pipelines.cli.options import connection_option
from sync_pipelines.cli.pipelines import PIPELINES, Configured
from sync_pipelines.cli.session import choose, connections, open_store, pairs
from sync_pipelines.cli.shops import shop_scopes
from sync_pipelines.core.errors import SyncError
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.store import audit, base, effects, findings, states
from sync_pipelines.store.lookup import records_called
from sync_pipelines.store.scopes import Scope, find_scope

SHOWN_ENTRIES = 10

Place = tuple[str, str]
"""Pair and scope under which the store keeps the records of a connection."""


@click.command()
@click.argument("record", metavar="RECORD")
@connection_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def why(record: str, wanted: str | None, as_json: bool) -> None:
    """Say where a record stands and why.

    RECORD is its key on either side: an offering's id or its Waldur UUID, a deployment's name or its instance id; of a
    shop also the SKU, the e-mail address or the order's number. A shop's record is told of for each of its systems.
    """
    in_shops = shop_scopes(wanted)
    # Words that a shop goes by name nothing else, and without shops the others say best what is missing.
    all_of_them = wanted is None and in_shops
    reconciled = pairs() if all_of_them else () if in_shops else choose(connections(), wanted)
    places = [*places_of(reconciled), *in_shops]
    documents = documents_of(places, record)
    if not documents:
        names = ", ".join(f"{pair}/{scope}" for pair, scope in places)
        raise SyncError(f"no record of {names} is called {record!r}; if it is new, reconcile first")
    tell(documents, as_json=as_json)


def places_of(chosen: Sequence[Configured]) -> list[Place]:
    """Return where the store keeps what it knows of the records of some connections."""
    return [(one.pipeline.name, one.name) for one in chosen]


def documents_of(places: Sequence[Place], record: str) -> list[dict[str, Any]]:
    """Return what is known of a record at each place that knows it."""
    with open_store() as engine, engine.connect() as connection:
        return [
            document
            for pair, name in places
            if (scope := find_scope(connection, pair, name))
            for key in records_called(connection, scope, record)
            if (document := _document(connection, scope, key))
        ]


def tell(documents: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print what is known of a record; as JSON one object, or a list where several connections know it."""
    if as_json:
        output.print_json(documents[0] if len(documents) == 1 else documents)
        return
    for document in documents:
        _show(document)


def _document(connection: Connection, scope: Scope, key: str) -> dict[str, Any] | None:
    state = states.find_state(connection, scope, key)
    link = base.find_link(connection, scope, key)
    related = {key, link.right_key, link.natural_key} if link else {key}
    found = [
        finding
        for finding in findings.standing(connection, scope.pair, scope=scope.name)
        if {finding.key, finding.natural_key} & related
    ]
    if state is None and link is None and not found:
        return None
    effect = effects.latest(connection, scope, key)
    letters = [letter for letter in states.letters(connection, scope.pair, scope=scope.name) if letter.key == key]
    entries = audit.latest(connection, scope.pair, key=key, limit=SHOWN_ENTRIES)
    return {
        "pipeline": scope.pair,
        "connection": scope.name,
        "key": key,
        "natural_key": link.natural_key if link else None,
        "right_key": link.right_key if link else None,
        "state": state.state.value if state else None,
        "why": state.reason if state else None,
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
    title, target = _named(document)
    about = {
        "connection": document["connection"],
        "state": document["state"],
        "why": document["why"],
        f"in {target}": document["right_key"] or "not linked",
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
    output.show(title, output.facts(shown))
    rows = [
        (e["timestamp"], e["action"], "done" if e["success"] else "failed", e.get("error") or e.get("last_error"))
        for e in document["audit"]
    ]
    if rows:
        output.show("", output.table("Latest audit entries", ["when", "action", "outcome", "error"], rows))


def _named(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return what to call a record, and the system that its state is about."""
    pair = document["pipeline"]
    if pair not in PIPELINES:
        # What both systems are merged into has a key that nobody knows it by.
        return f"{document['natural_key'] or document['key']} as {PAIRS[pair]} is to have it", PAIRS[pair]
    pipeline = PIPELINES[pair]
    return f"{pipeline.record.capitalize()} {document['key']}", pipeline.peers[1]


def _by(how: str | None, when: datetime | None) -> str | None:
    return None if how is None else f"by {how}, {output.moment(when)}"
