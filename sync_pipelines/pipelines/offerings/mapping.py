"""From an on-chain offering to what Waldur should show, and from a Waldur offering to the same form. Pure.

The chain owns every field named here. Counters, timestamps and secrets are no fields: they take no part in anything.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.records import Content, Record
from sync_pipelines.pipelines.offerings.chain_offering import ChainOffering, ChainState, Unmappable, parse
from sync_pipelines.pipelines.offerings.connection import OfferingsConnection
from sync_pipelines.pipelines.offerings.prices import components_of, prices_of
from sync_pipelines.systems.waldur.models import WaldurOffering, WaldurPlan, price_as_read, quantized
from sync_pipelines.systems.waldur.states import State, can_be_updated

NAME_LIMIT = 150
"""Characters of a Waldur name; 151 are refused with 400."""
DESCRIPTION_LIMIT = 2000
"""Characters of a Waldur description in 7.0. A text that outgrows it when it is cleaned is a 500, every time."""

PLAN_NAME = "Default"
ID_ATTRIBUTE = "ve_offering_id"
"""Attribute that carries the offering id: attributes can be searched, ``backend_id`` cannot."""

WALDUR_STATE: Mapping[ChainState, State] = {
    ChainState.ACTIVE: State.ACTIVE,
    ChainState.PAUSED: State.PAUSED,
    ChainState.SUSPENDED: State.ARCHIVED,
    ChainState.DEPRECATED: State.PAUSED,
    ChainState.TERMINATED: State.ARCHIVED,
}

_OWN_ATTRIBUTES = frozenset(
    {
        ID_ATTRIBUTE,
        "ve_provider",
        "ve_category",
        "ve_version",
        "ve_min_identity_score",
        "ve_require_mfa",
        "ve_max_concurrent_orders",
        "tags",
        "regions",
    }
)
_OFFERING_ID = re.compile(r"^(?P<provider>[A-Za-z0-9]+)/[1-9][0-9]*$")


def record_of_chain(raw: Mapping[str, Any], connection: OfferingsConnection) -> Record:
    """Return what Waldur should show for an on-chain offering.

    An offering that cannot be mapped is returned as ``invalid`` with the reason, one that is not meant to be offered
    yet as ``withheld``: neither may look as if it were gone.
    """
    key = offering_id(raw)
    try:
        offering = parse(raw)
        if offering.state is ChainState.UNSPECIFIED:
            return Record(key, key, {}, withheld="its state on the chain is unspecified: it is not offered yet")
        return Record(key, key, _content(key, offering, connection))
    except (Unmappable, ValueError) as reason:
        return Record(key, key, {}, invalid=str(reason))


def offering_id(raw: Mapping[str, Any]) -> str:
    """Return ``<provider>/<sequence>``, whatever else may be wrong with the offering."""
    identity = raw.get("id")
    if not isinstance(identity, Mapping):
        return "unknown/unknown"
    return f"{identity.get('provider_address')}/{identity.get('sequence')}"


def _content(key: str, offering: ChainOffering, connection: OfferingsConnection) -> Content:
    state = WALDUR_STATE[offering.state].value
    try:
        return {**_fields(key, offering, connection), "state": state}
    except (Unmappable, ValueError):
        if state != State.ARCHIVED:
            raise
        # An offering must not stay on sale because something else about it cannot be mapped.
        return {"state": state}


def _fields(key: str, offering: ChainOffering, connection: OfferingsConnection) -> Content:
    category = connection.category_map.get(offering.category.lower())
    if category is None:
        raise Unmappable(
            f"category {offering.category!r} is not in the category_map of connection {connection.name!r}; "
            f"it has {', '.join(sorted(connection.category_map))}"
        )
    name = clipped(offering.name.strip(), NAME_LIMIT)
    if not name:
        raise Unmappable("the name is empty; Waldur requires one")
    components = components_of(offering)
    return {
        "backend_id": key,
        "name": name,
        "description": described(offering.description),
        "category": category,
        "attributes": attributes_of(key, offering),
        "components": {component.type: component.content for component in components},
        "prices": prices_of(components, connection.denominator),
    }


def attributes_of(key: str, offering: ChainOffering) -> dict[str, Any]:
    """Return the attributes of an offering: fixed ``ve_*`` keys, specifications and public metadata with a prefix each.

    The prefixes keep an operator's metadata from colliding with the fixed keys.
    """
    return {
        ID_ATTRIBUTE: key,
        "ve_provider": offering.id.provider_address,
        "ve_category": offering.category,
        "ve_version": offering.version,
        "ve_min_identity_score": offering.identity_requirement.min_score,
        "ve_require_mfa": offering.require_mfa_for_orders,
        "ve_max_concurrent_orders": offering.max_concurrent_orders,
        # The chain does not keep an order of tags and regions; a set in another order is no change.
        "tags": sorted(offering.tags),
        "regions": sorted(offering.regions),
        **{f"spec_{name}": value for name, value in offering.specifications.items()},
        **{f"meta_{name}": value for name, value in offering.public_metadata.items()},
    }


_REWRITTEN = re.compile(
    r"(?P<link><a\b[^<>]*>)|</?[A-Za-z!][^<>]*>|&(?:[A-Za-z][A-Za-z0-9]*|#[0-9]+|#[xX][0-9A-Fa-f]+);|[&<>\u00a0]"
)
_GROWTH = {"&": len("&amp;") - 1, "<": len("&lt;") - 1, ">": len("&gt;") - 1, "\u00a0": len("&nbsp;") - 1}
_LINK_GROWTH = len(' rel="noopener noreferrer"')


def described(description: str) -> str:
    """Return a description that Waldur can keep: trimmed, and cut where the *cleaned* text would become too long.

    Waldur escapes ``&``, ``<`` and ``>`` outside tags and adds an attribute to links; 401 ampersands are within the
    limit when they are sent and break it when they are stored.
    """
    text = clipped(description.strip(), DESCRIPTION_LIMIT)
    while (excess := len(text) + _growth(text) - DESCRIPTION_LIMIT) > 0:
        # No character becomes longer than six.
        text = clipped(text, len(text) - max(1, excess // 6))
    return text


def _growth(text: str) -> int:
    return sum(_LINK_GROWTH if match["link"] else _GROWTH.get(match.group(), 0) for match in _REWRITTEN.finditer(text))


def clipped(text: str, limit: int) -> str:
    """Return at most ``limit`` characters, cut at a character boundary and not right after a blank.

    Characters are code points, as Waldur counts them; a combining mark is not torn from its letter.
    """
    if len(text) <= limit:
        return text
    end = limit
    while end > 0 and _continues(text[end]):
        end -= 1
    return (text[:end] or text[:limit]).rstrip()


def _continues(character: str) -> bool:
    """Say whether a character belongs to the one before: combining marks, joiners, variation selectors, skin tones."""
    joins = unicodedata.combining(character) != 0 or character in "\u200d\ufe0f"
    return joins or "\U0001f3fb" <= character <= "\U0001f3ff"


def record_of_waldur(row: WaldurOffering, provider: str) -> Record | None:
    """Return a Waldur offering in the form of :func:`record_of_chain`, ``None`` when it is not of this kind.

    Offerings made by hand, without an id of the chain's form, are nobody's business here. One that claims another
    provider's offering is reported, and never touched.
    """
    natural_key = natural_key_of(row)
    if natural_key is None:
        return None
    owner = natural_key.rpartition("/")[0]
    withheld = None
    if owner != provider:
        withheld = (
            f"claims offering {natural_key} of another provider; it is never touched. Move or remove it in Waldur "
            "if it should not be with this customer"
        )
    return _record(row, natural_key, withheld)


def record_of_linked(row: WaldurOffering, provider: str, natural_key: str = "") -> Record:
    """Return a linked Waldur offering whatever it claims: one whose id was wiped by hand is still the linked one.

    Arguments:
        natural_key: what it counts as when it claims nothing itself.
    """
    return record_of_waldur(row, provider) or _record(row, natural_key, None)


def _record(row: WaldurOffering, natural_key: str, withheld: str | None) -> Record:
    plan = plan_of(row)
    return Record(
        key=row.uuid,
        natural_key=natural_key,
        content={
            "backend_id": row.backend_id,
            "name": row.name,
            "description": row.description,
            "category": row.category_uuid,
            "attributes": _known_attributes(row.attributes),
            "components": {
                component.type: {
                    "name": component.name,
                    "billing_type": component.billing_type,
                    "measured_unit": component.measured_unit,
                }
                for component in row.components
            },
            "prices": _prices(row, plan),
            "state": row.state,
        },
        meta={
            "plan": plan.uuid if plan else None,
            "components": {component.type: component.uuid for component in row.components},
        },
        withheld=withheld,
        invalid=None if row.state in tuple(State) else f"its state {row.state!r} is unknown; it is not touched",
    )


def natural_key_of(row: WaldurOffering) -> str | None:
    """Return the offering id that a Waldur offering claims, by ``backend_id`` or else by its attribute."""
    for claim in (row.backend_id, row.attributes.get(ID_ATTRIBUTE)):
        if isinstance(claim, str) and _OFFERING_ID.match(claim):
            return claim
    return None


def plan_of(row: WaldurOffering) -> WaldurPlan | None:
    """Return the price list that is kept: the one of our name, else the only one that is not archived.

    Of several plans made by hand none is chosen: that would be a guess, and overwrite somebody's prices. Of several of
    our name it is always the same one, in whatever order the server lists them.
    """
    plans = [plan for plan in row.plans if not plan.archived]
    named = sorted((plan for plan in plans if plan.name == PLAN_NAME), key=lambda plan: plan.uuid)
    return next(iter(named or (plans if len(plans) == 1 else [])), None)


def _prices(row: WaldurOffering, plan: WaldurPlan | None) -> dict[str, Decimal]:
    if plan is None:
        return {}
    kinds = {component.type for component in row.components}
    # Prices of removed components may stay behind in the plan; they cost nobody anything.
    return {kind: price for kind, price in plan.effective_prices.items() if kind in kinds}


def _known_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Keep our attributes as they are and foreign ones as digests: one of those may be a secret that leaked."""
    known: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in _OWN_ATTRIBUTES or name.startswith(("spec_", "meta_")):
            known[name] = sorted(value) if name in ("tags", "regions") and _is_text_list(value) else value
        else:
            known[name] = f"unexpected value {fingerprint({'value': value}).hex()[:8]}"
    return known


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def alike(field: str, wanted: object, found: object) -> bool:
    """Compare a field as Waldur shows it: prices are floats of ten places, descriptions are trimmed and escaped."""
    if field == "description" and isinstance(wanted, str) and isinstance(found, str):
        return html.unescape(wanted).strip() == html.unescape(found).strip()
    if field == "prices" and isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return wanted.keys() == found.keys() and all(
            _same_price(Decimal(price), Decimal(found[kind])) for kind, price in wanted.items()
        )
    return fingerprint({"": wanted}) == fingerprint({"": found})


def _same_price(wanted: Decimal, found: Decimal) -> bool:
    return quantized(found) in (quantized(wanted), price_as_read(wanted))


def destructive(before: Content | None, after: Content) -> bool:
    """Say whether an update archives an offering that was not archived."""
    return after["state"] == State.ARCHIVED and (before is None or before["state"] != State.ARCHIVED)


def not_creatable(content: Content) -> str | None:
    """Say why an offering needs no counterpart: one that was never published needs no archiving either."""
    if content["state"] == State.ARCHIVED:
        return "suspended or terminated on the chain before it was ever published"
    return None


def out_of_service(content: Content) -> bool:
    """Say whether an offering is archived, or wanted so; nobody can order it, whatever else differs."""
    return bool(content["state"] == State.ARCHIVED)


def blocked(can_publish: bool) -> Callable[[Content, Content, Sequence[str]], Mapping[str, str]]:
    """Return the rule for fields that cannot be written now; they wait, visibly.

    Arguments:
        can_publish: whether the tokens include one that may publish and edit what is published.
    """

    def rule(before: Content, after: Content, fields: Sequence[str]) -> Mapping[str, str]:
        if not can_be_updated(after["state"]):
            # Archiving goes first and alone: an edit that fails must not keep a terminated offering on sale.
            waiting = "Waldur refuses edits of an archived offering; these wait until it is offered again"
            return {name: waiting for name in fields if name != "state"}
        return {} if can_publish else _needs_staff(before, after, fields)

    return rule


def _needs_staff(before: Content, after: Content, fields: Sequence[str]) -> Mapping[str, str]:
    waiting = "awaiting activation: only Waldur staff may publish it (no staff_token is configured)"
    reasons = {}
    if "state" in fields and before["state"] in (State.DRAFT, State.ARCHIVED) and after["state"] != State.ARCHIVED:
        reasons["state"] = waiting
    if before["state"] == State.ARCHIVED and after["state"] != State.ARCHIVED:
        # Editing needs it back in Draft, which would leave it there: better archived than half done.
        return dict.fromkeys(fields, waiting)
    if before["state"] not in (State.DRAFT, State.ARCHIVED):
        overview = "only Waldur staff may edit name and description once published (no staff_token is configured)"
        reasons |= {name: overview for name in fields if name in ("name", "description")}
    return reasons
