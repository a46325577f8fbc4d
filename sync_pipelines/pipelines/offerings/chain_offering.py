"""An offering as the chain stores it: the fields that are mapped, strictly typed, everything else ignored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")

_MAPS = frozenset({"usage_rates", "public_metadata", "specifications"})


class Unmappable(Exception):
    """The offering cannot be shown in Waldur; the message says why, and what to mend."""


class ChainState(IntEnum):
    """State of an offering on the chain."""

    UNSPECIFIED = 0
    ACTIVE = 1
    PAUSED = 2
    SUSPENDED = 3
    DEPRECATED = 4
    TERMINATED = 5


def _amount(value: object) -> int:
    """Amounts are whole numbers of up to 64 bits, as JSON numbers in ``pricing`` and as texts in ``prices``."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("an amount is a whole number")
    text = str(value)
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"{text!r} is not a whole number")
    amount = int(text)
    if amount >= 2**64:
        raise ValueError(f"{text} does not fit 64 bits")
    return amount


def _text(value: str) -> str:
    found = _UNUSABLE.search(value)
    if found is None:
        return value
    if found.group() == "\x00":
        raise ValueError("contains a NUL character, which Waldur refuses")
    raise ValueError("contains half of a surrogate pair, which no UTF-8 text has")


Amount = Annotated[int, BeforeValidator(_amount)]
Text = Annotated[str, AfterValidator(_text)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class OfferingId(_Part):
    """``<provider_address>/<sequence>``."""

    provider_address: str
    sequence: int = Field(gt=0)


class Coin(_Part):
    """An amount in the smallest unit of a currency."""

    denom: str
    amount: Amount


class Price(_Part):
    """One line of a price list."""

    resource_type: Text
    unit: Text
    price: Coin


class Pricing(_Part):
    """The older form of prices: a base price and rates by use."""

    model: str = ""
    base_price: Amount = 0
    currency: str = ""
    usage_rates: Mapping[Text, Amount] = {}


class IdentityRequirement(_Part):
    """Who may order."""

    min_score: int = 0


class ChainOffering(_Part):
    """The mapped fields of an offering. Absent lists and maps are empty, as the chain leaves them out."""

    id: OfferingId
    state: ChainState
    category: Text
    name: Text
    description: Text = ""
    version: Text = ""
    # Made anew each time: pydantic copies a default deeply, which takes longer than all other fields together.
    pricing: Pricing = Field(default_factory=Pricing)
    prices: tuple[Price, ...] = ()
    identity_requirement: IdentityRequirement = Field(default_factory=IdentityRequirement)
    require_mfa_for_orders: bool = False
    public_metadata: Mapping[Text, Text] = {}
    specifications: Mapping[Text, Text] = {}
    tags: tuple[Text, ...] = ()
    regions: tuple[Text, ...] = ()
    max_concurrent_orders: int = 0


def parse(raw: Mapping[str, Any]) -> ChainOffering:
    """Return the typed offering.

    Raises:
        Unmappable: a field is missing or has a value that cannot be meant; the message names it.
    """
    if "unreadable" in raw:
        raise Unmappable(f"the chain's value cannot be read: {raw['unreadable']}")
    try:
        return ChainOffering.model_validate(raw)
    except ValidationError:
        # Go writes an absent list or map as null. Few offerings have one, and looking for it takes as long as the rest.
        return _parse_strictly(_without_nulls(raw))


def _parse_strictly(raw: Mapping[str, Any]) -> ChainOffering:
    try:
        return ChainOffering.model_validate(raw)
    except ValidationError as errors:
        first = errors.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise Unmappable(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None


def _without_nulls(value: Any) -> Any:
    """Leave out the fields that are null; what is in a map of texts is no field."""
    if isinstance(value, Mapping):
        return {
            name: part if name in _MAPS else _without_nulls(part) for name, part in value.items() if part is not None
        }
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value
