"""The program: its groups, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from sync_pipelines import __version__
from sync_pipelines.cli.wording import first_line
from sync_pipelines.core.errors import RunStopped, SyncError

DEBUG_VARIABLE = "SYNC_DEBUG"
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it."""

# Name -> module of this package; the command has the module's name. Loaded when needed: together they take a second.
_COMMANDS = {
    "reconcile": "reconcile",
    "why": "why",
    "plan": "plan",
    "dead-letter": "dead_letter",
    "audit": "audit",
    "metrics": "metrics",
    "doctor": "doctor",
    "offerings": "offerings",
    # This one adds the commands for backups to the group.
    "deployments": "deployment_backups",
    "ledger": "ledger",
    # And this one the preview.
    "commerce": "commerce_preview",
    "marketplaces": "marketplaces",
    "serve": "serve",
    "tokens": "tokens",
    "migrate": "database",
    "database": "database",
    "prune": "prune",
    "demo": "demo",
}


class Program(click.Group):
    """A group that loads its commands late and turns every error into one clear line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they are told of."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"sync_pipelines.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Exit codes: 0 done, 1 not done, 2 wrong usage, 130 interrupted."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # Whoever read the output has seen enough; the interpreter must not complain at its end either.
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 # lives as long as the process
            ctx.exit(0)
        except RunStopped as stopped:
            click.echo(f"sync-pipelines: {stopped}", err=True)
            ctx.exit(INTERRUPTED)
        except SyncError as error:
            _fail(ctx, error, str(error))
        except Exception as error:  # the outermost place: nobody above can say it in words
            _fail(ctx, error, f"{type(error).__name__}: {first_line(error)} ({DEBUG_VARIABLE}=1 shows where)")


def _fail(ctx: click.Context, error: Exception, message: str) -> NoReturn:
    if os.environ.get(DEBUG_VARIABLE) == "1":
        raise error
    click.echo(f"sync-pipelines: {message}", err=True)
    ctx.exit(1)


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sync-pipelines")
def main() -> None:
    """Keep pairs of systems in agreement.

    Settings: SYNC_CONNECTIONS_FILE (what is connected to what), SYNC_DATABASE_URL (without it an embedded PostgreSQL is
    used), SYNC_HOME (folder for everything written), DAGSTER_HOME (folder with dagster.yaml).

    Exit codes: 0 done, 1 not done (the reason is on stderr), 2 wrong usage, 130 interrupted. SYNC_DEBUG=1 adds
    tracebacks.
    """
