"""Orders of the ERP: quotations and orders that carry a reference of the shop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from sync_pipelines.core.errors import ConfigurationError, FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.geography import Geography, read_geography
from sync_pipelines.pipelines.commerce.linked import Linked, code_key
from sync_pipelines.pipelines.commerce.orders.credit_notes import credit_notes, draft_credit_notes
from sync_pipelines.pipelines.commerce.orders.guests import partner_of_guest
from sync_pipelines.pipelines.commerce.orders.lines import Services
from sync_pipelines.pipelines.commerce.orders.mapping import CreditNote, Surroundings, order_of_odoo
from sync_pipelines.pipelines.commerce.orders.moved_invoices import orders_of_moved_invoices
from sync_pipelines.pipelines.commerce.orders.order_writing import (
    NotLinkedYet,
    Writing,
    head_values,
    line_changes,
    moment_of,
)
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.pipelines.commerce.orders.status import Status, Step, steps_between
from sync_pipelines.systems.odoo import (
    LINES,
    ORDERS,
    PEER,
    Entity,
    OdooClient,
    Outcome,
    SaleLine,
    SaleOrder,
)
from sync_pipelines.systems.odoo.listing import OVERLAP, raise_malformed
from sync_pipelines.systems.odoo.values import Row, record_id, text

_ORDER = "sale.order"
_LOOKED_UP = 100


def _parse_code(row: Row) -> tuple[int, str]:
    return record_id(row), text(row, "default_code")


def _parse_email(row: Row) -> tuple[int, str]:
    return record_id(row), text(row, "email_normalized")


# Of what orders point at nothing else is needed, and a price that cannot be read must not keep an order from being.
CODES = Entity("product.product", ("default_code",), _parse_code)
EMAILS = Entity("res.partner", ("email_normalized",), _parse_email)


class OdooOrders:
    """Reads and writes the orders of one shop in Odoo."""

    def __init__(self, client: OdooClient, settings: OrderSettings, linked: Linked) -> None:
        self._client = client
        self._settings = settings
        self._linked = linked
        self._services: Services | None = None
        self._geography: Geography | None = None

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield all orders with a reference of the shop."""
        sweep.identity = f"store {self._settings.store}"
        notes = await credit_notes(self._client, None, self._settings)
        if notes is None:
            sweep.notes.append("credit notes cannot be read with this key; refunds are not compared")
        async for page in self._client.sweep(ORDERS, sweep, domain=self._ours()):
            yield await self._records(page.rows, sweep, notes)

    async def touched(self, since: datetime, *, overlap: timedelta = OVERLAP) -> list[str]:
        """Return the natural keys of the orders written to since a moment of the server's time, to be looked at.

        So are those whose invoices or credit notes were: neither a payment nor a refund moves its order.
        """
        found = Sweep()
        written = [
            self._settings.key_of(number)
            async for page in self._client.sweep(ORDERS, found, domain=self._ours(), since=since, overlap=overlap)
            for row in page.rows
            if (number := self._settings.order_id_of(row.client_order_ref)) is not None
        ]
        return written + await orders_of_moved_invoices(self._client, self._settings, since, overlap)

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the orders with some references."""
        sweep.identity = f"store {self._settings.store}"
        for first in range(0, len(natural_keys), _LOOKED_UP):
            yield await self._referring(natural_keys[first : first + _LOOKED_UP], sweep)

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return every order with a reference: Odoo takes one twice."""
        return await self._referring([natural_key], Sweep())

    async def read(self, right_key: str) -> Record | None:
        """Return one order; ``None`` when it is gone."""
        page = await self._client.read(ORDERS, [int(right_key)])
        raise_malformed(page)
        if not page.rows:
            return None
        [row] = page.rows
        number = self._settings.order_id_of(row.client_order_ref)
        keys = [] if number is None else [self._settings.key_of(number)]
        around = await self._around(page.rows, await credit_notes(self._client, keys, self._settings))
        return order_of_odoo(row, around, self._linked, self._settings, natural_key="")

    async def create(self, natural_key: str, content: Content) -> str:
        """Create the quotation with its lines. Status and refunds need further calls."""
        writing = await self._writing()
        partner = await self._partner(content)
        try:
            draft = writing.draft(content, partner)
        except NotLinkedYet as problem:
            raise _not_yet(str(problem), natural_key) from None
        [outcome] = await self._client.create_orders([draft])
        _raise(outcome)
        return str(outcome.id)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Bring an order to what is wanted: what it says, its lines, then its status, and credit notes at last."""
        status = current.content["status"]
        steps = list(self._steps(current, content)) if "status" in fields else []
        if steps and steps[0] is Step.DRAFT:
            # A cancelled order is no quotation that could be edited.
            await self._step(steps.pop(0), current, content)
            status = Status.OPEN
        values = head_values(content, fields, self._settings)
        if "customer" in fields:
            values["partner_id"] = await self._partner(content)
            if (pricelist := self._settings.pricelists.get(content["currency"])) is not None:
                # A customer brings a price list along, which may be in another currency.
                values["pricelist_id"] = pricelist
        if values:
            [written] = await self._client.write(_ORDER, [(int(current.key), values)])
            _raise(written)
        if "lines" in fields:
            await self._lines(current, content, confirmed=status == Status.CONFIRMED)
        for step in steps:
            await self._step(step, current, content)
        if "refunds" in fields:
            product = (await self._writing()).services
            booked_on = product.other or product.fee
            await draft_credit_notes(self._client, current, content["refunds"], self._settings, booked_on)

    async def retire(self, current: Record) -> None:
        """Cancel an order that is gone from the shop, unless it is delivered or invoiced."""
        await self.write(current, {**current.content, "status": str(Status.CANCELLED)}, ["status"])

    def _steps(self, current: Record, content: Content) -> tuple[Step, ...]:
        try:
            return steps_between(current.content["status"], content["status"], current.content["progress"])
        except ValueError as problem:
            raise PeerError(PEER, FailureKind.PERMANENT, str(problem), key=current.natural_key) from None

    async def _step(self, step: Step, current: Record, content: Content) -> None:
        number = int(current.key)
        match step:
            case Step.CONFIRM:
                date = content if content.get("date") else current.content
                _raise((await self._client.confirm({number: moment_of(date)}))[number])
            case Step.CANCEL:
                [outcome] = await self._client.cancel([number])
                _raise(outcome)
            case Step.DRAFT:
                await self._client.session.call(_ORDER, step, ids=[number])

    async def _lines(self, current: Record, content: Content, *, confirmed: bool) -> None:
        try:
            changes = line_changes(current.meta["lines"], content["lines"], await self._writing(), confirmed=confirmed)
        except NotLinkedYet as problem:
            raise _not_yet(str(problem), current.natural_key) from None
        if not changes.none:
            _raise(
                await self._client.change_lines(
                    int(current.key), add=changes.add, change=changes.change, remove=changes.remove
                )
            )

    async def _partner(self, content: Content) -> int:
        customer = content["customer"]
        if customer["id"] is None:
            self._geography = self._geography or await read_geography(self._client)
            return await partner_of_guest(self._client, customer, self._settings, self._geography)
        partner = self._linked.partner_of(int(customer["id"]))
        if partner is None:
            raise _not_yet(f"customer {customer['id']} is not linked with a partner yet", content["reference"])
        return partner

    async def _writing(self) -> Writing:
        if self._services is None:
            self._services = await services_of(self._client, self._settings)
        return Writing(self._settings, self._linked, self._services)

    def _ours(self) -> list[list[str]]:
        return [["client_order_ref", "=like", f"{self._settings.key_of(0).removesuffix('0')}%"]]

    async def _referring(self, keys: Sequence[str], sweep: Sweep) -> list[Record]:
        page = await self._client.find(ORDERS, [["client_order_ref", "in", list(keys)]])
        raise_malformed(page)
        sweep.seen += len(page.rows)
        return await self._records(page.rows, sweep, await credit_notes(self._client, keys, self._settings))

    async def _records(
        self, rows: Sequence[SaleOrder], sweep: Sweep, notes: dict[str, list[CreditNote]] | None
    ) -> list[Record]:
        around = await self._around(rows, notes)
        records = [order_of_odoo(row, around, self._linked, self._settings) for row in rows]
        sweep.ignored += records.count(None)
        return [record for record in records if record is not None]

    async def _around(self, rows: Sequence[SaleOrder], notes: dict[str, list[CreditNote]] | None) -> Surroundings:
        page = await self._client.read(LINES, [line for row in rows for line in row.line_ids])
        raise_malformed(page)
        lines: dict[int, list[SaleLine]] = {}
        for line in page.rows:
            if line.order is not None:
                lines.setdefault(line.order.id, []).append(line)
        variants = {line.product.id for line in page.rows if line.product}
        partners = {row.partner.id for row in rows if row.partner}
        coded = await self._client.read(CODES, sorted(variants))
        people = await self._client.read(EMAILS, sorted(partners))
        raise_malformed(coded)
        raise_malformed(people)
        return Surroundings(
            lines=lines,
            codes=dict(coded.rows),
            emails=dict(people.rows),
            credit_notes=notes,
        )


async def services_of(client: OdooClient, settings: OrderSettings) -> Services:
    """Return the variants that shipping, fees and items without a product are booked on.

    Raises:
        ConfigurationError: there is none of that code, or several.
    """
    codes = [settings.shipping, settings.fee, *([settings.stand_in] if settings.stand_in else [])]
    page = await client.find(CODES, [["default_code", "in", codes], ["active", "=", True]])
    found: dict[str, list[int]] = {}
    for variant, code in page.rows:
        found.setdefault(code_key(code), []).append(variant)
    ids = []
    for code in codes:
        held = found.get(code_key(code), [])
        if len(held) != 1:
            number = f"{len(held)} products" if held else "no product"
            raise ConfigurationError(
                f"odoo: {number} of the code {code!r}, on which orders of the shop book what is no product; make one "
                "service product of this code, or name another one in the settings of the orders"
            )
        ids.append(held[0])
    return Services(ids[0], ids[1], ids[2] if settings.stand_in else None)


def _not_yet(problem: str, key: str) -> PeerError:
    return PeerError(PEER, FailureKind.TRANSIENT, problem, key=key)


def _raise(outcome: Outcome) -> None:
    if outcome.error is not None:
        raise outcome.error
