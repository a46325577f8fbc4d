"""The right side: a customer's offerings in Waldur."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.mapping import (
    ID_ATTRIBUTE,
    PLAN_NAME,
    natural_key_of,
    record_of_linked,
    record_of_waldur,
)
from sync_pipelines.systems.waldur.client import WaldurClient
from sync_pipelines.systems.waldur.errors import IllegalTransition
from sync_pipelines.systems.waldur.listing import FULL_FIELDS
from sync_pipelines.systems.waldur.models import ComponentDraft, OfferingDraft, PlanDraft, WaldurOffering
from sync_pipelines.systems.waldur.states import (
    PLAN_ACTIONS,
    TRANSITIONS,
    Action,
    State,
    actions_between,
    can_be_updated,
)


class WaldurTarget:
    """Reads and writes one customer's offerings."""

    def __init__(self, client: WaldurClient, connection: OfferingsConnection) -> None:
        self._client = client
        self._connection = connection
        self._customer = connection.waldur.customer_uuid
        # A mapped offering need not carry an id: that is what the hand-made map is for.
        self._mapped = {uuid: key for key, uuid in connection.offering_map.items()}

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all offerings of the customer that carry an id of the chain's form.

        The server is first asked something whose answer is known: one that ignores filters would show every
        customer's offerings as this one's.
        """
        sweep.identity = f"customer {self._customer}"
        await self._client.check_filters(self._customer)
        async for page in self._client.sweep(self._customer, fields=FULL_FIELDS):
            sweep.seen += len(page.rows)
            sweep.declared = page.total
            if page.incomplete:
                sweep.gaps.append(page.incomplete)
            yield self._records(page.rows, sweep)

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield offerings by the id in their attributes, or else by ``backend_id``.

        Waldur can search attributes only. One that was made by hand with nothing but its ``backend_id`` must be seen
        too, or it would be created a second time: all ids of the customer are read once for those not found.
        """
        sweep.identity = f"customer {self._customer}"
        unseen = set()
        for key in natural_keys:
            records = self._records(await self._client.find(self._customer, ID_ATTRIBUTE, key), sweep)
            if not any(record.natural_key == key for record in records):
                unseen.add(key)
            yield records
        if unseen:
            yield await self._by_backend_id(unseen)

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every offering of the customer with this id."""
        return self._records(await self._client.find(self._customer, ID_ATTRIBUTE, natural_key), Sweep())

    async def read(self, right_key: str) -> Record | None:
        """Return one offering in full; ``None`` when it does not exist."""
        row = await self._client.get(right_key)
        if row is None:
            return None
        if row.customer_uuid != self._customer:
            raise PeerError(
                "waldur",
                FailureKind.PERMANENT,
                f"offering {right_key} belongs to customer {row.customer_uuid}, not to {self._customer}; not touched",
            )
        return record_of_linked(row, self._connection.provider, self._mapped.get(row.uuid, ""))

    async def create(self, natural_key: str, content: Content) -> str:
        """Create the Draft with components and an unpriced plan; prices and state need further calls."""
        created = await self._client.create(
            OfferingDraft(
                name=content["name"],
                customer_uuid=self._customer,
                category_uuid=content["category"],
                type=self._connection.waldur.offering_type,
                description=content["description"],
                backend_id=natural_key,
                attributes=content["attributes"],
                components=tuple(_draft(kind, part) for kind, part in content["components"].items()),
                plans=(PlanDraft(PLAN_NAME),),
            )
        )
        return created.uuid

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring the named fields to what is wanted: overview, integration, attributes, components, prices, state.

        The state comes last: an offering is published when it is complete, and an archived one takes no edits, so it
        goes through Draft first.
        """
        state = current.content["state"]
        edits = [name for name in fields if name != "state"]
        if edits and not can_be_updated(state):
            state = await self._move(current.key, state, State.DRAFT)
        await self._edit(current, content, edits, state)
        wanted = content.get("state", state)
        if "state" in fields or state != current.content["state"]:
            await self._move(current.key, state, wanted)

    async def retire(self, current: Record) -> None:
        """Archive an offering whose source is gone."""
        await self._move(current.key, current.content["state"], State.ARCHIVED)

    async def _edit(self, current: Record, content: Content, fields: Sequence[str], state: str) -> None:
        uuid = current.key
        if "name" in fields or "description" in fields:
            # Both go in one call, which demands the name. A description that is not to be written is sent as it was
            # read: cleaning what was cleaned changes nothing.
            description = content["description"] if "description" in fields else current.content["description"]
            await self._client.update_overview(uuid, state=state, name=content["name"], description=description)
        if "category" in fields:
            await self._client.update_category(uuid, content["category"])
        if "backend_id" in fields:
            await self._client.update_integration(uuid, backend_id=content["backend_id"])
        if "attributes" in fields:
            await self._client.update_attributes(uuid, content["attributes"])
        if "components" in fields:
            await self._components(current, content["components"])
        if "prices" in fields or ("components" in fields and "prices" in content):
            await self._prices(current, content["prices"])

    async def _components(self, current: Record, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        found: Mapping[str, Any] = current.content["components"]
        uuids = current.meta["components"]
        for kind, part in wanted.items():
            if kind not in found:
                await self._client.create_component(current.key, _draft(kind, part))
            elif dict(found[kind]) != dict(part):
                await self._client.update_component(current.key, uuids[kind], _draft(kind, part))
        for kind in found.keys() - wanted.keys():
            await self._client.remove_component(current.key, uuids[kind])

    async def _prices(self, current: Record, prices: Mapping[str, Decimal]) -> None:
        plan = current.meta["plan"] or (await self._client.create_plan(current.key, PlanDraft(PLAN_NAME))).uuid
        if prices:
            await self._client.update_prices(plan, {kind: Decimal(price) for kind, price in prices.items()})

    async def _move(self, uuid: str, state: str, wanted: str) -> str:
        for action in actions_between(state, wanted):
            await self._act(uuid, action, TRANSITIONS[State(state), action])
            state = TRANSITIONS[State(state), action]
        return wanted

    async def _act(self, uuid: str, action: Action, after: str) -> None:
        reason = "paused on the chain" if action is Action.PAUSE else ""
        try:
            await self._client.act(uuid, action, paused_reason=reason)
        except IllegalTransition as error:
            # A state action that was carried out before (its reply was lost) is refused the second time.
            seen = await self._client.get(uuid)
            if seen is not None and seen.state == after:
                return
            hint = "; does it have a plan?" if action in PLAN_ACTIONS else ""
            # Not the record's fault, and not for ever: somebody else moved it since it was read.
            raise PeerError(
                "waldur",
                FailureKind.TRANSIENT,
                f"{action} is refused: the offering is {seen.state if seen else 'gone'} now{hint}",
                status=error.status,
                operation=error.operation,
            ) from None

    async def _by_backend_id(self, keys: Collection[str]) -> list[Record]:
        claimed: list[str] = []
        async for page in self._client.sweep(self._customer, fields=("backend_id", "attributes")):
            claimed += [row.uuid for row in page.rows if natural_key_of(row) in keys]
        rows = [await self._client.get(uuid) for uuid in claimed]
        return self._records([row for row in rows if row is not None], Sweep())

    def _records(self, rows: Sequence[WaldurOffering], sweep: Sweep) -> list[Record]:
        records = [self._record(row) for row in rows]
        sweep.ignored += records.count(None)
        return [record for record in records if record is not None]

    def _record(self, row: WaldurOffering) -> Record | None:
        mapped = self._mapped.get(row.uuid)
        if mapped is None:
            return record_of_waldur(row, self._connection.provider)
        return record_of_linked(row, self._connection.provider, mapped)


def _draft(kind: str, part: Mapping[str, Any]) -> ComponentDraft:
    return ComponentDraft(
        type=kind, name=part["name"], billing_type=part["billing_type"], measured_unit=part["measured_unit"]
    )
