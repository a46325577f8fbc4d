"""``sync-pipelines plan``: look at plans, and let held ones through."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import Connection, Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.options import connection_option, pipeline_option, scope_of
from sync_pipelines.cli.pipelines import Configured
from sync_pipelines.cli.reconcile import reconcile_now, tell
from sync_pipelines.cli.runs import Options
from sync_pipelines.cli.session import choose_one, connections, open_store, operator
from sync_pipelines.core.errors import PlanRefused
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.store import plan_states, plans
from sync_pipelines.store.plans import StoredPlan

_WIDEST_VALUE = 80


@click.group()
def plan() -> None:
    """Look at plans, and let held ones through."""


@plan.command(name="list")
@pipeline_option
@connection_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(pipeline: str | None, wanted: str | None, limit: int, as_json: bool) -> None:
    """List the newest plans."""
    chosen, scope = scope_of(pipeline, wanted)
    pair = chosen[0] if len(chosen) == 1 else None
    with open_store() as engine, engine.connect() as connection:
        found = plans.list_plans(connection, pair=pair, scope=scope, limit=limit)
    if as_json:
        output.print_json([_plan_document(item) for item in found])
        return
    columns = ["plan", "connection", "state", "made", "create", "update", "link", "retire", "held because"]
    output.show(
        output.table(
            "Plans, newest first",
            columns,
            [
                (p.hash[:12], name, p.state, p.created_at, *_numbers(p), "; ".join(p.held_reasons) or None)
                for name, p in zip(output.names([(p.pair, p.scope) for p in found]), found, strict=True)
            ],
            numbers=columns[4:8],
        )
    )


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
    rows = [(change.action, change.key, _difference(change), _why(change)) for change in changes]
    output.show(output.table("Changes", ["action", "record", "before → after", "why"], rows))
    if found.changes > limit:
        output.show(f"... and {found.changes - limit} more; --limit shows more, --json everything")


def _difference(change: Change) -> str:
    before, after = change.before or {}, change.after or {}
    if not change.fields:
        return "linked, nothing is written" if change.action is Action.ADOPT else "-"
    if not before:
        return "\n".join(f"{name}: {_short(after.get(name))}" for name in change.fields)
    return "\n".join(line for name in change.fields for line in _moved(name, before.get(name), after.get(name)))


def _moved(name: str, before: object, after: object) -> Iterator[str]:
    """Yield what differs, within attributes and components only the parts that do."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        yield f"{name}: {_short(before)} → {_short(after)}"
        return
    for part in sorted(before.keys() | after.keys()):
        if before.get(part) != after.get(part):
            yield from _moved(f"{name}.{part}", before.get(part), after.get(part))


def _why(change: Change) -> str:
    marks = ["counted by the guard"] if change.destructive else []
    marks += [f"a person must do: {', '.join(change.blocked)}"] if change.blocked else []
    return f"{change.reason} ({'; '.join(marks)})" if marks else change.reason


def _short(value: object) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else output.json_line(value)
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST_VALUE else text[: _WIDEST_VALUE - 3] + "..."


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
