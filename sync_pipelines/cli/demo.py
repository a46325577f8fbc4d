"""``sync-pipelines demo``: the whole thing, running on stand-ins of the chain and of Waldur."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import click
from click.core import ParameterSource
from rich.console import Console
from sqlalchemy import Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.children import Children
from sync_pipelines.cli.dagster_ui import ENDED, DagsterUi
from sync_pipelines.cli.demo_home import DemoHome, demo_home, environment
from sync_pipelines.cli.reconcile import print_rows, reconcile_now, tell
from sync_pipelines.cli.runs import JOB, Options
from sync_pipelines.cli.session import PIPELINE, connections, dagster_instance, open_store, operator, project_folder
from sync_pipelines.cli.summary import Summary, summarise
from sync_pipelines.core.errors import SyncError
from sync_pipelines.sandbox.demo import CHAIN_PORT, WALDUR_PORT, DemoUrls
from sync_pipelines.store import embedded, findings

UI_PORT = 3000
_UI_SECONDS = 180.0
_RUN_SECONDS = 300.0
_LOOK_SECONDS = 0.3
_SCOPE_TAG = "sync/scope"


@click.command()
@click.option("--once", is_flag=True, help="One pass without the UI, then stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("--port", default=UI_PORT, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@click.option("--fresh", is_flag=True, help="Start over: forget what earlier demos left.")
@click.pass_context
def demo(ctx: click.Context, once: bool, as_json: bool, port: int, fresh: bool) -> None:
    """Show the whole thing on stand-ins of the chain and of Waldur.

    Starts a PostgreSQL, the stand-ins, the Dagster UI and its daemon, reconciles three providers' offerings, and goes
    on until Ctrl-C, which stops all of it. What happened is kept for the next demo. Settings of the environment that
    lead to real connections or data are left aside.
    """
    console = output.progress_console()
    ui_port = None if once else _free_port(port, may_differ=ctx.get_parameter_source("port") is ParameterSource.DEFAULT)
    with demo_home(project_folder()) as home, environment(home.variables), ExitStack() as stack:
        if fresh:
            home.forget()
        children = Children(home.logs, home.project, home.lock)
        stack.callback(children.release_keeper)
        children.open()
        stack.enter_context(_postgres(home, children, console))
        stack.callback(children.end)
        urls = _stand_ins(home, children, console)
        home.write_connections(urls)
        engine = stack.enter_context(open_store())
        with _step(console, "Dagster's tables"), dagster_instance():
            pass  # made when an instance is opened; webserver and daemon would both try at once
        if ui_port is None:
            rows = reconcile_now(engine, [(c.name, Options()) for c in connections()])
            if not as_json:
                _print_waiting(engine)
            tell(rows, as_json=as_json)
            return
        ui = stack.enter_context(_dagster(ui_port, children, console))
        rows = _reconcile(engine, ui, children, console)
        if not as_json:
            _print_waiting(engine)
        print_rows(rows, as_json=as_json)
        _print_next_steps(home, urls, ui)
        _wait(children, console)
        if not all(row.done for row in rows):
            ctx.exit(1)


@contextmanager
def _step(console: Console, name: str) -> Iterator[Callable[[str], None]]:
    """Show that something is going on, and afterwards how long it took."""
    started = time.monotonic()
    with console.status(name) as status:
        yield lambda more: status.update(f"{name}: {more}")
    console.print(f"  {name}: {time.monotonic() - started:.1f} s")


@contextmanager
def _postgres(home: DemoHome, children: Children, console: Console) -> Iterator[None]:
    if embedded.status(home.postgres) is not None:
        yield
        return
    children.also_stop_postgres(home.postgres)
    try:
        with _step(console, "PostgreSQL"):
            embedded.ensure_running(home.postgres)
        yield
    finally:
        embedded.stop(home.postgres)


def _stand_ins(home: DemoHome, children: Children, console: Console) -> DemoUrls:
    with _step(console, "Stand-ins of the chain and of Waldur"):
        child = children.start("stand-ins", ["sync_pipelines.sandbox", "--folder", str(home.stand_ins)], pipe=True)
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            child.wait()
            children.check()
        urls = DemoUrls(**json.loads(line))
    for what, url, port in (("Waldur", urls.waldur, WALDUR_PORT), ("the chain", urls.chain, CHAIN_PORT)):
        if not url.endswith(f":{port}"):
            output.note(f"port {port} is taken: the stand-in of {what} is at {url}")
    return urls


@contextmanager
def _dagster(port: int, children: Children, console: Console) -> Iterator[DagsterUi]:
    ui = DagsterUi(f"http://127.0.0.1:{port}")
    try:
        with _step(console, "Dagster UI and daemon"):
            web = ["dagster_webserver", "--host", "127.0.0.1", "--port", str(port), "--workspace", "workspace.yaml"]
            children.start("dagster-webserver", web)
            children.start("dagster-daemon", ["dagster._daemon", "run", "--workspace", "workspace.yaml"])
            _until(ui.answers, children, "the Dagster UI does not come up")
            _until(ui.loaded, children, "Dagster does not load the definitions")
        yield ui
    finally:
        ui.close()


def _until(condition: Callable[[], bool], children: Children, otherwise: str) -> None:
    deadline = time.monotonic() + _UI_SECONDS
    while not condition():
        children.check()
        if time.monotonic() > deadline:
            raise SyncError(f"{otherwise} within {_UI_SECONDS:.0f} s; the logs are in the folder of the demo")
        time.sleep(_LOOK_SECONDS)


def _reconcile(engine: Engine, ui: DagsterUi, children: Children, console: Console) -> list[Summary]:
    """Reconcile all connections as runs that go the usual way: queue, daemon, a process each."""
    names = [connection.name for connection in connections()]
    with _step(console, "First reconcile") as say:
        ids = {ui.launch(JOB, name, {_SCOPE_TAG: f"{PIPELINE}/{name}", "user": operator()}): name for name in names}
        deadline = time.monotonic() + _RUN_SECONDS
        while True:
            runs = ui.runs(list(ids))
            say(", ".join(f"{name} {runs[run_id].status.lower()}" for run_id, name in ids.items() if run_id in runs))
            if all(run.status in ENDED for run in runs.values()):
                break
            children.check()
            if time.monotonic() > deadline:
                raise SyncError(f"the first reconcile does not end; look at {ui.url}/runs")
            time.sleep(_LOOK_SECONDS)
    rows = []
    with engine.connect() as connection:
        for run_id, name in ids.items():
            success = runs[run_id].status == "SUCCESS"
            reason = None if success else ui.reason(run_id)
            seconds = runs[run_id].seconds
            rows.append(summarise(connection, name, run_id=run_id, success=success, reason=reason, seconds=seconds))
    return rows


def _print_waiting(engine: Engine) -> None:
    """Print what no machine may settle."""
    with engine.connect() as connection:
        standing = findings.standing(connection, PIPELINE)
    if standing:
        rows = [(f.scope, f.kind, f.natural_key, f.detail) for f in standing]
        output.show(output.table("Waiting for a person", ["connection", "what", "record", "found"], rows))


def _print_next_steps(home: DemoHome, urls: DemoUrls, ui: DagsterUi) -> None:
    offering = f"{connections()[0].provider}/1"
    update = json.dumps({"id": offering, "changes": {"name": "Renamed on the chain"}})
    output.note(
        f"\nThe Dagster UI: {ui.url}\n\n"
        "Change an offering on the chain, and see it arrive in Waldur within seconds:\n"
        f"  curl -X POST {urls.chain}/_sandbox/chain/update -d '{update}'\n\n"
        "In another terminal, look at it from there:\n"
        f"  . {home.shell_file}\n"
        f"  sync-pipelines offerings status {offering}\n"
        "  sync-pipelines plan list\n"
        "  sync-pipelines audit verify\n\n"
        "Ctrl-C stops everything."
    )


def _wait(children: Children, console: Console) -> None:
    """Wait until the operator has seen enough."""
    try:
        while True:
            time.sleep(1)
            children.check()
    except KeyboardInterrupt:
        console.print("stopping")


def _free_port(wanted: int, *, may_differ: bool) -> int:
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
            output.note(f"port {wanted} is taken: the Dagster UI is on port {found}")
        return found
    raise SyncError("there is no free port for the Dagster UI")
