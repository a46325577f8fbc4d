"""What a shop has to say about its orders, and how their references are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """How the orders of a shop stand in Odoo.

    Attributes:
        store: short name of the shop in references, e.g. ``1`` in ``WC-1-279``.
        shipping, fee: codes of the service products that shipping and fees are booked on.
        stand_in: code of the product for items that have none, e.g. deleted ones; empty to refuse such orders.
        unlinked: what to do about a line whose product is not linked yet: ``wait`` for it, or put the line on the
            ``stand_in`` for good.
        taxes: tax class of the shop -> ``account.tax`` ids. Those must not be included in prices: the shop tells
            prices without tax. The standard class is the empty text.
        currency: of the default price list of Odoo.
        pricelists: currency -> ``product.pricelist`` id, for the other currencies; for this one too where customers
            have price lists of their own.
        digits: decimal places of the shop's currency.
        credit_notes: ``draft`` makes drafts of credit notes for refunds, ``report`` only compares them.
    """

    store: str
    shipping: str = "SHIP"
    fee: str = "FEE"
    stand_in: str = "MISC"
    unlinked: Literal["wait", "stand_in"] = "wait"
    taxes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    currency: str = "EUR"
    pricelists: Mapping[str, int] = field(default_factory=dict)
    digits: int = 2
    credit_notes: Literal["draft", "report"] = "report"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_]+", self.store):
            raise ValueError(f"store {self.store!r} must be letters, digits and underscores: it stands in references")

    def key_of(self, order_id: int) -> str:
        """Return the natural key of an order."""
        return f"WC-{self.store}-{order_id}"

    def order_id_of(self, reference: str) -> int | None:
        """Return the id of the order that a reference names, ``None`` when it is another shop's or none."""
        found = re.fullmatch(rf"WC-{self.store}-([1-9][0-9]{{0,17}})", reference.strip())
        return int(found[1]) if found else None

    def refund_reference(self, natural_key: str, refund_id: int) -> str:
        """Return the reference of the credit note of a refund."""
        return f"{natural_key}-R{refund_id}"

    def refund_of(self, reference: str) -> tuple[str, int] | None:
        """Return natural key and refund id of a credit note's reference, ``None`` when it is none of the shop's."""
        found = re.fullmatch(rf"(WC-{self.store}-[0-9]{{1,18}})-R([0-9]{{1,18}})", reference.strip())
        return (found[1], int(found[2])) if found else None
