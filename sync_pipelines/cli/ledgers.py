"""The ledgers as the command line knows them. They are replicated and not reconciled: no pair, no plan, no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync_pipelines.cli.wording import none_enabled
from sync_pipelines.core.errors import ConfigurationError
from sync_pipelines.pipelines.registry import enabled_connections

if TYPE_CHECKING:
    from sync_pipelines.pipelines.ledger.connection import LedgerConnection

LEDGER = "ledger"
REPLICATED = (
    "a ledger is replicated and not reconciled: 'sync-pipelines ledger import' brings it up to date, "
    "'sync-pipelines ledger status' tells how far it is"
)


def ledgers() -> tuple[LedgerConnection, ...]:
    """Return the enabled ledger connections of the connections file; maybe none.

    Raises:
        ConfigurationError: the file is wrong.
    """
    return enabled_connections(LEDGER)


def chosen_ledgers(wanted: str | None) -> list[LedgerConnection]:
    """Return the ledger that a word of the command line stands for; all of them for ``None``.

    Arguments:
        wanted: a connection's name, the same behind ``ledger/``, or a canister's principal.

    Raises:
        ConfigurationError: there is none.
    """
    configured = ledgers()
    if not configured:
        raise none_enabled(LEDGER)
    if wanted in (None, LEDGER):
        return list(configured)
    assert wanted is not None
    found = [one for one in configured if wanted.removeprefix(f"{LEDGER}/") in (one.name, one.canister_id)]
    if not found:
        names = ", ".join(f"{one.name} ({one.canister_id})" for one in configured)
        raise ConfigurationError(f"no ledger is named {wanted!r}; there are {names}")
    return found


def one_ledger(wanted: str | None) -> LedgerConnection:
    """Return the one ledger that is meant; the only one there is for ``None``.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    found = chosen_ledgers(wanted)
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise ConfigurationError(f"there are {len(found)} ledgers; give --connection with one of {names}")
    return found[0]
