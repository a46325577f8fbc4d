"""The status of an order: three states that both sides know, and the ways between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """What both sides mean by it."""

    OPEN = "open"
    """Waits for payment: a quotation in Odoo."""
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """A method of ``sale.order``."""

    DRAFT = "action_draft"
    CONFIRM = "action_confirm"
    CANCEL = "action_cancel"


FROM_WOO: Mapping[str, Status] = MappingProxyType(
    {
        "pending": Status.OPEN,
        "on-hold": Status.OPEN,
        "processing": Status.CONFIRMED,
        "completed": Status.CONFIRMED,
        "cancelled": Status.CANCELLED,
        "failed": Status.CANCELLED,
        "refunded": Status.CANCELLED,
    }
)
IGNORED = frozenset({"auto-draft", "checkout-draft", "trash"})
"""Carts that nobody has ordered yet, and orders that were thrown away."""

FROM_ODOO: Mapping[str, Status] = MappingProxyType(
    {
        "draft": Status.OPEN,
        "sent": Status.OPEN,
        "sale": Status.CONFIRMED,
        # Before 17 a locked order had a state of its own.
        "done": Status.CONFIRMED,
        "cancel": Status.CANCELLED,
    }
)
TO_WOO: Mapping[str, str] = MappingProxyType({Status.CONFIRMED: "processing", Status.CANCELLED: "cancelled"})
"""Statuses that may be written to the shop, where a shop lets Odoo decide."""

_STEPS: Mapping[tuple[Status, Status], tuple[Step, ...]] = MappingProxyType(
    {
        (Status.OPEN, Status.CONFIRMED): (Step.CONFIRM,),
        (Status.OPEN, Status.CANCELLED): (Step.CANCEL,),
        (Status.CONFIRMED, Status.CANCELLED): (Step.CANCEL,),
        (Status.CANCELLED, Status.OPEN): (Step.DRAFT,),
        # A payment that failed is often tried again.
        (Status.CANCELLED, Status.CONFIRMED): (Step.DRAFT, Step.CONFIRM),
    }
)


def steps_between(before: str, after: str, progress: Collection[str] = ()) -> tuple[Step, ...]:
    """Return the methods that lead from one status to another; none when it is the same.

    Arguments:
        progress: see :func:`why_not`.

    Raises:
        ValueError: there is no way; the message says why.
    """
    if before == after:
        return ()
    if (reason := why_not(before, after, progress)) is not None:
        raise ValueError(reason)
    return _STEPS[Status(before), Status(after)]


def why_not(before: str, after: str, progress: Collection[str]) -> str | None:
    """Return why an order in Odoo cannot go from one status to another, ``None`` when it can.

    Arguments:
        progress: any of ``delivered``, ``invoiced`` and ``locked``.
    """
    if before == after:
        return None
    if (Status(before), Status(after)) == (Status.CONFIRMED, Status.OPEN):
        return "a confirmed order does not go back to a quotation; cancel it in Odoo and set it to quotation there"
    if before == Status.CONFIRMED and progress:
        return f"it is {' and '.join(sorted(progress))} in Odoo: return the goods or credit the invoice, then cancel it"
    return None
