"""One call of a method, from whichever protocol: found, permitted, its arguments bound, run as one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.sandbox.odoo.access import User, demand
from sync_pipelines.sandbox.odoo.calling import OPEN, READS, is_private, signature, takes_ids
from sync_pipelines.sandbox.odoo.environment import called_context
from sync_pipelines.sandbox.odoo.errors import OdooError, access_error, serialization_failure
from sync_pipelines.sandbox.odoo.records import Model
from sync_pipelines.sandbox.odoo.slow import Held
from sync_pipelines.sandbox.odoo.tables import Journal
from sync_pipelines.sandbox.odoo.world import OdooWorld

_CREATES = frozenset(("create", "copy", "name_create"))


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be called.

    Attributes:
        ids: records that it is called on, ``None`` when none were given.
        positional: arguments by position; only the old protocols have them.
        named: arguments by name, without the context.
    """

    user: User
    model: str
    method: str
    ids: Any = None
    positional: Sequence[Any] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    context: Any = None


def method_of(model: Model, name: str) -> Callable[..., Any] | None:
    """Return a method that may be called from outside, as a function of the class.

    Raises:
        OdooError: it is a private one.
    """
    if is_private(name):
        raise access_error(f"Private methods (such as '{model.name}.{name}') cannot be called remotely.")
    found = getattr(type(model), name, None)
    return found if callable(found) and takes_ids(found) is not None else None


async def carried_out(world: OdooWorld, call: Call) -> Any:
    """Run a call and return its result, committed. A test may hold the transaction open before that.

    Raises:
        OdooError: it was refused; nothing of it is kept.
    """
    with world.guard:
        journal = Journal()
        result = _run(world, call, journal)
        world.calls.append((call.model, call.method))
        held = world.held(f"{call.model}.{call.method}")
        if held is not None:
            journal.undo()
    if held is not None:
        await _released(held)
        with world.guard:
            if not journal.redo():
                raise serialization_failure()
    with world.guard:
        world.answered(call.model, call.method)
    return result


async def _released(held: Held) -> None:
    """Wait until the test lets the call go on."""
    woken, loop = asyncio.Event(), asyncio.get_running_loop()
    held.wait(lambda: loop.call_soon_threadsafe(woken.set))
    await woken.wait()


def _run(world: OdooWorld, call: Call, journal: Journal) -> Any:
    model = world.models[call.model]
    method = getattr(type(model), call.method)
    context = called_context(call.user, call.context, world.languages)
    env = world.env(journal, call.user, context)
    _permit(call, model)
    ids = () if not takes_ids(method) else ([] if call.ids is None else call.ids,)
    bound = signature(method).bind(*call.positional, **call.named)
    try:
        result = method(model, env, *ids, *bound.args, **bound.kwargs)
    except OdooError:
        journal.undo()
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        # Odoo's own code meets such input unprepared too; its exception reaches the client.
        journal.undo()
        raise OdooError(f"builtins.{type(problem).__name__}", str(problem)) from problem
    if call.method != "load" and world.strikes(call.model, call.method):
        journal.undo()
        raise serialization_failure()
    return result


def _permit(call: Call, model: Model) -> None:
    if call.method in OPEN:
        return
    right = "read" if call.method in READS else "create" if call.method in _CREATES else "write"
    demand(call.user, model.name, model.label, "unlink" if call.method == "unlink" else right)
