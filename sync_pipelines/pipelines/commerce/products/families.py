"""Families: a variable product with its variations, a template with its variants, as the other system is to make them.

Pure. Records of variations tell nothing of their siblings; to make what is above them takes all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sync_pipelines.core.records import Content, Record
from sync_pipelines.pipelines.commerce.linked import code_key
from sync_pipelines.pipelines.commerce.products.mapping import (
    Choice,
    ProductSettings,
    records_of_odoo_family,
    records_of_shop_family,
)
from sync_pipelines.systems.odoo import ProductTemplate, ProductVariant
from sync_pipelines.systems.woocommerce import ManagesStock, Product, Variation


@dataclass(frozen=True, slots=True)
class Member:
    """A variation: its options by attribute, its regular price, and all that its record says."""

    sku: str
    options: Mapping[str, str]
    price: Decimal
    content: Content = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """A family as one system has it.

    Attributes:
        number: id of the variable product or of the template.
        stock_kept: whether stock of its variations is counted.
        attributes: the options of every attribute that tells its variations apart, in their order.
        skus: of all its variations.
        members: the variations that are in service, and the one that the family is called after.
    """

    number: int
    name: str
    for_sale: bool
    active: bool
    stock_kept: bool
    attributes: Mapping[str, tuple[str, ...]]
    skus: tuple[str, ...]
    members: tuple[Member, ...]

    @property
    def list_price(self) -> Decimal:
        """The lowest price, which the others are extra to."""
        return min((member.price for member in self.members), default=Decimal(0))

    @property
    def first(self) -> Member | None:
        """The variation with the lowest SKU, which the family is called after.

        It has to be there first: by another one, the half-made family would be taken for another family.
        """
        lowest = min(self.members, key=lambda member: code_key(member.sku), default=None)
        return lowest if lowest and self.attributes.keys() == lowest.options.keys() else None

    def unfit(self, options: Mapping[str, str]) -> str | None:
        """Return why no variation with these options can be made elsewhere, ``None`` when it can."""
        if not self.active:
            return f"{self.name!r:.60}, the product above it, is out of service"
        if not self.attributes:
            return f"{self.name!r:.60} has no attribute with several options to tell its variations apart"
        if open_ones := self.attributes.keys() - options.keys():
            return f"the variation leaves open its {', '.join(sorted(open_ones))}; choose an option of each attribute"
        return None


FamilyOf = Callable[[str], Awaitable[Family | None]]
"""Tells the family of a variation by its lowest SKU, ``None`` where there is none or several claim it."""


async def no_family(lowest: str) -> Family | None:
    """Know no family."""
    return None


def family_of_shop(product: Product, variations: Sequence[Variation], settings: ProductSettings) -> Family:
    """Return the family of a variable product."""
    parent, *records = records_of_shop_family(product, variations, settings)
    told = {one.name: one.options for one in product.attributes if one.variation and len(set(one.options)) > 1}
    kept = any(one.manage_stock is not ManagesStock.NO for one in (product, *variations))
    return _family(product.id, parent.content, records, told, kept)


def family_of_odoo(
    template: ProductTemplate,
    variants: Sequence[ProductVariant],
    choices: Mapping[int, Choice],
    settings: ProductSettings,
) -> Family:
    """Return the family of a template."""
    parent, *records = records_of_odoo_family(template, variants, choices, settings)
    given = {number for variant in variants for number in variant.attribute_value_ids}
    told: dict[str, tuple[str, ...]] = {}
    for number, one in choices.items():
        if number in given:
            told[one.attribute] = (*told.get(one.attribute, ()), one.option)
    return _family(template.id, parent.content, records, told, template.is_storable)


def extras_of(family: Family) -> Mapping[tuple[str, str], Decimal]:
    """Return what each option costs beside the lowest price; empty when no such sums make the prices.

    One attribute always does it. With several of them the price of a variation is the sum of what its options cost.
    """
    if not family.members:
        return {}
    cheapest = min(family.members, key=lambda member: member.price)
    extras = {option: Decimal(0) for option in cheapest.options.items()}
    left = list(family.members)
    while left:
        # The one with the fewest unknown options tells about one of them; what stays open costs nothing.
        member = min(left, key=lambda one: len(one.options.items() - extras.keys()))
        left.remove(member)
        unknown = [option for option in member.options.items() if option not in extras]
        if unknown:
            extras |= dict.fromkeys(unknown, Decimal(0))
            extras[unknown[-1]] = member.price - family.list_price - _sum(extras, member)
        elif family.list_price + _sum(extras, member) != member.price:
            return {}
    return extras


def _sum(extras: Mapping[tuple[str, str], Decimal], member: Member) -> Decimal:
    return sum((extras.get(option, Decimal(0)) for option in member.options.items()), Decimal(0))


def _family(
    number: int, parent: Content, records: Sequence[Record], told: Mapping[str, Sequence[str]], stock_kept: bool
) -> Family:
    """Return a family; ``told`` are the options of each attribute, those included that no variation has."""
    known = [record.content for record in records if not record.withheld]
    lowest = min((code_key(content["sku"]) for content in known), default=None)
    shown = [content for content in known if content["active"] or code_key(content["sku"]) == lowest]
    return Family(
        number=number,
        name=str(parent.get("name") or ""),
        for_sale=bool(parent.get("for_sale")),
        active=bool(parent.get("active")),
        stock_kept=stock_kept,
        attributes={name: _options(all_of_it, name, shown) for name, all_of_it in told.items()},
        skus=tuple(content["sku"] for content in known),
        members=tuple(
            Member(content["sku"], content["options"], content["price"] or Decimal(0), content) for content in shown
        ),
    )


def _options(told: Iterable[str], name: str, active: Sequence[Content]) -> tuple[str, ...]:
    """Return the options of an attribute that are sold; all of them while one alone would be no choice."""
    sold = dict.fromkeys(content["options"][name] for content in active if name in content["options"])
    listed = tuple(dict.fromkeys(told))
    if len(sold) < 2:
        return tuple(dict.fromkeys((*listed, *sold)))
    # The shop accepts an option that its product does not list.
    return (*(one for one in listed if one in sold), *(one for one in sold if one not in listed))
