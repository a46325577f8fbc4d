"""From chain prices to Waldur components with exact decimal prices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact

from sync_pipelines.pipelines.offerings.chain_offering import ChainOffering, Unmappable

TYPE_LIMIT = 50
UNIT_LIMIT = 30
NAME_LIMIT = 150
PLACES = 10
WHOLE_DIGITS = 12
"""Digits of a Waldur price after and before the decimal point; a longer one is refused with 400."""

BILLING_OF_MODEL = {"hourly": "usage", "daily": "usage", "usage_based": "usage", "monthly": "fixed", "fixed": "fixed"}
"""Pricing model of the base price -> Waldur billing type; Waldur has no monthly one, its plans are by the month."""

_TYPE = re.compile(rf"[a-z0-9_/:]{{1,{TYPE_LIMIT}}}")
_EXACT = Context(prec=60, traps=[Inexact])
_WIDE = Context(prec=60)
_LAST_PLACE = Decimal(1).scaleb(-PLACES)


@dataclass(frozen=True, slots=True)
class Component:
    """What is metered, and its price in the smallest unit of ``denom``."""

    type: str
    name: str
    billing_type: str
    measured_unit: str
    amount: int
    denom: str

    @property
    def content(self) -> dict[str, str]:
        """Return what Waldur keeps of it beside the price."""
        return {"name": self.name, "billing_type": self.billing_type, "measured_unit": self.measured_unit}


def components_of(offering: ChainOffering) -> tuple[Component, ...]:
    """Return one component per price; the price list wins over the older ``pricing``.

    Types are unique in a Waldur offering (a second one is a server error there), so two prices that lead to the same
    type are a mistake of the source.

    Raises:
        Unmappable: two prices lead to one type, or a name has no form that Waldur accepts.
    """
    components = tuple(_listed(offering) if offering.prices else _rated(offering))
    types = [component.type for component in components]
    for kind in types:
        if types.count(kind) > 1:
            raise Unmappable(f"prices: two of them lead to the component {kind!r}; rename a resource type or unit")
    return components


def prices_of(components: Sequence[Component], denominator: Callable[[str], int]) -> dict[str, Decimal]:
    """Return the exact price of each component, by type.

    Arguments:
        denominator: denomination -> how many smallest units make one of the currency.

    Raises:
        Unmappable: a price has more digits than Waldur keeps.
        ValueError: the denomination is unknown.
    """
    return {component.type: _price(component, denominator(component.denom)) for component in components}


def _price(component: Component, denominator: int) -> Decimal:
    price = _EXACT.divide(Decimal(component.amount), Decimal(denominator))
    if price != price.quantize(_LAST_PLACE, context=_WIDE):
        raise Unmappable(
            f"prices: {component.amount} {component.denom} / {denominator} has more than {PLACES} decimal places"
        )
    if price.adjusted() >= WHOLE_DIGITS:
        raise Unmappable(
            f"prices: {component.amount} {component.denom} / {denominator} has more than {WHOLE_DIGITS} digits before "
            "the decimal point; is the currency_denominator right?"
        )
    return price


def _listed(offering: ChainOffering) -> Iterator[Component]:
    for price in offering.prices:
        if not price.resource_type.strip():
            raise Unmappable("prices: a resource_type is empty; Waldur requires a name for each component")
        yield Component(
            type=_type(f"{price.resource_type}_{price.unit}"),
            name=price.resource_type[:NAME_LIMIT],
            billing_type="usage",
            measured_unit=price.unit[:UNIT_LIMIT],
            amount=price.price.amount,
            denom=price.price.denom,
        )


def _rated(offering: ChainOffering) -> Iterator[Component]:
    pricing = offering.pricing
    billing_type = BILLING_OF_MODEL.get(pricing.model)
    if billing_type is None:
        raise Unmappable(f"pricing.model: {pricing.model!r} is unknown; known are {', '.join(BILLING_OF_MODEL)}")
    yield Component("base", "base", billing_type, pricing.model, pricing.base_price, pricing.currency)
    for name, rate in sorted(pricing.usage_rates.items()):
        yield Component(_type(name), name[:NAME_LIMIT], "usage", name[:UNIT_LIMIT], rate, pricing.currency)


def _type(text: str) -> str:
    kind = text.replace("-", "_").lower()
    if not _TYPE.fullmatch(kind):
        raise Unmappable(
            f"prices: {text!r} is no component type for Waldur (at most {TYPE_LIMIT} letters, digits, _ / : -)"
        )
    return kind
