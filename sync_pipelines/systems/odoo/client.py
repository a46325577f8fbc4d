"""The part of Odoo's external API that keeps customers, products, stock and orders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sync_pipelines.core.errors import PeerError
from sync_pipelines.core.seal import Sweep
from sync_pipelines.systems.odoo import batches, loading, orders, stock
from sync_pipelines.systems.odoo.batches import BATCH_SIZE, Outcome
from sync_pipelines.systems.odoo.listing import (
    OVERLAP,
    PAGE_SIZE,
    Domain,
    Page,
    find_rows,
    known_fields,
    listed_ids,
    raise_malformed,
    read_rows,
    sweep_rows,
    window,
)
from sync_pipelines.systems.odoo.loading import LoadRecord
from sync_pipelines.systems.odoo.models import Country, CountryState, Currency, StockLevel
from sync_pipelines.systems.odoo.orders import LineDraft, OrderDraft
from sync_pipelines.systems.odoo.parsing import COUNTRIES, CURRENCIES, STATES, STOCK_LEVELS, Entity, T
from sync_pipelines.systems.odoo.session import OdooSession
from sync_pipelines.systems.odoo.stock import StockCount

NEEDED_MODELS = ("res.partner", "product.product", "stock.quant", "sale.order")
_LOOK_UP_LIMIT = 5000


class OdooClient:
    """Reads and writes one database. Reads raise ``PeerError``, classified by ``errors.py``; writes return outcomes.

    Arguments:
        session: closed by whoever made it.
    """

    def __init__(self, session: OdooSession) -> None:
        self.session = session
        self._fields: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
        self._tax_field = ""

    async def server_time(self) -> datetime:
        """Return the server's time; see :meth:`OdooSession.server_time`. Ask before a window is read."""
        return await self.session.server_time()

    async def sweep(
        self,
        entity: Entity[T],
        sweep: Sweep,
        *,
        domain: Domain = (),
        since: datetime | None = None,
        overlap: timedelta = OVERLAP,
        page_size: int = PAGE_SIZE,
        context: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Page[T]]:
        """Yield all rows, archived ones included, or those that were written since a moment.

        Stock moves no ``write_date`` of a product: read all :data:`STOCK_LEVELS`, or a window of :data:`QUANTS`.

        Arguments:
            entity: e.g. :data:`PARTNERS`.
            sweep: filled in while reading; see :func:`sync_pipelines.systems.odoo.listing.sweep_rows`.
            since: the server's time when the last window was begun; ``None`` for everything.
            overlap: how far before it the window begins; longer than the longest transaction.
        """
        wanted = [*domain, *(window(since, overlap) if since is not None else ())]
        fields = await self._known(entity)
        async for page in sweep_rows(
            self.session,
            entity,
            sweep,
            fields=fields,
            domain=wanted,
            page_size=page_size,
            count=since is None,
            context=context,
        ):
            yield page

    async def ids(self, model: str, sweep: Sweep, *, domain: Domain = ()) -> list[int]:
        """Return the ids of all rows, archived ones included; what is missing from a sealed list was removed."""
        return await listed_ids(self.session, model, sweep, domain=domain)

    async def read(self, entity: Entity[T], ids: Sequence[int], *, context: Mapping[str, Any] | None = None) -> Page[T]:
        """Return the rows of these ids as they are now; one that is gone is left out."""
        if not ids:
            return Page(())
        return await read_rows(self.session, entity, ids, fields=await self._known(entity), context=context)

    async def find(self, entity: Entity[T], domain: Domain, *, limit: int = PAGE_SIZE) -> Page[T]:
        """Return the rows that a domain finds, archived ones included, oldest first."""
        return await find_rows(self.session, entity, domain, fields=await self._known(entity), limit=limit)

    async def stock_levels(self, product_ids: Sequence[int], *, location_id: int | None = None) -> Page[StockLevel]:
        """Return the stock of variants, at one location with what lies below it, or at all of them."""
        context = {"location": location_id} if location_id is not None else None
        return await self.read(STOCK_LEVELS, product_ids, context=context)

    async def countries(self) -> tuple[Country, ...]:
        """Return all countries."""
        return await self._all(COUNTRIES)

    async def states(self) -> tuple[CountryState, ...]:
        """Return the states of all countries."""
        return await self._all(STATES)

    async def currencies(self) -> tuple[Currency, ...]:
        """Return all currencies, those that are not in use included."""
        return await self._all(CURRENCIES)

    async def create(
        self,
        model: str,
        records: Sequence[Mapping[str, Any]],
        *,
        batch_size: int = BATCH_SIZE,
        context: Mapping[str, Any] | None = None,
    ) -> list[Outcome]:
        """Create records; see :func:`sync_pipelines.systems.odoo.batches.create`."""
        return await batches.create(self.session, model, records, batch_size=batch_size, context=context)

    async def write(
        self,
        model: str,
        changes: Sequence[tuple[int, Mapping[str, Any]]],
        *,
        batch_size: int = BATCH_SIZE,
        context: Mapping[str, Any] | None = None,
    ) -> list[Outcome]:
        """Write values to records; see :func:`sync_pipelines.systems.odoo.batches.write`."""
        return await batches.write(self.session, model, changes, batch_size=batch_size, context=context)

    async def load(
        self,
        model: str,
        records: Sequence[LoadRecord],
        *,
        batch_size: int = BATCH_SIZE,
        context: Mapping[str, Any] | None = None,
    ) -> list[Outcome]:
        """Create or update by external id; see :func:`sync_pipelines.systems.odoo.loading.load`."""
        return await loading.load(self.session, model, records, batch_size=batch_size, context=context)

    async def unlink(self, model: str, ids: Sequence[int]) -> list[Outcome]:
        """Remove records for good; one that is gone already counts as done."""
        return await batches.unlink(self.session, model, ids)

    async def archive(self, model: str, ids: Sequence[int]) -> list[Outcome]:
        """Archive records."""
        return await batches.set_active(self.session, model, ids, False)

    async def unarchive(self, model: str, ids: Sequence[int]) -> list[Outcome]:
        """Bring archived records back."""
        return await batches.set_active(self.session, model, ids, True)

    async def set_stock(self, counts: Sequence[StockCount]) -> list[Outcome]:
        """Make stock what was counted; see :func:`sync_pipelines.systems.odoo.stock.set_stock`."""
        return await stock.set_stock(self.session, counts)

    async def create_orders(self, drafts: Sequence[OrderDraft]) -> list[Outcome]:
        """Create draft orders; see :func:`sync_pipelines.systems.odoo.orders.create_orders`."""
        return await orders.create_orders(self.session, drafts, await self._taxes())

    async def change_lines(
        self,
        order_id: int,
        *,
        add: Sequence[LineDraft] = (),
        change: Mapping[int, LineDraft] | None = None,
        remove: Sequence[int] = (),
    ) -> Outcome:
        """Change the lines of an order; see :func:`sync_pipelines.systems.odoo.orders.change_lines`."""
        taxes = await self._taxes()
        return await orders.change_lines(self.session, order_id, taxes, add=add, change=change, remove=remove)

    async def confirm(self, dates: Mapping[int, datetime]) -> dict[int, Outcome]:
        """Confirm orders and keep their dates; see :func:`sync_pipelines.systems.odoo.orders.confirm`."""
        return await orders.confirm(self.session, dates)

    async def cancel(self, ids: Sequence[int]) -> list[Outcome]:
        """Cancel orders."""
        return await orders.cancel(self.session, ids)

    async def problems(self, models: Sequence[str] = NEEDED_MODELS) -> list[str]:
        """Return what is wrong with this connection, in an operator's words; empty when nothing is."""
        try:
            await self.session.call("res.users", "context_get")
        except PeerError as error:
            return [str(error)]
        found = []
        for model in models:
            try:
                await self.session.call(model, "search", domain=[], limit=1)
            except PeerError as error:
                found.append(f"{model}: {error}")
        return found

    async def _all(self, entity: Entity[T]) -> tuple[T, ...]:
        page = await find_rows(self.session, entity, [], limit=_LOOK_UP_LIMIT)
        raise_malformed(page)
        return page.rows

    async def _known(self, entity: Entity[T]) -> tuple[str, ...]:
        # By its fields as well: several entities read one model, such as invoices and credit notes.
        wanted = (entity.model, tuple(entity.fields))
        if wanted not in self._fields:
            self._fields[wanted] = await known_fields(self.session, *wanted)
        return self._fields[wanted]

    async def _taxes(self) -> str:
        self._tax_field = self._tax_field or await orders.tax_field(self.session)
        return self._tax_field
