"""Who does something, in which context, at which time: what a transaction knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sync_pipelines.sandbox.odoo.access import User
from sync_pipelines.sandbox.odoo.errors import access_error, user_error, value_error
from sync_pipelines.sandbox.odoo.tables import Journal, Row

if TYPE_CHECKING:
    from sync_pipelines.sandbox.odoo.records import Model
    from sync_pipelines.sandbox.odoo.world import OdooWorld


@dataclass(frozen=True, slots=True)
class Env:
    """One transaction as seen by one user.

    Attributes:
        now: when the transaction began, with microseconds. Everything that it writes gets this as its ``write_date``,
            whenever it is committed.
        journal: what it changed.
        is_superuser: whether rights are not asked for.
    """

    world: OdooWorld
    user: User
    now: str
    journal: Journal
    context: Mapping[str, Any] = field(default_factory=dict)
    is_superuser: bool = False

    def __getitem__(self, model: str) -> Model:
        return self.world.models[model]

    @property
    def lang(self) -> str:
        return str(self.context.get("lang") or "en_US")

    @property
    def active_test(self) -> bool:
        """Whether archived records are left out."""
        return bool(self.context.get("active_test", True))

    def put(self, model: Model, row: Row, /, **changes: Any) -> Row:
        """Store a row with changes, stamped with the transaction's time and user."""
        changed = {**row, **changes, "write_date": self.now, "write_uid": self.user.id}
        self.journal.put(model.table, row["id"], changed)
        return changed

    def within(self, **context: Any) -> Env:
        """Return the same transaction with more context."""
        return replace(self, context={**self.context, **context})

    def as_superuser(self) -> Env:
        """Return the same transaction without questions of rights."""
        return replace(self, is_superuser=True)


def called_context(user: User, sent: Any, languages: Mapping[str, bool]) -> dict[str, Any]:
    """Return the context of a call.

    Arguments:
        sent: what the caller sent as context; anything but an object is a 500.
        languages: whether they are installed, by code.

    Raises:
        OdooError: no object, a language that is not installed, or a company of somebody else.
    """
    try:
        context = {"lang": user.lang, "tz": user.tz, "uid": user.id, **dict(sent or {})}
    except (TypeError, ValueError) as problem:
        raise value_error(str(problem)) from problem
    if context["lang"] and not languages.get(context["lang"]):
        raise user_error(f"Invalid language code: {context['lang']}")
    if set(context.get("allowed_company_ids") or [1]) - {1}:
        raise access_error("Access to unauthorized or invalid companies.")
    return context
