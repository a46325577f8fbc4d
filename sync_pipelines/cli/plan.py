"""``sync-pipelines plan``: look at plans, and let held ones through."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import Connection, Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.differences import difference
from sync_pipelines.cli.options import connection_option, pair_option, scopes_of
from sync_pipelines.cli.pipelines import Configured
from sync_pipelines.cli.reconcile import reconcile_now, tell
from sync_pipelines.cli.runs import Options
from sync_pipelines.cli.session import choose_one, connections, open_store, operator
from sync_pipelines.cli.shops import entity_of
from sync_pipelines.core.errors import ConfigurationError, PlanRefused
from sync_pipelines.core.plan import Change
from sync_pipelines.pipelines.commerce.one_way import PAIRS
from sync_pipelines.store import plan_states, plans
from sync_pipelines.store.plans import StoredPlan


@click.group()
def plan() -> None:
    """Look at plans, and let held ones through."""


@plan.command(name="list")
@pair_option
@connection_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(pipeline: str | None, wanted: str | None, limit: int, as_json: bool) -> None:
    """List the newest plans."""
    chosen = scopes_of(pipeline, wanted)
    with open_store() as engine, engine.connect() as connection:
        listed = [one for x in chosen for one in plans.list_plans(connection, pair=x.pair, scope=x.scope, limit=limit)]
    found = sorted(listed, key=lambda one: one.id, reverse=True)[:limit]
    if as_json:
        output.print_json([_plan_document(item) for item in found])
        return
    columns = ["plan", "connection", "state", "made", "create", "update", "link", "retire"]
    rows = [
        (p.hash[:12], name, p.state, p.created_at, *_numbers(p))
        for name, p in zip(output.names([(p.pair, p.scope) for p in found]), found, strict=True)
    ]
    if any(p.held_reasons for p in found):
        # Its column would fold those of all others.
        columns.append("held because")
        rows = [(*row, "; ".join(p.held_reasons) or None) for row, p in zip(rows, found, strict=True)]
    output.show(output.table("Plans, newest first", columns, rows, numbers=columns[4:8]))


@plan.command()
@click.argument("hash_", metavar="HASH")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1), help="How many changes to show.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, every change in full.")
def show(hash_: str, limit: int, as_json: bool) -> None:
    """Show a plan: each change with what was, what will be, and why.

    HASH is the plan's hash or at least its first 6 digits.
    """
    with open_store() as engine, engine.connect() as connection:
        found = plans.find_plan(connection, hash_)
        if as_json:
            changes = [_change_document(change) for change in plans.changes(connection, found.id)]
            output.print_json(_plan_document(found) | {"changes": changes})
        else:
            _show(connection, found, limit)


@plan.command()
@click.argument("hash_", metavar="HASH")
@click.option("--yes", is_flag=True, help="Do not ask; needed when there is no terminal.")
@click.option("--no-apply", is_flag=True, help="Only approve: the next run that makes the same plan applies it.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def approve(hash_: str, yes: bool, no_apply: bool, as_json: bool) -> None:
    """Let one held plan through, once, and apply it.

    Shows first what the plan would do and why it is held. Records that moved since are left alone and planned anew.
    """
    with open_store() as engine:
        with engine.connect() as connection:
            found = plans.find_plan(connection, hash_)
            if found.state not in ("held", "approved"):
                # The store words why not; nothing is changed by asking.
                plan_states.approve(connection, found, operator())
            if not as_json:
                _show(connection, found, limit=50)
        if found.pair in PAIRS:
            _approve_of_shop(found, yes=yes, no_apply=no_apply, as_json=as_json)
            return
        configured = choose_one(connections(), f"{found.pair}/{found.scope}")
        _confirm(found, yes=yes)
        if no_apply:
            _approve_only(engine, found, configured)
            output.note(f"plan {found.hash[:12]} is approved; the next reconcile of {configured.full_name} applies it")
            if as_json:
                output.print_json({"plan": found.hash, "state": "approved"})
            return
        rows = reconcile_now(engine, [(configured, Options(approve=found.hash))])
    tell(rows, as_json=as_json)


def _approve_of_shop(found: StoredPlan, *, yes: bool, no_apply: bool, as_json: bool) -> None:
    """Let a plan of a shop through. The sync that does it plans the other system anew, as every sync does."""
    shop, entity = entity_of(found.scope)
    if no_apply:
        raise ConfigurationError(
            "--no-apply is for plans of one direction: the sync of a shop approves and applies at once"
        )
    _confirm(found, yes=yes)
    from sync_pipelines.cli.commerce_runs import synchronize_shop, tell_runs

    tell_runs([synchronize_shop(shop, [entity], approve=[found.hash])], as_json=as_json)


def _confirm(found: StoredPlan, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise PlanRefused(f"plan {found.hash[:12]} was not approved: there is no terminal to ask on; give --yes")
    if not click.confirm(f"Let plan {found.hash[:12]} through, once?", err=True):
        raise PlanRefused(f"plan {found.hash[:12]} was not approved and stays {found.state}")


def _approve_only(engine: Engine, found: StoredPlan, configured: Configured) -> None:
    from sync_pipelines.engine.context import working_on
    from sync_pipelines.engine.reconcile import approve as approve_plan
    from sync_pipelines.engine.stopping import run_until_stopped

    async def work() -> None:
        run_id, log = f"cli-{uuid.uuid4()}", logging.getLogger(__name__)
        async with (
            configured.pipeline.open(configured.connection, engine) as opened,
            working_on(engine, opened.pair, run_id, log) as run,
        ):
            approve_plan(run, found.hash, operator())

    run_until_stopped(work())


def _show(connection: Connection, found: StoredPlan, limit: int) -> None:
    whole = "all records" if found.keys is None else f"{len(found.keys)} records: {', '.join(found.keys)}"
    about: dict[str, Any] = {
        "connection": f"{found.pair}/{found.scope}",
        "state": found.state,
        "made": f"{output.moment(found.created_at)} by run {found.run_id}",
        "of": whole,
        "to do": _counted(found),
        "left alone": _left_alone(found),
    }
    if found.held_reasons:
        about["held because"] = "; ".join(found.held_reasons)
    if found.approved_by:
        about["approved"] = f"{output.moment(found.approved_at)} by {found.approved_by}"
    if found.applied_at:
        about["applied"] = output.moment(found.applied_at)
    output.show(f"Plan {found.hash}", output.facts(about), "")
    if not found.changes:
        output.show("Nothing to change.")
        return
    changes = plans.changes(connection, found.id, limit=limit)
    # The merged records of a shop have keys that mean nothing to people.
    rows = [
        (one.action, one.natural_key if found.pair in PAIRS else one.key, difference(one), _why(one)) for one in changes
    ]
    output.show(output.table("Changes", ["action", "record", "before → after", "why"], rows))
    if found.changes > limit:
        output.show(f"... and {found.changes - limit} more; --limit shows more, --json everything")


def _why(change: Change) -> str:
    marks = ["counted by the guard"] if change.destructive else []
    marks += [f"a person must do: {', '.join(change.blocked)}"] if change.blocked else []
    return f"{change.reason} ({'; '.join(marks)})" if marks else change.reason


def _numbers(found: StoredPlan) -> Iterable[int]:
    return [int(found.counts.get(name, 0)) for name in ("create", "update", "adopt", "retire")]


def _counted(found: StoredPlan) -> str:
    create, update, link, retire = _numbers(found)
    return f"{create} to create, {update} to update, {link} to link, {retire} to retire"


def _left_alone(found: StoredPlan) -> str:
    names = ("orphans", "conflicts", "withheld", "invalid", "waiting", "dead_lettered", "blocked")
    counted = [f"{found.counts[name]} {name.replace('_', ' ')}" for name in names if found.counts.get(name)]
    return ", ".join(counted) or "nothing"


def _plan_document(found: StoredPlan) -> dict[str, Any]:
    document = asdict(found)
    document["connection"] = document.pop("scope")
    document["pipeline"] = document.pop("pair")
    del document["id"]
    return document


def _change_document(change: Change) -> dict[str, Any]:
    return asdict(change) | {"action": change.action.value}
