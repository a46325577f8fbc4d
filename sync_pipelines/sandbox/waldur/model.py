"""What Waldur stores, as plain mutable objects. Tests may read and change them directly ("edited by hand")."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

STATES = ("Draft", "Active", "Paused", "Archived")


def new_uuid() -> str:
    """A random identifier in the form Waldur prints: 32 hex digits without dashes."""
    return uuid.uuid4().hex


def parse_uuid(text: str) -> str | None:
    """The printed form of a UUID written with or without dashes, or ``None`` when it is none."""
    try:
        return uuid.UUID(text).hex
    except ValueError:
        return None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, eq=False)
class User:
    """Somebody with an API token. ``owns`` holds the uuids of the customers the user is owner of."""

    username: str
    token: str
    is_staff: bool = False
    is_support: bool = False
    owns: set[str] = field(default_factory=set)
    is_active: bool = True
    token_expired: bool = False
    token_lifetime: int | None = None
    uuid: str = field(default_factory=new_uuid)
    created: datetime = field(default_factory=_now)

    @property
    def sees_everything(self) -> bool:
        return self.is_staff or self.is_support

    def may_change(self, customer_uuid: str) -> bool:
        return self.is_staff or customer_uuid in self.owns


@dataclass(slots=True, eq=False)
class Customer:
    """An organization; ``provider_uuid`` is set when it is a service provider."""

    uuid: str
    name: str
    provider_uuid: str | None = None
    blocked: bool = False
    backend_id: str = ""
    created: datetime = field(default_factory=_now)


@dataclass(slots=True, eq=False)
class Category:
    """A marketplace category. Titles are not unique."""

    uuid: str
    title: str
    description: str = ""


@dataclass(slots=True, eq=False)
class Component:
    """What an offering meters."""

    type: str
    name: str
    billing_type: str
    measured_unit: str = ""
    description: str = ""
    article_code: str = ""
    limit_period: str | None = None
    limit_amount: int | None = None
    min_value: int | None = None
    max_value: int | None = None
    max_available_limit: int | None = None
    default_limit: int | None = None
    is_boolean: bool = False
    factor: int | None = None
    is_builtin: bool = False
    uuid: str = field(default_factory=new_uuid)


@dataclass(slots=True, eq=False)
class PlanComponent:
    """Price and quota of one component within one plan."""

    price: Decimal = Decimal(0)
    future_price: Decimal | None = None
    amount: int = 0


@dataclass(slots=True, eq=False)
class Plan:
    """A price list of an offering. ``rows`` are keyed by component uuid; ``resources`` counts who uses the plan."""

    name: str
    unit: str = "day"
    unit_price: Decimal = Decimal(0)
    description: str = ""
    article_code: str = ""
    backend_id: str = ""
    max_amount: int | None = None
    archived: bool = False
    resources: int = 0
    rows: dict[str, PlanComponent] = field(default_factory=dict)
    uuid: str = field(default_factory=new_uuid)


@dataclass(slots=True, eq=False)
class Offering:
    """A marketplace offering with its components and plans.

    ``texts`` holds the free-text fields other than name and description, such as ``full_description``.
    """

    uuid: str
    customer: Customer
    category: Category
    name: str
    type: str
    created: datetime
    number: int
    slug: str
    description: str = ""
    backend_id: str = ""
    state: str = "Draft"
    shared: bool = True
    billable: bool = True
    paused_reason: str = ""
    order_count: int = 0
    rating: int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    backend_metadata: Any = field(default_factory=dict)
    plugin_options: Any = field(default_factory=dict)
    secret_options: Any = field(default_factory=dict)
    options: Any = field(default_factory=lambda: {"order": [], "options": {}})
    resource_options: Any = field(default_factory=lambda: {"order": [], "options": {}})
    latitude: float | None = None
    longitude: float | None = None
    texts: dict[str, str] = field(default_factory=dict)
    components: list[Component] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def component(self, component_uuid: str) -> Component | None:
        return next((component for component in self.components if component.uuid == component_uuid), None)

    def prices(self, plan: Plan | None = None) -> dict[str, Decimal]:
        """Current prices by component type; of the first plan unless one is named."""
        return {component.type: row.price for component, row in self.price_rows(plan or self.plans[0])}

    def price_rows(self, plan: Plan) -> list[tuple[Component, PlanComponent]]:
        """The plan's rows in Waldur's order, which is by component name."""
        ordered = sorted(self.components, key=lambda component: component.name)
        return [(component, plan.rows[component.uuid]) for component in ordered if component.uuid in plan.rows]

    @property
    def has_resources(self) -> bool:
        return any(plan.resources for plan in self.plans)
