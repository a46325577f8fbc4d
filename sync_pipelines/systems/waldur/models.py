"""What Waldur says about offerings, and what it is told, as typed values."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from sync_pipelines.core.canonical import decimal_text

_PLACES = Decimal("1E-10")
_WIDE = Context(prec=60)
_HEX = re.compile("[0-9a-f]{32}")


def uuid_hex(value: str) -> str:
    """Return a uuid as Waldur prints it: 32 hex digits without dashes.

    Raises:
        ValueError: not a uuid.
    """
    # A sweep reads several of them a row, and Waldur prints nearly all of them in this form already.
    return value if _HEX.fullmatch(value) else uuid.UUID(value).hex


def quantized(price: Decimal) -> Decimal:
    """Return a price with Waldur's ten decimal places."""
    return _WIDE.quantize(price, _PLACES)


def price_as_read(price: Decimal) -> Decimal:
    """Return what Waldur will report for a component price that was set to this value.

    Component prices are stored with ten places but printed as JSON floats: 999999999999.9999999999 reads back as 1e12.
    """
    return quantized(Decimal(repr(float(quantized(price)))))


@dataclass(frozen=True, slots=True)
class WaldurComponent:
    """What is metered in an offering; its price lives in the plans."""

    uuid: str
    type: str
    name: str
    description: str
    measured_unit: str
    billing_type: str
    limit_period: str | None
    limit_amount: int | None
    article_code: str


@dataclass(frozen=True, slots=True)
class WaldurPlan:
    """A price list of an offering.

    Attributes:
        unit_price: set at creation only; independent of the component prices.
        prices: by component type, ten places.
        future_prices: set instead of ``prices`` while a resource uses the plan; ``None`` where nothing is pending.
    """

    uuid: str
    name: str
    description: str
    unit: str
    unit_price: Decimal
    archived: bool
    backend_id: str
    prices: Mapping[str, Decimal]
    future_prices: Mapping[str, Decimal | None]
    resources_count: int

    @property
    def effective_prices(self) -> Mapping[str, Decimal]:
        """Prices that were last set, by component type: the pending one where there is one."""
        pending = {kind: price for kind, price in self.future_prices.items() if price is not None}
        return {**self.prices, **pending}


@dataclass(frozen=True, slots=True)
class WaldurOffering:
    """An offering as the provider's endpoint shows it.

    Attributes:
        state: as printed, e.g. ``"Active"``.
        category_uuid, customer_uuid: 32 hex digits; empty when not part of the answer.
        created: aware; orders duplicates by age.
        present: keys of the answer. A field left out by ``field=`` has its empty value here; ask :meth:`has` first.
    """

    uuid: str
    name: str
    description: str
    state: str
    type: str
    backend_id: str
    category_uuid: str
    customer_uuid: str
    created: datetime | None
    shared: bool | None
    attributes: Mapping[str, Any]
    components: tuple[WaldurComponent, ...]
    plans: tuple[WaldurPlan, ...]
    present: frozenset[str]

    def has(self, name: str) -> bool:
        """Return whether the answer carried this field."""
        return name in self.present


@dataclass(frozen=True, slots=True)
class ComponentDraft:
    """A component to create or change. ``type`` is unique in an offering: a second one is a 500 that is rolled back."""

    type: str
    name: str
    billing_type: str = "fixed"
    measured_unit: str = ""
    description: str = ""
    limit_period: str | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {
            "type": self.type,
            "name": self.name,
            "billing_type": self.billing_type,
            "measured_unit": self.measured_unit,
            "description": self.description,
            "limit_period": self.limit_period,
        }


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A plan to create. Component prices cannot be part of it: they need ``update_prices``."""

    name: str
    unit: str = "month"
    unit_price: Decimal = Decimal(0)
    description: str = ""
    backend_id: str = ""

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {
            "name": self.name,
            "unit": self.unit,
            "unit_price": decimal_text(self.unit_price),
            "description": self.description,
            "backend_id": self.backend_id,
        }


@dataclass(frozen=True, slots=True)
class OfferingDraft:
    """An offering to create. It is a Draft at first, whatever is asked."""

    name: str
    customer_uuid: str
    category_uuid: str
    type: str = "Marketplace.Basic"
    description: str = ""
    backend_id: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    components: tuple[ComponentDraft, ...] = ()
    plans: tuple[PlanDraft, ...] = ()
    shared: bool = True
    billable: bool = True

    def body(self) -> dict[str, Any]:
        """Return the JSON body. Relations are hyperlinks; the host part is not looked at, so a path does."""
        body: dict[str, Any] = {
            "name": self.name,
            "customer": customer_link(self.customer_uuid),
            "category": category_link(self.category_uuid),
            "type": self.type,
            "description": self.description,
            "backend_id": self.backend_id,
            "attributes": dict(self.attributes),
            "components": [component.body() for component in self.components],
            "shared": self.shared,
            "billable": self.billable,
        }
        # An empty list is refused; without the key the offering has no plan and can never be activated.
        if self.plans:
            body["plans"] = [plan.body() for plan in self.plans]
        return body


def customer_link(customer_uuid: str) -> str:
    """Return the hyperlink of a customer."""
    return f"/api/customers/{uuid_hex(customer_uuid)}/"


def category_link(category_uuid: str) -> str:
    """Return the hyperlink of a category."""
    return f"/api/marketplace-categories/{uuid_hex(category_uuid)}/"


def offering_link(offering_uuid: str) -> str:
    """Return the hyperlink of an offering."""
    return f"/api/marketplace-provider-offerings/{uuid_hex(offering_uuid)}/"
