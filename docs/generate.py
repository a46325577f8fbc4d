"""Writes the generated parts of the documentation; ``--check`` only says which are out of date.

Run as ``.venv/bin/python docs/generate.py`` (``make docs``).
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from functools import reduce
from pathlib import Path
from types import ModuleType

import click

from sync_pipelines.cli import main as program
from sync_pipelines.core.lifecycle import mermaid
from sync_pipelines.core.trees import PRESENCE, Verdict
from sync_pipelines.pipelines.commerce.connection import FIELDS
from sync_pipelines.pipelines.deployments.reconciler_settings import load_reconciler_options, variable_of
from sync_pipelines.pipelines.metric_table import markdown as metric_table
from sync_pipelines.service.settings import VARIABLES
from sync_pipelines_tests.conformance import page as conformance_page
from sync_pipelines_tests.faults import page as faults_page

DOCS = Path(__file__).parent
MEANINGS = {
    Verdict.CREATE: "create right (or adopt, when the natural key already exists there)",
    Verdict.ORPHAN: "untracked on the right: reported as an orphan, never touched",
    Verdict.RECREATE: "right lost it: create again, counted as drift",
    Verdict.RETIRE: "gone at the source: retire right by policy, from sealed snapshots only",
    Verdict.ADOPT: "link by natural key, then write the fields that differ",
    Verdict.UPDATE: "both sides as in base: nothing. Otherwise write the fields that moved",
    Verdict.FORGET: "both gone: forget the link",
}
OPTIONS = {
    "enabled": "`false` leaves the connection out",
    "interval": "between reconciles, at least `1m`; `0` for no schedule",
    "max_concurrency": "requests to the Director at the same time, scanning and writing alike",
    "batch_size": "deployments that are handed on together",
    "retry_attempts": "retries of a failed instance before it becomes a dead letter",
    "retry_delay": "before the first retry; doubled each time",
    "cache_ttl": "how long details of a deployment are used again while its list entry stays the same",
    "debug": "every match with its reasons, and every write, on the run's stderr; also `BLACKSMITH_DEBUG` and `DEBUG`",
    "backup.enabled": "back up an instance before it is changed",
    "backup.retention": "backups kept of each instance; `0` keeps all",
    "backup.cleanup": "`false` never removes old ones",
    "backup.path": "folder of the backups, below the instance's id",
}


def three_trees() -> str:
    """Return the three-tree table as markdown."""
    rows = ["| left | right | base | meaning |", "|---|---|---|---|"]
    for (left, right, base), verdict in PRESENCE.items():
        if verdict in MEANINGS:
            marks = " | ".join("x" if there else "-" for there in (left, right, base))
            rows.append(f"| {marks} | {MEANINGS[verdict]} |")
    return "\n".join(rows)


def command_reference() -> str:
    """Return the help of every command as markdown, 80 columns wide whatever the terminal is."""
    os.environ["COLUMNS"] = "80"
    parts = [
        "# Commands",
        "",
        "Generated from the program's help. Exit codes: 0 done, 1 refused or failed, 2 misused.",
    ]
    for context, command in _commands(
        program, click.Context(program, info_name="sync-pipelines", **program.context_settings)
    ):
        title = f"{'#' * min(2 + context.command_path.count(' '), 4)} `{context.command_path}`"
        parts += ["", title, "", "```text", command.get_help(context).rstrip(), "```"]
    return "\n".join(parts) + "\n"


def _commands(command: click.Command, context: click.Context) -> list[tuple[click.Context, click.Command]]:
    found = [(context, command)]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                found += _commands(
                    child, click.Context(child, info_name=name, parent=context, **child.context_settings)
                )
    return found


def replaced(text: str, name: str, body: str) -> str:
    """Return a page with one generated part put in between its two markers."""
    begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}{body}\n{end}{tail}"


def pages() -> dict[Path, str]:
    """Return every page with generated parts as it should be."""
    architecture = DOCS / "architecture.md"
    text = architecture.read_text(encoding="utf-8")
    text = replaced(text, "three trees", three_trees())
    text = replaced(text, "life cycle", f"```mermaid\n{mermaid()}\n```")
    return {
        architecture: text,
        DOCS / "commands.md": command_reference(),
        **filled(DOCS / "conformance.md", conformance_page, "subject", "capabilities", "checks"),
        **filled(DOCS / "reliability.md", faults_page, "faults", "kills", "database"),
        **deployments(),
        **commerce(),
        **service(),
        **metrics(),
    }


def filled(page: Path, source: ModuleType, *names: str) -> dict[Path, str]:
    """Return a page as it should be, each part made by the function of its name."""
    text = page.read_text(encoding="utf-8")
    for name in names:
        text = replaced(text, name, getattr(source, name)())
    return {page: text}


def deployments() -> dict[Path, str]:
    """Return the page of the deployments pipeline as it should be."""
    page = DOCS / "deployments.md"
    return {page: replaced(page.read_text(encoding="utf-8"), "options", reconciler_options())}


def commerce() -> dict[Path, str]:
    """Return the page of the commerce pipeline as it should be."""
    page = DOCS / "commerce.md"
    tables = "\n".join(f"### {entity.title()}\n\n{table.markdown()}" for entity, table in FIELDS.items())
    return {page: replaced(page.read_text(encoding="utf-8"), "fields", f"\n{tables}")}


def service() -> dict[Path, str]:
    """Return the page of the service as it should be."""
    page = DOCS / "service.md"
    rows = ["| variable | default | |", "|---|---|---|"]
    rows += [f"| `{one.name}` | {f'`{one.default}`' if one.default else ''} | {one.meaning} |" for one in VARIABLES]
    return {page: replaced(page.read_text(encoding="utf-8"), "settings", "\n".join(rows))}


def metrics() -> dict[Path, str]:
    """Return the page of the metrics as it should be."""
    page = DOCS / "metrics.md"
    return {page: replaced(page.read_text(encoding="utf-8"), "metrics", metric_table())}


def reconciler_options() -> str:
    """Return the options of the deployments pipeline, with their variables and defaults, as a markdown table."""
    options = load_reconciler_options(None, {})
    rows = ["| option | variable | default | |", "|---|---|---|---|"]
    for name in options.sources:
        value = reduce(getattr, name.split("."), options)
        rows.append(f"| `{name}` | `{variable_of(name)}` | `{_in_go(value)}` | {OPTIONS[name]} |")
    return "\n".join(rows)


def _in_go(value: object) -> str:
    """Return a default as people write it."""
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "m"), (1, "s")) if seconds % size == 0)
        return f"{seconds // size}{unit}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def main() -> int:
    """Write the pages, or check them."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.name} is out of date; run 'make docs'")
        return 1 if stale else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
