"""``sync-pipelines ledger``: bring replicas up to date, see how far they are, and prove them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from sync_pipelines.cli import output
from sync_pipelines.cli.ledgers import chosen_ledgers, one_ledger
from sync_pipelines.cli.session import open_store
from sync_pipelines.core.errors import ConfigurationError, SyncError

if TYPE_CHECKING:
    from sync_pipelines.cli.ledger_runs import Replicated
    from sync_pipelines.pipelines.ledger.verify import Verification

SHOWN_FINDINGS = 20

_connection = click.option(
    "--connection", "wanted", metavar="NAME", help="Only this ledger: its connection's name, or its canister's id."
)
_verbose = click.option("--verbose", is_flag=True, help="Print the runs' log to stderr.")


@click.group()
def ledger() -> None:
    """Replicate ledgers of the Internet Computer into tables, and prove them."""


@ledger.command()
@_connection
@click.option("--json", "as_json", is_flag=True, help="Print JSON; of several ledgers a list.")
def status(wanted: str | None, as_json: bool) -> None:
    """Tell how far each table is, and what went wrong."""
    from sync_pipelines.pipelines.ledger.status import status_reply

    chosen = chosen_ledgers(wanted)
    with open_store() as engine:
        replies = {one.name: status_reply(engine, one.name) for one in chosen}
    if as_json:
        _print(replies)
        return
    columns = ["ledger", "table", "block", "at", "records", "errors", "last error"]
    rows = [
        (
            name,
            row["tableName"],
            row["lastSyncedBlockOffset"],
            row["lastSyncedAt"],
            row["totalRecordsSynced"],
            row["syncErrors"],
            row["lastError"],
        )
        for name, reply in replies.items()
        for row in reply["data"]["statuses"]
    ]
    output.show(output.table("Ledgers", columns, rows, numbers=["block", "records", "errors"]))
    for name, reply in replies.items():
        if not reply["data"]["statuses"]:
            output.note(f"{name}: nothing was imported yet; run 'sync-pipelines ledger import'")


@ledger.command(name="import")
@click.argument("label", required=False)
@_connection
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Entries stored in one transaction, at least; default is the connection's.",
)
@_verbose
@click.option("--json", "as_json", is_flag=True, help="Print JSON; of several ledgers a list.")
def import_(label: str | None, wanted: str | None, batch_size: int | None, verbose: bool, as_json: bool) -> None:
    """Import new blocks, and derive the tables from them.

    LABEL (ProvRegister, ProvOffering, ...) restricts what is derived and counted. What is read are whole blocks: only
    they can be proved.

    Each ledger is a run of its import job, and one that derives its days, carried out here and seen in the Dagster UI.
    Ends with 1 when a ledger could not be imported up to its end.
    """
    from sync_pipelines.cli.ledger_runs import replicate
    from sync_pipelines.pipelines.ledger.status import labels_named

    if label is not None:
        labels_named(label)
    chosen = chosen_ledgers(wanted)
    with open_store() as engine:
        done = replicate(engine, chosen, label=label, batch_size=batch_size, verbose=verbose)
    tell(done, as_json=as_json)


@ledger.command()
@_connection
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(wanted: str | None, as_json: bool) -> None:
    """Prove offline that what is stored fits.

    The chain of hashes is computed anew from the entries, the balances from the transfers, and every entry of a known
    label must have its row or its error. As long as days wait to be derived, only the chain is proved.

    Ends with 1 when something does not fit, and says where.
    """
    from sync_pipelines.pipelines.ledger.verify import verify_ledger

    chosen = chosen_ledgers(wanted)
    with open_store() as engine, output.progress_console().status("verifying") as shown:
        found: dict[str, Verification] = {}
        for one in chosen:
            shown.update(f"verifying {one.name}")
            found[one.name] = verify_ledger(engine, one.name)
    if as_json:
        output.print_json([_verification(name, one) for name, one in found.items()])
    else:
        columns = ["ledger", "blocks", "entries", "transfers", "seconds", "finding"]
        rows = [
            (name, one.blocks, one.entries, one.transfers, one.seconds, "sound" if one.sound else _counts(one))
            for name, one in found.items()
        ]
        output.show(output.table("Verified", columns, rows, numbers=columns[1:5]))
        for name, verified in found.items():
            _print_findings(name, verified)
    if not all(one.sound for one in found.values()):
        click.get_current_context().exit(1)


@ledger.command()
@_connection
@click.option("--dry-run", is_flag=True, help="Only say what would be replaced.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_verbose
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def resync(wanted: str | None, dry_run: bool, yes: bool, verbose: bool, as_json: bool) -> None:
    """Replace what a rewritten ledger does not have.

    For a canister that was installed anew, or whose ledger was rewritten on purpose. It goes on from the last common
    block. What follows that block is taken out of the tables and kept apart (sync.ledger_superseded_blocks and
    sync.ledger_superseded_entries). Where nothing has diverged, it is an import.
    """
    from sync_pipelines.cli.ledger_runs import replicate, what_differs

    one = one_ledger(wanted)
    with open_store() as engine:
        plan = what_differs(one, engine)
        if dry_run:
            if as_json:
                output.print_json(plan)
            else:
                output.show(str(plan))
            return
        if plan.superseded_blocks and not yes:
            _ask(f"{plan} Go on?")
        done = replicate(engine, [one], resync=True, verbose=verbose)
    tell(done, as_json=as_json)


def tell(done: list[Replicated], *, as_json: bool) -> None:
    """Print what came of imports; end with 1 unless each came to the end of its ledger."""
    if as_json:
        _print({one.name: one.reply for one in done})
    else:
        output.show(replicated_table(done))
    for one in done:
        if one.problem:
            output.note(f"{one.name}: {one.problem}")
    if any(one.problem for one in done):
        click.get_current_context().exit(1)


def replicated_table(done: Sequence[Replicated]) -> Table:
    """Return what came of imports as a table."""
    columns = ["ledger", "blocks", "entries", "total entries", "position", "tip", "users", "profiles", "offerings", "s"]
    rows = [
        (
            one.name,
            one.blocks,
            one.entries,
            one.total_entries,
            one.position,
            one.tip_position,
            one.created.get("dc_users", 0),
            one.created.get("provider_profiles", 0),
            one.created.get("provider_offerings", 0),
            one.seconds,
        )
        for one in done
    ]
    return output.table("Imported", columns, rows, numbers=columns[1:])


def _print(replies: Mapping[str, Mapping[str, Any]]) -> None:
    if len(replies) == 1:
        output.print_json(next(iter(replies.values())))
        return
    output.print_json([{"connection": name, **reply} for name, reply in replies.items()])


def _verification(name: str, one: Verification) -> dict[str, Any]:
    return {
        "connection": name,
        "sound": one.sound,
        "blocks": one.blocks,
        "entries": one.entries,
        "transfers": one.transfers,
        "seconds": round(one.seconds, 3),
        "counts": dict(one.counts),
        "findings": [asdict(finding) for finding in one.findings],
        "labels": dict(one.labels),
        "unknown_labels": one.unknown_labels,
        "underived_days": one.underived,
    }


def _print_findings(name: str, one: Verification) -> None:
    for finding in one.findings[:SHOWN_FINDINGS]:
        output.note(f"{name}: {finding.kind} at {finding.place}: {finding.message}")
    if one.underived:
        days = f"{len(one.underived)} days" if len(one.underived) > 1 else "one day"
        output.note(f"{name}: {days} not derived yet; until then only the chain is proved, no balances and no counts")
    if one.unknown_labels:
        told = ", ".join(f"{number} {label}" for label, number in one.unknown_labels.items())
        output.note(f"{name}: labels that are not known, kept raw: {told}")


def _counts(one: Verification) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in one.counts.items())


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} There is no terminal to ask on; give --yes")
    if not click.confirm(question, err=True):
        raise SyncError("nothing was changed")
