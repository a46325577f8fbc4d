"""From the content of an order to the calls that bring it about in Odoo. No requests: what to send is decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.core.records import Content
from sync_pipelines.pipelines.commerce.linked import Linked, code_key
from sync_pipelines.pipelines.commerce.orders.lines import Kind, Line, Services, draft_of, line_alike
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.systems.odoo import LineDraft, OrderDraft


class NotLinkedYet(ValueError):
    """A product of a line has no counterpart yet."""


@dataclass(frozen=True)
class Writing:
    """What the lines of orders are written with."""

    settings: OrderSettings
    linked: Linked
    services: Services

    def draft(self, content: Content, partner_id: int) -> OrderDraft:
        """Return the order to create.

        Raises:
            NotLinkedYet: a line's product is unknown in Odoo.
        """
        pricelist = self.settings.pricelists.get(content["currency"])
        return OrderDraft(
            partner_id=partner_id,
            client_order_ref=content["reference"],
            date_order=moment_of(content),
            lines=tuple(self.line(one) for one in content["lines"]),
            extra=None if pricelist is None else {"pricelist_id": pricelist},
        )

    def line(self, one: Line) -> LineDraft:
        """Return a line to create or to write. Raises :class:`NotLinkedYet`."""
        return draft_of(one, self.variant(one), self.settings)

    def variant(self, one: Line) -> int:
        """Return the variant that a line stands on. Raises :class:`NotLinkedYet`."""
        services = {Kind.SHIPPING: self.services.shipping, Kind.FEE: self.services.fee, Kind.OTHER: self.services.other}
        kind = Kind(one["kind"])
        found = self.linked.variant_of(one["product"]) if kind is Kind.PRODUCT else services[kind]
        if found is None:
            named = one["product"] or one["name"]
            raise NotLinkedYet(f"{named!r:.80} has no product in Odoo that the line could stand on")
        return found


@dataclass(frozen=True, slots=True)
class LineChanges:
    """What to do to the lines of an order, in one call."""

    add: tuple[LineDraft, ...] = ()
    change: Mapping[int, LineDraft] | None = None
    remove: tuple[int, ...] = ()

    @property
    def none(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.add or self.change or self.remove)


def line_changes(
    found: Sequence[Mapping[str, Any]], wanted: Sequence[Line], writing: Writing, *, confirmed: bool
) -> LineChanges:
    """Return how the lines of an order become those wanted. Lines that agree already are not sent.

    Arguments:
        found: lines in the form of both sides, with ``id`` and ``variant``.
        confirmed: such an order lets no line be removed; it stays with the quantity 0.

    Raises:
        NotLinkedYet: a line's product is unknown in Odoo.
    """
    left, rest = list(found), []
    for one in wanted:
        match = next((line for line in left if line_alike(one, line)), None)
        rest.append(one) if match is None else left.remove(match)
    change: dict[int, LineDraft] = {}
    add = []
    for one in rest:
        variant = writing.variant(one)
        match = next((line for line in left if line["variant"] == variant), None)
        if match is None:
            add.append(writing.line(one))
        else:
            left.remove(match)
            change[match["id"]] = writing.line(one)
    if confirmed:
        change |= {line["id"]: _nothing_of(line) for line in left}
    remove = () if confirmed else tuple(int(line["id"]) for line in left)
    return LineChanges(tuple(add), change, remove)


def _nothing_of(line: Mapping[str, Any]) -> LineDraft:
    # A line of text only keeps the name that it needs.
    name = "" if line["variant"] else line["name"] or code_key(line["product"])
    return LineDraft(Decimal(0), Decimal(line["price"]), product_id=line["variant"], name=name)


def head_values(content: Content, fields: Sequence[str], settings: OrderSettings) -> dict[str, Any]:
    """Return the values of an order itself, without its customer, lines and status."""
    values: dict[str, Any] = {}
    if "reference" in fields:
        values["client_order_ref"] = content["reference"]
    if "currency" in fields:
        values["pricelist_id"] = settings.pricelists[content["currency"]]
    if "date" in fields:
        values["date_order"] = moment_of(content)
    return values


def moment_of(content: Content) -> datetime:
    """Return the date of an order."""
    return datetime.fromisoformat(content["date"])
