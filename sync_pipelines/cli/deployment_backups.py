"""``sync-pipelines deployments backups`` and ``restore``: an instance as it was before a change, and back to it."""

from __future__ import annotations

import logging
import sys
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from sqlalchemy import Engine

from sync_pipelines.cli import output
from sync_pipelines.cli.deployments import PIPELINE, chosen_one, deployments, on_connection, unix_time
from sync_pipelines.cli.pipelines import PIPELINES, Configured
from sync_pipelines.cli.session import open_store, operator
from sync_pipelines.core.errors import ConfigurationError, RunStopped, SyncError
from sync_pipelines.store import audit
from sync_pipelines.store.lookup import records_called
from sync_pipelines.store.scopes import ensure_scope

if TYPE_CHECKING:
    from sync_pipelines.pipelines.deployments.pair import OpenConnection
    from sync_pipelines.pipelines.deployments.restore import Restoration, Restorer

WAIT_SECONDS = 60.0
"""How long a restoration waits for a run over the same connection to end."""


@deployments.command()
@click.argument("wanted", metavar="CONNECTION")
@click.argument("instance", metavar="INSTANCE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backups(wanted: str, instance: str, as_json: bool) -> None:
    """List the backups of an instance, newest first.

    INSTANCE is its id, or the name of a deployment that ends in it.
    """
    one, instance_id = chosen_one(wanted), instance_id_of(instance)
    with open_store() as engine:
        found = on_connection(one, engine, lambda opened: _restorer(opened).list_backups(instance_id))
    if as_json:
        output.print_json([asdict(backup) for backup in found])
    elif not found:
        output.note(f"There are no backups of {instance_id}.")
    else:
        rows = [(backup.taken_at, unix_time(backup.taken_at), backup.sha256) for backup in found]
        output.show(output.table(f"Backups of {instance_id}", ["unix time", "made", "digest"], rows))


@deployments.command()
@click.argument("wanted", metavar="CONNECTION")
@click.argument("instance", metavar="INSTANCE")
@click.argument("taken_at", metavar="[UNIX_TIME]", required=False, type=click.IntRange(1))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--yes", is_flag=True, help="Do not ask; needed when there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def restore(wanted: str, instance: str, taken_at: int | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Put an instance back as a backup has it: index entry, metadata and manifest.

    INSTANCE is its id, or the name of a deployment that ends in it; UNIX_TIME names the backup, by default the newest.
    The backup is verified first and the present state is backed up; afterwards Vault is read again and compared.
    Credentials and bindings are not touched. The next reconcile brings through what the Director says.
    """
    one, instance_id = chosen_one(wanted), instance_id_of(instance)
    with open_store() as engine:
        planned = on_connection(
            one, engine, lambda opened: _restorer(opened).restore(instance_id, taken_at, dry_run=True)
        )
        if not as_json:
            _show(planned)
        if dry_run or not planned.differences:
            if as_json:
                output.print_json(planned)
            return
        _confirm(planned, yes=yes)
        done = _restore(one, engine, planned)
    if as_json:
        output.print_json(done)
    else:
        saved = f"; the state before is backup {done.saved_at}" if done.saved_at else ""
        output.show(f"Restored and verified{saved}.")
    output.note(f"the next reconcile of {one.full_name} brings through again what the Director says")


def instance_id_of(word: str) -> str:
    """Return the instance id in an id of any spelling, or in a deployment's name.

    Raises:
        ConfigurationError: there is none.
    """
    from sync_pipelines.pipelines.deployments.confidence import look_at
    from sync_pipelines.pipelines.deployments.manifest import uuid_of

    found = uuid_of(word) or look_at(word, None, ()).named_id
    if found is None:
        raise ConfigurationError(f"{word!r} is no instance id, and does not end in one")
    return found


def _restorer(opened: OpenConnection) -> Restorer:
    from sync_pipelines.pipelines.deployments.restore import Restorer
    from sync_pipelines.systems.vault.index import Index

    connection = opened.connection
    index = Index(opened.kv, connection.vault.index)
    return Restorer(opened.kv, index, connection.reconciler.backup, lambda: datetime.now(UTC))


def _restore(one: Configured, engine: Engine, planned: Restoration) -> Restoration:
    """Restore while no run works on the connection; the audit log says when it begins, and whatever comes of it.

    Ctrl-C or SIGTERM waits for what was begun; a second one does not, and the entry says so.
    """
    from sync_pipelines.engine.context import working_on
    from sync_pipelines.engine.tasks import in_thread

    log = logging.getLogger(__name__)
    entry = {
        "action": "restore",
        PIPELINES[PIPELINE].audit_name: planned.instance_id,
        "backup": planned.taken_at,
        "fields": [f"{difference.document}: {difference.field}" for difference in planned.differences],
        "by": operator(),
    }
    done: list[Restoration] = []

    async def work(opened: OpenConnection) -> None:
        async with working_on(engine, opened.pair, f"cli-{uuid.uuid4()}", log, patience=WAIT_SECONDS) as run:
            with run.stop.finishing():
                # Before anything is written: what is killed on the way is in the log as well.
                await in_thread(_note, one, engine, planned.instance_id, entry | {"action": "restore_began"})
                done.append(await _restorer(opened).restore(planned.instance_id, planned.taken_at))

    why = ""
    try:
        on_connection(one, engine, work)
    except BaseException as error:
        # Of other errors nothing is known that keeps secrets out of their texts.
        why = str(error) if isinstance(error, SyncError | RunStopped) else type(error).__name__
        raise
    finally:
        outcome = {"success": True, "saved_as": done[0].saved_at} if done else {"success": False, "error": why}
        _note(one, engine, planned.instance_id, entry | outcome)
    return done[0]


def _note(one: Configured, engine: Engine, instance_id: str, entry: dict[str, object]) -> None:
    with engine.begin() as connection:
        scope = ensure_scope(connection, PIPELINE, one.name)
        # Under the record's own key, so that "why" tells of it.
        keys = records_called(connection, scope, instance_id) or [instance_id]
        audit.append(connection, PIPELINE, entry, scope=one.name, key=keys[0])


def _show(planned: Restoration) -> None:
    title = f"Backup {planned.taken_at} of {planned.instance_id}, made {unix_time(planned.taken_at)}"
    if not planned.differences:
        output.show(title, "Vault holds what the backup has: nothing to restore.")
        return
    rows = [(difference.document, difference.field, difference.kind.value) for difference in planned.differences]
    output.show(title, "", output.table("What would change", ["document", "field", "change"], rows))


def _confirm(planned: Restoration, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("nothing was restored: there is no terminal to ask on; give --yes")
    if not click.confirm(f"Put {planned.instance_id} back as it was then?", err=True):
        raise ConfigurationError("nothing was restored")
