"""What is known already of which record belongs to which: orders and stock are about customers and products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


def code_key(code: str) -> str:
    """Return a product code as it is looked up: the shop finds SKUs whatever their letter case and edges."""
    return code.strip().upper()


@dataclass(frozen=True)
class Linked:
    """Links of customers and products, as the runs before made them.

    Attributes:
        partners: customer id of the shop -> ``res.partner`` id.
        variants: SKU of the shop -> ``product.product`` id.
    """

    partners: Mapping[int, int] = field(default_factory=dict)
    variants: Mapping[str, int] = field(default_factory=dict)

    def partner_of(self, customer_id: int) -> int | None:
        """Return the partner of a customer, ``None`` while there is none."""
        return self.partners.get(customer_id)

    def customer_of(self, partner_id: int) -> int | None:
        """Return the customer of a partner, ``None`` for one that is none of the shop's."""
        return self._customers.get(partner_id)

    def variant_of(self, sku: str) -> int | None:
        """Return the variant of a SKU, ``None`` while there is none."""
        return self._variants.get(code_key(sku))

    def sku_of(self, variant_id: int) -> str | None:
        """Return the SKU of a variant as the shop writes it, ``None`` for one that is not linked."""
        return self._skus.get(variant_id)

    @cached_property
    def _customers(self) -> dict[int, int]:
        return {partner: customer for customer, partner in self.partners.items()}

    @cached_property
    def _variants(self) -> dict[str, int]:
        return {code_key(sku): variant for sku, variant in self.variants.items()}

    @cached_property
    def _skus(self) -> dict[int, str]:
        return {variant: sku.strip() for sku, variant in self.variants.items()}
