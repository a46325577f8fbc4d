"""Making the variable product of a family of Odoo, so that a kill or a lost reply makes no second one.

WooCommerce looks nothing up by meta data, but a SKU is unique in a shop, that of a variable product too. So the product
carries one that tells the template: it is found again by it, and a second one is refused.
"""

from __future__ import annotations

from sync_pipelines.core.errors import FailureKind, PeerError
from sync_pipelines.pipelines.commerce.products.families import Family
from sync_pipelines.pipelines.commerce.products.mapping import ProductSettings
from sync_pipelines.pipelines.commerce.products.writing import shop_values
from sync_pipelines.systems.woocommerce import PEER, Product, Reason, WooCommerceClient, reason_of

TAKEN = frozenset({Reason.NOT_CREATED, Reason.DUPLICATE})
"""What the shop says of a SKU that something has already."""


async def variable_product(client: WooCommerceClient, family: Family, key: str) -> Product:
    """Return the variable product of a template; it is made if there is none.

    Arguments:
        key: of the record, for messages.

    Raises:
        PeerError: it is in the trash (permanent), the shop refuses it, or cannot be asked.
    """
    if known := await _known(client, family, key):
        return known
    attributes = [
        {"name": name, "options": list(options), "variation": True, "visible": True}
        for name, options in family.attributes.items()
    ]
    values = {
        "type": "variable",
        "name": family.name.replace("<", "&lt;"),
        "sku": sku_of(family),
        "status": "publish" if family.for_sale else "draft",
        "attributes": attributes,
    }
    try:
        return await client.products.create(values)
    except PeerError as error:
        if error.kind is FailureKind.AMBIGUOUS:
            message = f"{error.message}; the next try looks for {values['sku']}"
            raise PeerError(PEER, FailureKind.TRANSIENT, message, key=key) from error
        # An earlier request whose reply was lost may have been carried out meanwhile.
        known = await _known(client, family, key) if reason_of(error) in TAKEN else None
        if known is None:
            raise
        return known


async def first_variation(
    client: WooCommerceClient, product: Product, family: Family, settings: ProductSettings
) -> None:
    """Make the variation that the family is called after, whole: a run that finds it has nothing to settle.

    Raises:
        PeerError: the shop refuses it, or cannot be asked.
    """
    if (first := family.first) is None:
        return
    values = {
        **shop_values(first.content, ("sku", "gtin", "price", "weight", "active"), "", settings),
        "manage_stock": family.stock_kept,
        "attributes": [{"name": name, "option": option} for name, option in first.options.items()],
    }
    try:
        await client.variations(product.id).create(values)
    except PeerError as error:
        if error.kind is not FailureKind.AMBIGUOUS:
            raise
        message = f"{error.message}; the next try looks for {first.sku}"
        raise PeerError(PEER, FailureKind.TRANSIENT, message, key=first.sku) from error


def sku_of(family: Family) -> str:
    """Return the SKU of the variable product that is made of a template."""
    return f"ODOO-TEMPLATE-{family.number}"


async def _known(client: WooCommerceClient, family: Family, key: str) -> Product | None:
    sku = sku_of(family)
    if trashed := await client.products.by_sku([sku], trash=True):
        message = f"the variable product {trashed[0].id} with the SKU {sku} is in the trash; restore it in the shop"
        raise PeerError(PEER, FailureKind.PERMANENT, message, key=key)
    holders = await client.products.by_sku([sku])
    return await client.products.get(holders[0].id) if holders else None
