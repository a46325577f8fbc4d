"""The part of Waldur's marketplace API that keeps a provider's offerings.

There is no update of an offering as a whole (PUT and PATCH are 405 for everyone): each group of fields has its own
action, and prices have their own call on the plan. After any write that did not end in a 2xx or 4xx, read before
writing again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sync_pipelines.core.canonical import decimal_text
from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.systems.transport import Transport
from sync_pipelines.systems.waldur.checks import connection_problems, refuse_ignored_filters
from sync_pipelines.systems.waldur.errors import NeedsStaff, unexpected_shape
from sync_pipelines.systems.waldur.listing import (
    FULL_FIELDS,
    MAX_PAGE_SIZE,
    SLIM_FIELDS,
    Page,
    parse_rows,
    refuse_strangers,
    sweep,
)
from sync_pipelines.systems.waldur.models import (
    ComponentDraft,
    OfferingDraft,
    PlanDraft,
    WaldurOffering,
    WaldurPlan,
    category_link,
    offering_link,
    uuid_hex,
)
from sync_pipelines.systems.waldur.parsing import parse_offering, parse_plan
from sync_pipelines.systems.waldur.session import OFFERINGS, PEER, PLANS, WaldurSession
from sync_pipelines.systems.waldur.states import STAFF_ACTIONS, Action, overview_needs_staff


class WaldurClient:
    """Reads and writes the offerings of Waldur customers.

    Every method raises ``PeerError``, classified by ``errors.py``. Uuids may be given with dashes or without.

    Arguments:
        owner: transport with the token of an owner of the customer.
        staff: transport with a staff token, for what an owner may not do; without it these raise :class:`NeedsStaff`.
        owner_may_publish: the owner's role includes publishing and editing, as roles of 8.x can.
    """

    def __init__(self, owner: Transport, staff: Transport | None = None, *, owner_may_publish: bool = False) -> None:
        self._owner = WaldurSession(owner)
        self._staff = WaldurSession(staff) if staff else None
        self._owner_may_publish = owner_may_publish

    @property
    def can_publish(self) -> bool:
        """Whether an offering can be activated with the tokens given."""
        return self._staff is not None or self._owner_may_publish

    def sweep(
        self, customer_uuid: str, *, fields: Sequence[str] = SLIM_FIELDS, page_size: int = MAX_PAGE_SIZE
    ) -> AsyncIterator[Page]:
        """Yield all offerings of a customer by pages; see :func:`sync_pipelines.systems.waldur.listing.sweep`."""
        return sweep(self._owner, customer_uuid, fields=fields, page_size=page_size)

    async def find(
        self, customer_uuid: str, attribute: str, value: str, *, backend_id: str | None = None
    ) -> list[WaldurOffering]:
        """Return the customer's offerings that carry an attribute, oldest first, with components and plans.

        There is no filter on ``backend_id``: an unknown parameter is ignored and page 1 of everything visible comes
        back. Containment in ``attributes`` is filtered, and every row is checked again here.

        Arguments:
            backend_id: also demanded of each row when given; rows with another one are left out.
        """
        customer = uuid_hex(customer_uuid)
        params = [
            ("attributes", json.dumps({attribute: value})),
            ("customer_uuid", customer),
            ("o", "created"),
            ("page_size", str(MAX_PAGE_SIZE)),
            *(("field", name) for name in FULL_FIELDS),
        ]
        listing = await self._owner.list(OFFERINGS, params)
        rows = parse_rows(listing.rows)
        refuse_strangers(rows, customer)
        if listing.total > len(rows) or any(row.attributes.get(attribute) != value for row in rows):
            message = f"{listing.total} offerings for {attribute}={value!r}: the attributes filter is not applied"
            raise PeerError(PEER, FailureKind.PERMANENT, message, operation=f"GET /api/{OFFERINGS}")
        return [row for row in rows if backend_id is None or row.backend_id == backend_id]

    async def get(self, offering_uuid: str) -> WaldurOffering | None:
        """Return an offering, ``None`` when it does not exist or is invisible to the owner."""
        path = _offering(offering_uuid)
        try:
            row = await self._owner.read(path)
        except PeerError as error:
            if error.kind is FailureKind.GONE:
                return None
            raise
        offering = _offering_of(row, f"GET /api/{path}", write=False)
        if offering.uuid != uuid_hex(offering_uuid):
            # Taken for the one asked for, it would be written to.
            reason = f"it is offering {offering.uuid}; a proxy mixes up answers"
            raise unexpected_shape(PEER, f"GET /api/{path}", write=False, reason=reason)
        return offering

    async def check_filters(self, customer_uuid: str) -> None:
        """Prove that the server applies the filters that lookups rest on; raise a permanent ``PeerError`` if not."""
        await refuse_ignored_filters(self._owner, customer_uuid)

    async def check(
        self, customer_uuid: str, *, category_uuids: Sequence[str] = (), offering_type: str = "Marketplace.Basic"
    ) -> list[str]:
        """Return what is wrong with this connection, in an operator's words; empty when nothing is."""
        return await connection_problems(self._owner, self._staff, customer_uuid, category_uuids, offering_type)

    async def create(self, draft: OfferingDraft) -> WaldurOffering:
        """Create an offering, in state Draft and with all component prices 0.

        Nothing is unique in Waldur: sent twice, it exists twice. On an ambiguous error look for it first.
        """
        row = await self._owner.write(OFFERINGS, draft.body())
        created = _offering_of(row, f"POST /api/{OFFERINGS}", write=True)
        if created.backend_id != draft.backend_id:
            reason = f"it is an offering with backend_id {created.backend_id!r}; a proxy mixes up answers"
            raise unexpected_shape(PEER, f"POST /api/{OFFERINGS}", write=True, reason=reason)
        return created

    async def update_overview(self, offering_uuid: str, *, state: str, name: str, description: str) -> None:
        """Set name and description. Both come back cleaned: trimmed, the description through an HTML cleaner.

        Arguments:
            state: the offering's current state; outside Draft it takes staff.
        """
        session = self._session_for(offering_uuid, "update_overview", overview_needs_staff(state))
        await session.write(_offering(offering_uuid, "update_overview"), {"name": name, "description": description})

    async def update_category(self, offering_uuid: str, category_uuid: str) -> None:
        """Move to another category. The action is called ``update_description`` and changes no description."""
        body = {"category": category_link(category_uuid)}
        await self._owner.write(_offering(offering_uuid, "update_description"), body)

    async def update_integration(self, offering_uuid: str, *, backend_id: str) -> None:
        """Set the backend id."""
        await self._owner.write(_offering(offering_uuid, "update_integration"), {"backend_id": backend_id})

    async def update_attributes(self, offering_uuid: str, attributes: Mapping[str, Any]) -> None:
        """Replace all attributes. A key that is left out is gone, and with it the way to find the offering."""
        await self._owner.write(_offering(offering_uuid, "update_attributes"), dict(attributes))

    async def create_component(self, offering_uuid: str, component: ComponentDraft) -> None:
        """Add a component."""
        await self._owner.write(_offering(offering_uuid, "create_offering_component"), component.body())

    async def update_component(self, offering_uuid: str, component_uuid: str, component: ComponentDraft) -> None:
        """Change a component."""
        body = {"uuid": uuid_hex(component_uuid), **component.body()}
        await self._owner.write(_offering(offering_uuid, "update_offering_component"), body)

    async def remove_component(self, offering_uuid: str, component_uuid: str) -> None:
        """Remove a component and its prices."""
        body = {"uuid": uuid_hex(component_uuid)}
        await self._owner.write(_offering(offering_uuid, "remove_offering_component"), body)

    async def create_plan(self, offering_uuid: str, plan: PlanDraft) -> WaldurPlan:
        """Add a plan; its component prices are 0."""
        row = await self._owner.write(PLANS, {"offering": offering_link(offering_uuid), **plan.body()})
        try:
            return parse_plan(row)
        except ValueError as error:
            raise unexpected_shape(PEER, f"POST /api/{PLANS}", write=True, reason=str(error)) from None

    async def update_prices(self, plan_uuid: str, prices: Mapping[str, Decimal]) -> None:
        """Set the prices of a plan.

        Arguments:
            prices: of *every* component, by type; Waldur sets the ones left out to 0.

        Raises:
            ValueError: no price at all, which would zero the whole plan.
        """
        if not prices:
            raise ValueError("update_prices without prices sets all of them to 0")
        body = {"prices": {kind: decimal_text(price) for kind, price in prices.items()}}
        await self._owner.write(f"{PLANS}{uuid_hex(plan_uuid)}/update_prices/", body)

    async def act(self, offering_uuid: str, action: Action, *, paused_reason: str = "") -> str | None:
        """Do one state action and return the new state as far as the server told it.

        Raises:
            IllegalTransition: not from the current state. A pause sent again after a lost reply ends here too.
            NeedsStaff: publishing without a staff token.
        """
        session = self._session_for(offering_uuid, action, action in STAFF_ACTIONS)
        body = {"paused_reason": paused_reason} if action is Action.PAUSE and paused_reason else {}
        try:
            answer = await session.write(_offering(offering_uuid, action), body)
        except PeerError as error:
            if session is self._owner and action in STAFF_ACTIONS and error.status == 403:
                raise _needs_staff(offering_uuid, action) from None
            raise
        state = answer.get("state") if isinstance(answer, dict) else None
        return state if isinstance(state, str) else None

    async def delete(self, offering_uuid: str) -> None:
        """Delete an offering. An owner may do so in Draft and without resources only."""
        await self._owner.delete(_offering(offering_uuid))

    def _session_for(self, offering_uuid: str, action: str, needs_staff: bool) -> WaldurSession:
        if not needs_staff or (self._staff is None and self._owner_may_publish):
            return self._owner
        if self._staff is not None:
            return self._staff
        raise _needs_staff(offering_uuid, action)


def _needs_staff(offering_uuid: str, action: str) -> NeedsStaff:
    return NeedsStaff(
        PEER,
        FailureKind.PERMANENT,
        f"{action} needs a staff token; configure one, or let a staff user do it by hand",
        operation=f"POST /api/{_offering(offering_uuid, action)}",
    )


def _offering(offering_uuid: str, action: str = "") -> str:
    return f"{OFFERINGS}{uuid_hex(offering_uuid)}/" + (f"{action}/" if action else "")


def _offering_of(row: Any, operation: str, *, write: bool) -> WaldurOffering:
    try:
        return parse_offering(row)
    except ValueError as error:
        raise unexpected_shape(PEER, operation, write=write, reason=str(error)) from None
