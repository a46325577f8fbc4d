"""``sync-pipelines demo``: the whole thing, running on stand-ins of the external systems and on a real OpenBao."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import click
from click.core import ParameterSource
from rich.console import Console
from sqlalchemy import Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.children import Children
from sync_pipelines.cli.conflict_tables import conflict_tables
from sync_pipelines.cli.demo_discrepancies import discrepancies
from sync_pipelines.cli.demo_home import DemoHome, demo_home, environment
from sync_pipelines.cli.demo_ledgers import standings, until_replicated
from sync_pipelines.cli.demo_marketplaces import (
    AccountOutcome,
    accounts_outcome,
    accounts_table,
    launched_pull,
    pulled_twice,
)
from sync_pipelines.cli.demo_peers import print_next_steps, started_peers, step
from sync_pipelines.cli.demo_service import PORT as SERVICE_PORT
from sync_pipelines.cli.demo_service import is_ready
from sync_pipelines.cli.demo_shops import (
    ShopsOutcome,
    discrepancies_table,
    entities_table,
    launched,
    shops_outcome,
    synchronized,
)
from sync_pipelines.cli.ledger import replicated_table
from sync_pipelines.cli.ledger_runs import Replicated, replicate
from sync_pipelines.cli.ledgers import chosen_ledgers
from sync_pipelines.cli.reconcile import advise, reconcile_now
from sync_pipelines.cli.runs import Options
from sync_pipelines.cli.session import connections, dagster_instance, open_store, operator, project_folder
from sync_pipelines.cli.summary import Summary, summarise, summary_table
from sync_pipelines.core.errors import SyncError
from sync_pipelines.orchestration.dagster_ui import ENDED, DagsterUi
from sync_pipelines.store import embedded, findings
from sync_pipelines.store.lookup import remarks
from sync_pipelines.store.scopes import find_scope

UI_PORT = 3000
_UI_SECONDS = 180.0
_RUN_SECONDS = 600.0
_LOOK_SECONDS = 0.3
_SCOPE_TAG = "sync/scope"
MOST_CONFLICTS = 20
"""Rows of each table of conflicts; the command that lists them shows all."""


@click.command()
@click.option("--once", is_flag=True, help="One pass without the UI, then stop.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.option("--port", default=UI_PORT, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@click.option("--fresh", is_flag=True, help="Start over: forget what earlier demos left.")
@click.pass_context
def demo(ctx: click.Context, once: bool, as_json: bool, port: int, fresh: bool) -> None:
    """Show the whole thing on stand-ins of the external systems.

    Starts a PostgreSQL, the stand-ins of a chain, of Waldur, of two BOSH Directors, of an Internet Computer replica, of
    a WooCommerce shop and of Odoo, of Takealot, of Shopify and of an Amazon that is flaky, a real OpenBao, the Dagster
    UI and its daemon, and the REST service. Reconciles three providers' offerings and both Directors' deployments,
    synchronizes the shop with Odoo, pulls the marketplaces, replicates a ledger that goes on growing, and goes on until
    Ctrl-C, which stops all of it. What happened is kept for the next demo. Settings of the environment that lead to
    real connections or data are left aside.
    """
    console = output.progress_console()
    may_differ = ctx.get_parameter_source("port") is ParameterSource.DEFAULT
    ui_port = None if once else _free_port(port, "the Dagster UI", may_differ=may_differ)
    with demo_home(project_folder()) as home, environment(home.variables), ExitStack() as stack:
        if fresh:
            home.forget()
        children = Children(home.logs, home.project, home.lock)
        stack.callback(children.release_keeper)
        children.open()
        stack.enter_context(_postgres(home, children, console))
        stack.callback(children.end)
        peers = started_peers(home, children, console, once=once)
        home.write_connections(peers.connections)
        engine = stack.enter_context(open_store())
        with step(console, "Dagster's tables"), dagster_instance():
            pass  # made when an instance is opened; webserver and daemon would both try at once
        started = datetime.now(UTC)
        if ui_port is None:
            rows = reconcile_now(engine, [(one, Options()) for one in connections()])
            outcome = shops_outcome(engine, started, synchronized())
            replicated = replicate(engine, chosen_ledgers(None))
            problems = pulled_twice(peers.marketplaces)
            markets = accounts_outcome(engine, started)
            if not print_outcome(engine, rows, replicated, outcome, markets, as_json=as_json) or problems:
                for problem in problems:
                    output.note(problem)
                ctx.exit(1)
            return
        # Dagster may reconcile and import by itself as soon as it is up: that is part of what is told.
        before = standings(engine)
        ui = stack.enter_context(_dagster(ui_port, children, console))
        service = _service(ui, children, console)
        rows, problems = _reconcile(engine, ui, children, console, started)
        outcome = shops_outcome(engine, started, problems)
        replicated = until_replicated(engine, before, console, children.check)
        markets = accounts_outcome(engine, started)
        is_done = print_outcome(engine, rows, replicated, outcome, markets, as_json=as_json)
        print_next_steps(home, peers, ui, service)
        _wait(children, console)
        if not is_done:
            ctx.exit(1)


@contextmanager
def _postgres(home: DemoHome, children: Children, console: Console) -> Iterator[None]:
    if embedded.status(home.postgres) is not None:
        yield
        return
    children.also_stop_postgres(home.postgres)
    try:
        with step(console, "PostgreSQL"):
            embedded.ensure_running(home.postgres)
        yield
    finally:
        embedded.stop(home.postgres)


@contextmanager
def _dagster(port: int, children: Children, console: Console) -> Iterator[DagsterUi]:
    ui = DagsterUi(f"http://127.0.0.1:{port}")
    try:
        with step(console, "Dagster UI and daemon"):
            web = ["dagster_webserver", "--host", "127.0.0.1", "--port", str(port), "--workspace", "workspace.yaml"]
            children.start("dagster-webserver", web)
            children.start("dagster-daemon", ["dagster._daemon", "run", "--workspace", "workspace.yaml"])
            _until(ui.answers, children, "the Dagster UI does not come up")
            _until(ui.loaded, children, "Dagster does not load the definitions")
        yield ui
    finally:
        ui.close()


def _service(ui: DagsterUi, children: Children, console: Console) -> str:
    """Start the REST service and return its address."""
    port = _free_port(SERVICE_PORT, "the REST service", may_differ=True)
    url = f"http://127.0.0.1:{port}"
    os.environ["SYNC_DAGSTER_URL"] = ui.url
    with step(console, "REST service"):
        children.start("service", ["sync_pipelines.cli", "serve", "--port", str(port)])
        _until(lambda: is_ready(url), children, "the REST service does not come up")
    return url


def _until(condition: Callable[[], bool], children: Children, otherwise: str) -> None:
    deadline = time.monotonic() + _UI_SECONDS
    while not condition():
        children.check()
        if time.monotonic() > deadline:
            raise SyncError(f"{otherwise} within {_UI_SECONDS:.0f} s; the logs are in the folder of the demo")
        time.sleep(_LOOK_SECONDS)


def _reconcile(
    engine: Engine, ui: DagsterUi, children: Children, console: Console, started: datetime
) -> tuple[list[Summary], list[str]]:
    """Reconcile all connections as runs that go the usual way: queue, daemon, a process each.

    Returns what came of them, and what kept shops from being synchronized and marketplaces from being pulled.

    Arguments:
        started: changes of earlier plans are not counted.
    """
    with step(console, "First reconcile") as say:
        ids = {
            ui.launch(one.pipeline.job, one.name, {_SCOPE_TAG: one.full_name, "user": operator()}): one
            for one in connections()
        }
        shops = launched(ui) | launched_pull(ui)
        names = {run_id: one.name for run_id, one in ids.items()} | shops
        deadline = time.monotonic() + _RUN_SECONDS
        while True:
            runs = ui.runs(list(names))
            say(", ".join(f"{name} {runs[run_id].status.lower()}" for run_id, name in names.items() if run_id in runs))
            if all(run.status in ENDED for run in runs.values()):
                break
            children.check()
            if time.monotonic() > deadline:
                raise SyncError(f"the first reconcile does not end; look at {ui.url}/runs")
            time.sleep(_LOOK_SECONDS)
    rows = []
    with engine.connect() as connection:
        for run_id, one in ids.items():
            success = runs[run_id].status == "SUCCESS"
            rows.append(
                summarise(
                    connection,
                    one.pipeline.name,
                    one.name,
                    run_id=run_id,
                    success=success,
                    reason=None if success else ui.reason(run_id),
                    seconds=runs[run_id].seconds,
                    since=started,
                )
            )
    return rows, [f"{name}: {ui.reason(run)}" for run, name in shops.items() if runs[run].status != "SUCCESS"]


def print_outcome(
    engine: Engine,
    rows: Sequence[Summary],
    replicated: Sequence[Replicated],
    shops: ShopsOutcome,
    markets: Sequence[AccountOutcome],
    *,
    as_json: bool,
) -> bool:
    """Print what came of the first reconcile, of the first sync, of the first import and of the first pulls.

    Says whether all that was planned was done, every ledger imported to its end, and all mistakes found.
    """
    with engine.connect() as connection:
        documented = discrepancies(connection)
    if as_json:
        told = {"connections": list(rows), "ledgers": list(replicated), "discrepancies": documented, "shops": shops}
        output.print_json({**told, "marketplaces": list(markets)})
    else:
        _print_waiting(engine)
        if documented:
            columns = ["number", "in Vault on purpose", "record", "found as"]
            cells = [(d.number, d.kind, "\n".join(d.instances), d.found or "NOT FOUND") for d in documented]
            output.show(output.table("Documented discrepancies", columns, cells, numbers=["number"]))
        output.show(summary_table("Reconciled", rows))
        if replicated:
            output.show(replicated_table(replicated))
        output.show(
            discrepancies_table(shops), *conflict_tables(shops.conflicts, MOST_CONFLICTS), entities_table(shops)
        )
        output.show(accounts_table(markets))
    advise(rows)
    for one in replicated:
        if one.problem:
            output.note(f"{one.name}: {one.problem}")
    for problem in shops.problems:
        output.note(problem)
    missing = [*(str(one.number) for one in documented if not one.found), *shops.missing]
    if missing:
        output.note(f"documented discrepancies that were not found: {', '.join(missing)}")
    is_done = not any(one.problem for one in replicated) and not shops.problems
    return is_done and all(row.done for row in rows) and not missing


def _print_waiting(engine: Engine) -> None:
    """Print what no machine may settle."""
    with engine.connect() as connection:
        rows = [
            (one.full_name, *what)
            for one in connections()
            if (scope := find_scope(connection, one.pipeline.name, one.name))
            for what in [
                *(
                    (f.kind, f.natural_key, f.detail)
                    for f in findings.standing(connection, scope.pair, scope=scope.name)
                ),
                *(("withheld", r.key, r.reason) for r in remarks(connection, scope) if r.side == "left"),
            ]
        ]
    if rows:
        output.show(output.table("Waiting for a person", ["connection", "what", "record", "found"], rows))


def _wait(children: Children, console: Console) -> None:
    """Wait until the operator has seen enough."""
    try:
        while True:
            time.sleep(1)
            children.check()
    except KeyboardInterrupt:
        console.print("stopping")


def _free_port(wanted: int, what: str, *, may_differ: bool) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                if not may_differ:
                    raise SyncError(f"port {wanted} is taken; give another one with --port") from None
                continue
            found: int = probe.getsockname()[1]
        if found != wanted:
            output.note(f"port {wanted} is taken: {what} is on port {found}")
        return found
    raise SyncError(f"there is no free port for {what}")
