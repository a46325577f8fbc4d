"""Partners of guests: who orders without an account is in no list of customers, only in the order's billing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sync_pipelines.core.errors import FailureKind
from sync_pipelines.pipelines.commerce.customers.mapping import ShopMark
from sync_pipelines.pipelines.commerce.geography import Geography
from sync_pipelines.pipelines.commerce.orders.settings import OrderSettings
from sync_pipelines.systems.odoo import PARTNERS, LoadRecord, OdooClient, OdooError, Partner, Reason
from sync_pipelines.systems.odoo.listing import raise_malformed

_ADDRESSES = frozenset({"delivery", "invoice", "other"})
_COLUMNS = {
    "phone": "phone",
    "street": "address_1",
    "street2": "address_2",
    "city": "city",
    "zip": "postcode",
    "company_name": "company",
}


async def partner_of_guest(
    client: OdooClient, customer: Mapping[str, Any], settings: OrderSettings, geography: Geography
) -> int:
    """Return the partner of a guest, found by e-mail or made from the billing address.

    Made by an external id of the e-mail's, so that a repeated request cannot make a second one, and with the reference
    by which the customers know it for a guest.

    Arguments:
        customer: e-mail and billing, as in an order's content.

    Raises:
        PeerError: several partners have the address (permanent: nobody is guessed), or Odoo failed.
    """
    email = customer["email"]
    page = await client.find(PARTNERS, [["email_normalized", "=", email]])
    raise_malformed(page)
    people = [partner for partner in page.rows if partner.type not in _ADDRESSES]
    found = [partner for partner in people if partner.active] or people
    if len(found) > 1:
        raise _several(email, found)
    if found:
        return found[0].id
    [outcome] = await client.load("res.partner", [_partner(customer, settings, geography)])
    if outcome.id is not None:
        return outcome.id
    error = outcome.error
    assert error is not None
    if error.kind is FailureKind.AMBIGUOUS:
        # Nothing of the order was sent yet, and the partner can be asked for again.
        error.kind = FailureKind.TRANSIENT
    raise error


def _several(email: str, found: list[Partner]) -> OdooError:
    ids = ", ".join(str(partner.id) for partner in found)
    return OdooError(
        FailureKind.PERMANENT,
        Reason.DUPLICATE_KEY,
        f"partners {ids} all have the address {email} of a guest; merge them, or give all but one another address",
        operation="res.partner.search_read",
    )


def _partner(customer: Mapping[str, Any], settings: OrderSettings, geography: Geography) -> LoadRecord:
    billing: Mapping[str, str] = customer.get("billing", {})
    email = customer["email"]
    name = f"{billing.get('first_name', '')} {billing.get('last_name', '')}".strip()
    values: dict[str, str | int] = {column: billing[field] for column, field in _COLUMNS.items() if billing.get(field)}
    place = geography.of_shop(billing.get("country", ""), billing.get("state", ""))
    if (country := geography.country_id(place.country)) is not None:
        values["country_id/.id"] = country
    if (state := geography.state_id(place.country, place.state)) is not None:
        values["state_id/.id"] = state
    digest = hashlib.blake2b(email.encode(), digest_size=8).hexdigest()
    values |= {"name": name or billing.get("company") or email, "email": email}
    values["ref"] = ShopMark(settings.store).guest_reference(email)
    return LoadRecord(f"woo.guest_{settings.store}_{digest}", values)
