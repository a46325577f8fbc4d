"""The state of one Waldur server in memory, what may be done to it, and a journal of what was done."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sync_pipelines.sandbox.request_log import LoggedRequest
from sync_pipelines.sandbox.waldur.errors import ServerCrash
from sync_pipelines.sandbox.waldur.html_cleaning import clean_html
from sync_pipelines.sandbox.waldur.model import (
    Category,
    Component,
    Customer,
    Offering,
    Plan,
    PlanComponent,
    User,
    new_uuid,
)
from sync_pipelines.sandbox.waldur.plugins import builtin_components

_DESCRIPTION_COLUMN = 2000
_CLEANED_TEXTS = frozenset({"full_description", "terms_of_service", "vendor_details"})

# Legal moves only; archive and draft are allowed from every state and may be repeated.
TRANSITIONS: dict[str, tuple[frozenset[str], str]] = {
    "activate": (frozenset({"Draft", "Paused"}), "Active"),
    "pause": (frozenset({"Active"}), "Paused"),
    "unpause": (frozenset({"Paused"}), "Active"),
    "archive": (frozenset({"Draft", "Active", "Paused", "Archived"}), "Archived"),
    "draft": (frozenset({"Draft", "Active", "Paused", "Archived"}), "Draft"),
}


@dataclass(frozen=True, slots=True)
class Mutation:
    """A write request that was committed, whatever the client was answered.

    Attributes:
        method: upper-case HTTP method.
        path: path of the request.
        actor: name of the user whose token was sent.
        body: parsed request body, ``None`` when there was none.
    """

    method: str
    path: str
    actor: str | None
    body: Any


class WaldurWorld:
    """Everything a Waldur server knows. Read and change it freely in tests.

    Attributes:
        users, customers, categories: by token or uuid.
        offerings: by uuid, in order of creation; ``created_count`` numbers them.
        mutations: committed write requests, in order.
        requests: every request received, in order.
        largest_page: rows of a list's largest page; larger sizes are cut to this, silently.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.users: dict[str, User] = {}
        self.customers: dict[str, Customer] = {}
        self.categories: dict[str, Category] = {}
        self.offerings: dict[str, Offering] = {}
        self.mutations: list[Mutation] = []
        self.requests: list[LoggedRequest] = []
        self.largest_page = 300
        self.broker_is_down = False
        self.database_is_down = False
        self._stale_connections: list[bool] = []
        self._now = now
        self._last_created = datetime.min.replace(tzinfo=UTC)
        self.created_count = 0

    def add_user(self, username: str, token: str, **details: Any) -> User:
        """Add a user; ``details`` are further fields of :class:`User`."""
        user = self.users[token] = User(username, token, **details)
        return user

    def add_customer(self, uuid: str, name: str, *, is_service_provider: bool = True) -> Customer:
        provider = new_uuid() if is_service_provider else None
        customer = self.customers[uuid] = Customer(uuid, name, provider, created=self._tick())
        return customer

    def add_category(self, uuid: str, title: str) -> Category:
        category = self.categories[uuid] = Category(uuid, title)
        return category

    def add_offering(
        self,
        customer: str,
        category: str,
        name: str,
        *,
        prices: dict[str, str] | None = None,
        state: str = "Draft",
        **details: Any,
    ) -> Offering:
        """Put an offering there as if by hand, without a request.

        Arguments:
            customer: uuid of its customer.
            category: uuid of its category.
            name: stored as given.
            prices: decimal text by component type; makes one usage component each, and one plan named ``Default``.
            state: any state.
            details: further fields of :class:`Offering`.
        """
        offering = self._new_offering(self.customers[customer], self.categories[category], name, "Marketplace.Basic")
        offering.state = state
        for field_name, value in details.items():
            setattr(offering, field_name, value)
        for kind in prices or {}:
            offering.components.append(Component(kind, kind, "usage"))
        if prices is not None:
            plan = Plan("Default", unit="month")
            plan.rows = {item.uuid: PlanComponent(Decimal(prices[item.type])) for item in offering.components}
            offering.plans.append(plan)
        self.offerings[offering.uuid] = offering
        return offering

    def broker_stop(self) -> None:
        """The message broker is gone: most writes commit and are then answered with 500."""
        self.broker_is_down = True

    def broker_start(self) -> None:
        self.broker_is_down = False

    def database_stop(self) -> None:
        """Every request that needs the database is answered with 500; nothing is committed."""
        self.database_is_down = True

    def database_start(self) -> None:
        """The database is back, but one worker still holds a dead connection and fails the second request."""
        self.database_is_down = False
        self._stale_connections = [False, True]

    def meets_stale_connection(self) -> bool:
        """Whether the present request lands on a worker that lost its database connection."""
        return self._stale_connections.pop(0) if self._stale_connections else False

    def block_customer(self, uuid: str, blocked: bool = True) -> None:
        self.customers[uuid].blocked = blocked

    def expire_token(self, username: str) -> None:
        self.user(username).token_expired = True

    def set_user_active(self, username: str, active: bool) -> None:
        self.user(username).is_active = active

    def add_resource(self, plan_uuid: str) -> None:
        """Somebody orders with this plan: from now on price updates go to ``future_prices``."""
        _, plan = self.plan(plan_uuid) or (None, None)
        if plan is None:
            raise KeyError(plan_uuid)
        plan.resources += 1

    def user(self, username: str) -> User:
        return next(user for user in self.users.values() if user.username == username)

    def plan(self, uuid: str) -> tuple[Offering, Plan] | None:
        """A plan with the offering it belongs to."""
        return next((found for found in self.plans() if found[1].uuid == uuid), None)

    def plans(self) -> Iterable[tuple[Offering, Plan]]:
        return ((offering, plan) for offering in self.offerings.values() for plan in offering.plans)

    def by_backend_id(self, backend_id: str) -> list[Offering]:
        """All offerings with this backend id, oldest first. Nothing makes it unique."""
        return [offering for offering in self.offerings.values() if offering.backend_id == backend_id]

    @property
    def writes(self) -> list[LoggedRequest]:
        """Every write request received, refused ones included."""
        return [request for request in self.requests if request.is_write]

    def create_offering(self, customer: Customer, category: Category, values: dict[str, Any], by: User) -> Offering:
        """Create a Draft from the cleaned values of a create request.

        Raises:
            ServerCrash: a component type occurs twice, or the cleaned description outgrows its column. Nothing is kept.
        """
        offering = self._new_offering(customer, category, values["name"], values["type"])
        self._set_texts(offering, values)
        if by.is_staff and values.get("slug"):
            offering.slug = values["slug"]
        for name in ("backend_id", "attributes", "shared", "billable", "rating"):
            if name in values:
                setattr(offering, name, values[name])
        offering.components = builtin_components(offering.type)
        offering.components += [Component(**component) for component in values.get("components", [])]
        if len({component.type for component in offering.components}) < len(offering.components):
            raise ServerCrash("duplicate component type")
        offering.plans = [_new_plan(offering, plan) for plan in values.get("plans", [])]
        self.offerings[offering.uuid] = offering
        return offering

    def update_overview(self, offering: Offering, values: dict[str, Any], by: User) -> None:
        """Set name and texts; a slug only counts when staff sends it."""
        self._set_texts(offering, values)
        offering.name = values["name"]
        if by.is_staff and values.get("slug"):
            offering.slug = values["slug"]

    def move(self, offering: Offering, action: str) -> bool:
        """Make a state transition; ``False`` when it is not a legal one from the present state."""
        sources, target = TRANSITIONS[action]
        if offering.state not in sources or (action == "activate" and not offering.plans):
            return False
        offering.state = target
        return True

    def add_component(self, offering: Offering, values: dict[str, Any]) -> None:
        """Add a component. Existing plans get a price row for it only with the next price update."""
        if any(component.type == values["type"] for component in offering.components):
            raise ServerCrash("duplicate component type")
        offering.components.append(Component(**values))

    def update_component(self, offering: Offering, component: Component, values: dict[str, Any]) -> None:
        kind = values.get("type", component.type)
        if any(other.type == kind for other in offering.components if other is not component):
            raise ServerCrash("duplicate component type")
        for name, value in values.items():
            setattr(component, name, value)

    def remove_component(self, offering: Offering, component: Component) -> None:
        offering.components.remove(component)
        for plan in offering.plans:
            plan.rows.pop(component.uuid, None)

    def add_plan(self, offering: Offering, values: dict[str, Any]) -> Plan:
        plan = _new_plan(offering, values)
        offering.plans.append(plan)
        return plan

    def update_plan(self, plan: Plan, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(plan, name, clean_html(value) if name == "description" else value)

    def set_prices(self, offering: Offering, plan: Plan, prices: dict[str, Decimal]) -> None:
        """Set prices by component type; rows that are left out become 0. A plan in use keeps its present prices."""
        for component in offering.components:
            if component.type in prices:
                plan.rows.setdefault(component.uuid, PlanComponent())
        for component, row in offering.price_rows(plan):
            price = prices.get(component.type, Decimal(0))
            if plan.resources:
                row.future_price = price
            else:
                row.price = price

    def set_quotas(self, offering: Offering, plan: Plan, quotas: dict[str, int]) -> None:
        """Set quotas by component type; rows that are left out become 0."""
        for component in offering.components:
            if component.type in quotas:
                plan.rows.setdefault(component.uuid, PlanComponent())
        for component, row in offering.price_rows(plan):
            row.amount = quotas.get(component.type, 0)

    def _new_offering(self, customer: Customer, category: Category, name: str, offering_type: str) -> Offering:
        self.created_count += 1
        return Offering(
            uuid=new_uuid(),
            customer=customer,
            category=category,
            name=name,
            type=offering_type,
            created=self._tick(),
            number=self.created_count,
            slug=self._free_slug(name),
        )

    def _set_texts(self, offering: Offering, values: dict[str, Any]) -> None:
        if "description" in values:
            # The length is checked before cleaning, so 401 ampersands pass validation and break the column.
            description = clean_html(values["description"])
            if len(description) > _DESCRIPTION_COLUMN:
                raise ServerCrash("value too long for its column")
            offering.description = description
        for name, value in values.items():
            if name in _TEXT_FIELDS:
                offering.texts[name] = clean_html(value) if name in _CLEANED_TEXTS else value

    def _free_slug(self, name: str) -> str:
        base = slugify(name)[:8]
        # Longer slugs with the same beginning count too: after "zz-1" comes "z-2".
        numbered = re.compile(re.escape(base) + r".*-(\d+)")
        taken = [match for offering in self.offerings.values() if (match := numbered.fullmatch(offering.slug))]
        return f"{base}-{max((int(match[1]) for match in taken), default=0) + 1}"

    def _tick(self) -> datetime:
        """Creation times never repeat, because the order of creation is the only stable order of a sweep."""
        self._last_created = max(self._now(), self._last_created + timedelta(microseconds=1))
        return self._last_created


_TEXT_FIELDS = frozenset(
    {
        "full_description",
        "terms_of_service",
        "terms_of_service_link",
        "privacy_policy_link",
        "getting_started",
        "integration_guide",
        "vendor_details",
    }
)


def slugify(text: str) -> str:
    """ASCII letters, digits and dashes of ``text``."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    words = re.sub(r"[^\w\s-]", "", ascii_text.lower())
    return re.sub(r"[-\s]+", "-", words).strip("-_")


def _new_plan(offering: Offering, values: dict[str, Any]) -> Plan:
    known = {**values, "description": clean_html(values.get("description", ""))}
    plan = Plan(**known)
    plan.rows = {component.uuid: PlanComponent() for component in offering.components}
    return plan
