"""Stock in the ERP: what lies of each variant at one location."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.core.records import Content, Record
from sync_pipelines.core.seal import Sweep
from sync_pipelines.pipelines.commerce.inventory.mapping import (
    Stocked,
    StockSettings,
    not_creatable,
    stock_count,
    stock_of_odoo,
)
from sync_pipelines.pipelines.commerce.linked import Linked, code_key
from sync_pipelines.systems.odoo import PEER, Entity, OdooClient
from sync_pipelines.systems.odoo.listing import raise_malformed
from sync_pipelines.systems.odoo.values import amount, flag, record_id, text

PAGE_SIZE = 1000
"""A page with quantities takes 0.4 s."""
LOOKED_UP = 100
"""Codes a look-up."""


def parse_stocked(row: Mapping[str, Any]) -> Stocked:
    """Return a variant with its stock; raises ``ValueError``."""
    return Stocked(
        id=record_id(row),
        code=text(row, "default_code"),
        active=flag(row, "active", default=True),
        # Before 18 being storable was a type of its own.
        is_storable=flag(row, "is_storable", default=text(row, "type") == "product"),
        available=amount(row, "qty_available"),
        free=amount(row, "free_qty"),
    )


STOCKED = Entity(
    "product.product",
    ("default_code", "active", "type", "is_storable", "qty_available", "free_qty"),
    parse_stocked,
)


class OdooInventory:
    """Reads and counts the stock of variants at a location."""

    def __init__(self, client: OdooClient, settings: StockSettings, linked: Linked) -> None:
        self._client = client
        self._settings = settings
        self._linked = linked
        # Without it quantities are those of all locations together.
        self._context = {"location": settings.location_id}

    async def sweep(self, sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the stock of all variants. Always all: no time tells that stock has changed."""
        sweep.identity = f"location {self._settings.location_id}"
        async for page in self._client.sweep(STOCKED, sweep, page_size=PAGE_SIZE, context=self._context):
            yield self._records(page.rows, sweep)

    async def look(self, natural_keys: Sequence[str], sweep: Sweep) -> AsyncIterator[Sequence[Record]]:
        """Yield the stock of some SKUs."""
        sweep.identity = f"location {self._settings.location_id}"
        rows = await self._coded(natural_keys)
        sweep.seen += len(rows)
        yield self._records(rows, sweep)

    async def find(self, natural_key: str) -> Sequence[Record]:
        """Return the stock of every variant of a SKU: codes are not unique in Odoo."""
        return self._records(await self._coded([natural_key]), Sweep())

    async def read(self, right_key: str) -> Record | None:
        """Return the stock of a variant, ``None`` when it is gone."""
        rows = await self._rows([int(right_key)])
        if not rows:
            return None
        return stock_of_odoo(rows[0], self._linked, self._settings) or Record(
            right_key, "", {}, invalid="it has no code any more"
        )

    async def create(self, natural_key: str, content: Content) -> str:
        """Refuse: stock makes no products."""
        raise PeerError(PEER, FailureKind.PERMANENT, str(not_creatable(content)), key=natural_key)

    async def write(self, current: Record, content: Content, fields: Sequence[str]) -> None:
        """Enter a count and apply it. Counts are absolute, so that one may be sent again."""
        if "quantity" not in fields:
            return
        try:
            count = stock_count(current, content, self._settings)
        except ValueError as problem:
            raise PeerError(PEER, FailureKind.PERMANENT, str(problem), key=current.natural_key) from None
        [outcome] = await self._client.set_stock([count])
        if outcome.error is not None:
            raise outcome.error

    async def retire(self, current: Record) -> None:
        """Do nothing: goods that the shop does not sell still lie where they lie."""

    async def _coded(self, codes: Sequence[str]) -> list[Stocked]:
        wanted = {code_key(code) for code in codes}
        linked = {variant for code in wanted if (variant := self._linked.variant_of(code)) is not None}
        ids = set(linked)
        for first in range(0, len(wanted), LOOKED_UP):
            found = await self._client.find(STOCKED, _written_like(sorted(wanted)[first : first + LOOKED_UP]))
            # An underscore stands for any character there.
            ids |= {row.id for row in found.rows if code_key(row.code) in wanted}
        # Again: a look-up takes all locations together.
        return await self._rows(sorted(ids))

    async def _rows(self, ids: Sequence[int]) -> list[Stocked]:
        page = await self._client.read(STOCKED, ids, context=self._context)
        raise_malformed(page)
        return list(page.rows)

    def _records(self, rows: Sequence[Stocked], sweep: Sweep) -> list[Record]:
        records = [stock_of_odoo(row, self._linked, self._settings) for row in rows]
        sweep.ignored += records.count(None)
        return [record for record in records if record is not None]


def _written_like(codes: Sequence[str]) -> list[Any]:
    """Return the domain of codes in any letter case."""
    return [*["|"] * (len(codes) - 1), *(["default_code", "=ilike", code] for code in codes)]
