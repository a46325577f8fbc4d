"""What products and orders refer to: categories, shared attributes and their values, coupons, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sync_pipelines.sandbox.woocommerce.calls import Answer, Call, encoded, joined, trimmed
from sync_pipelines.sandbox.woocommerce.cleaning import cleaned_number, decimal_of, slug_of, stripped
from sync_pipelines.sandbox.woocommerce.errors import ApiError, with_details
from sync_pipelines.sandbox.woocommerce.links import address, links
from sync_pipelines.sandbox.woocommerce.listing import COMMON, asked, page_headers
from sync_pipelines.sandbox.woocommerce.model import Attribute, Coupon, Term
from sync_pipelines.sandbox.woocommerce.order_lines import money
from sync_pipelines.sandbox.woocommerce.product_view import meta_view
from sync_pipelines.sandbox.woocommerce.products import field
from sync_pipelines.sandbox.woocommerce.schema import INTEGER, TEXT, one_of
from sync_pipelines.sandbox.woocommerce.state import ShopState
from sync_pipelines.sandbox.woocommerce.times import both

_SETTINGS = Path(__file__).parents[1] / "data" / "commerce" / "woocommerce_settings.json"
_KINDS = one_of("percent", "fixed_cart", "fixed_product")


def rows_answer(call: Call, rows: list[dict[str, Any]]) -> Answer:
    """Return one page of records that are few."""
    told = asked(call, COMMON)
    size = told.get("per_page", 10)
    start = (told.get("page", 1) - 1) * size
    texts = (encoded(trimmed(row, call.fields, in_list=True)) for row in rows[start : start + size])
    return Answer(joined(texts), headers=page_headers(call, told, len(rows)))


def _made(call: Call, path: str, view: Mapping[str, Any]) -> Answer:
    return Answer(encoded(trimmed(view, call.fields, in_list=False)), 201, {"Location": address(call.world, path)})


def add_term(world: ShopState, name: str, *, attribute: int = 0, parent: int = 0) -> Term:
    """Make a category, or a value of an attribute.

    Raises:
        ApiError: 400 when the name is taken.
    """
    for term in world.terms.values():
        if (term.attribute, term.parent, term.name.lower()) == (attribute, parent, name.lower()):
            message = "A term with the name provided already exists with this parent."
            raise with_details(400, "term_exists", message, resource_id=term.id)
    term = Term(world.next_number("term"), name, slug_of(name), attribute, parent)
    world.terms[term.id] = term
    world.revision += 1
    return term


def list_categories(call: Call) -> Answer:
    """Answer a GET of categories, by name."""
    terms = [term for term in call.world.terms.values() if not term.attribute]
    return rows_answer(call, [_category_view(call.world, it) for it in sorted(terms, key=lambda it: it.name.lower())])


def add_category(call: Call) -> Answer:
    """Answer a POST of a category."""
    values = call.values({"name": TEXT, "parent": INTEGER}, ("name",))
    term = add_term(call.world, stripped(values["name"]), parent=values.get("parent", 0))
    return _made(call, f"products/categories/{term.id}", _category_view(call.world, term))


def show_category(call: Call) -> Answer:
    """Answer a GET of one category."""
    term = call.world.terms.get(call.names["id"])
    if term is None or term.attribute:
        raise ApiError(404, "woocommerce_rest_term_invalid", "Resource does not exist.")
    return Answer(encoded(trimmed(_category_view(call.world, term), call.fields, in_list=False)))


def _category_view(world: ShopState, term: Term) -> dict[str, Any]:
    count = sum(it.status == "publish" and term.id in field(it, "categories") for it in world.products.values())
    return {
        "id": term.id,
        "name": term.name,
        "slug": term.slug,
        "parent": term.parent,
        "description": term.description,
        "display": "default",
        "image": None,
        "menu_order": 0,
        "count": count,
        "_links": links(world, f"products/categories/{term.id}", "products/categories"),
    }


def list_attributes(call: Call) -> Answer:
    """Answer a GET of shared attributes."""
    return rows_answer(call, [_attribute_view(call.world, it) for it in call.world.attributes.values()])


def add_attribute(call: Call) -> Answer:
    """Answer a POST of a shared attribute."""
    values = call.values({"name": TEXT, "slug": TEXT}, ("name",))
    slug = "pa_" + slug_of(values.get("slug") or values["name"])
    if any(it.slug == slug for it in call.world.attributes.values()):
        message = f'Slug "{slug[3:]}" is already in use. Change it, please.'
        raise ApiError(400, "woocommerce_rest_cannot_create", message)
    attribute = Attribute(call.world.next_number("attribute"), values["name"], slug)
    call.world.attributes[attribute.id] = attribute
    return _made(call, f"products/attributes/{attribute.id}", _attribute_view(call.world, attribute))


def _attribute_view(world: ShopState, attribute: Attribute) -> dict[str, Any]:
    return {
        "id": attribute.id,
        "name": attribute.name,
        "slug": attribute.slug,
        "type": "select",
        "order_by": "menu_order",
        "has_archives": False,
        "_links": links(world, f"products/attributes/{attribute.id}", "products/attributes"),
    }


def list_values(call: Call) -> Answer:
    """Answer a GET of the values of a shared attribute."""
    number = _attribute_of(call)
    return rows_answer(
        call, [_value_view(call.world, it) for it in call.world.terms.values() if it.attribute == number]
    )


def add_value(call: Call) -> Answer:
    """Answer a POST of a value of a shared attribute."""
    values, number = call.values({"name": TEXT}, ("name",)), _attribute_of(call)
    term = add_term(call.world, stripped(values["name"]), attribute=number)
    return _made(call, f"products/attributes/{number}/terms/{term.id}", _value_view(call.world, term))


def _attribute_of(call: Call) -> int:
    if call.names["parent"] not in call.world.attributes:
        raise ApiError(404, "woocommerce_rest_taxonomy_invalid", "Resource does not exist.")
    return call.names["parent"]


def _value_view(world: ShopState, term: Term) -> dict[str, Any]:
    collection = f"products/attributes/{term.attribute}/terms"
    return {
        "id": term.id,
        "name": term.name,
        "slug": term.slug,
        "description": term.description,
        "menu_order": 0,
        "count": 0,
        "_links": links(world, f"{collection}/{term.id}", collection),
    }


def list_coupons(call: Call) -> Answer:
    """Answer a GET of coupons, the newest first."""
    return rows_answer(call, [_coupon_view(call.world, it) for it in reversed(call.world.coupons.values())])


def create_coupon(world: ShopState, code: str, amount: str, discount_type: str) -> Coupon:
    """Make a coupon.

    Raises:
        ApiError: 400 when the code is taken.
    """
    if any(it.code == code.lower() for it in world.coupons.values()):
        raise ApiError(400, "woocommerce_rest_coupon_code_already_exists", "The coupon code already exists")
    coupon = Coupon(id=world.next_number("post"), code=code.lower(), amount=amount, discount_type=discount_type)
    coupon.created = world.now()
    world.touch(coupon)
    world.coupons[coupon.id] = coupon
    world.announce("coupon", "created", coupon.id)
    return coupon


def add_coupon(call: Call) -> Answer:
    """Answer a POST of a coupon."""
    values = call.values({"code": TEXT, "amount": TEXT, "discount_type": _KINDS}, ("code",))
    amount = money(decimal_of(cleaned_number(values.get("amount", "0"))))
    coupon = create_coupon(call.world, values["code"], amount, values.get("discount_type", "fixed_cart"))
    return _made(call, f"coupons/{coupon.id}", _coupon_view(call.world, coupon))


def show_coupon(call: Call) -> Answer:
    """Answer a GET of one coupon."""
    coupon = call.world.coupons.get(call.names["id"])
    if coupon is None:
        raise ApiError(404, "woocommerce_rest_shop_coupon_invalid_id", "Invalid ID.")
    return Answer(encoded(trimmed(_coupon_view(call.world, coupon), call.fields, in_list=False)))


def _coupon_view(world: ShopState, coupon: Coupon) -> dict[str, Any]:
    return {
        "id": coupon.id,
        "code": coupon.code,
        "amount": coupon.amount,
        "status": "publish",
        **both("date_created", coupon.created, world.zone),
        **both("date_modified", coupon.modified, world.zone),
        "discount_type": coupon.discount_type,
        "description": "",
        "meta_data": meta_view(coupon),
        "_links": links(world, f"coupons/{coupon.id}", "coupons"),
    }


@cache
def _settings() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_SETTINGS.read_text("utf-8"))
    return found


def show_index(call: Call) -> Answer:
    """Answer a GET of the base of the API."""
    view = {"namespace": "wc/v3", "routes": {}, "_links": {"up": [{"href": f"{call.world.site_url}/wp-json/"}]}}
    return Answer(encoded(trimmed(view, call.fields, in_list=False)))


def list_settings(call: Call) -> Answer:
    """Answer a GET of one group of settings, whose rows tell their names and values only."""
    group = call.path.rpartition("/")[2]
    texts = [encoded(trimmed(row, call.fields, in_list=True)) for row in _settings()["settings"][group]]
    return Answer(joined(texts))


def show_currency(call: Call) -> Answer:
    """Answer a GET of the currency of the shop."""
    own = links(call.world, "data/currencies/EUR", "data/currencies", methods=("GET",))
    return Answer(encoded({"code": "EUR", "name": "Euro", "symbol": "&euro;", "_links": own}))


def show_country(call: Call) -> Answer:
    """Answer a GET of a country with its states; only the shop's own is known."""
    code = call.path.rpartition("/")[2]
    if code.upper() != "DE":
        raise ApiError(
            404, "woocommerce_rest_data_invalid_location", "There are no locations matching these parameters."
        )
    own = links(call.world, f"data/countries/{code}", "data/countries", methods=("GET",))
    return Answer(encoded({**_settings()["country"], "_links": own}))


def list_gateways(call: Call) -> Answer:
    """Answer a GET of the ways to pay."""
    texts = [encoded(trimmed(row, call.fields, in_list=True)) for row in _settings()["payment_gateways"]]
    return Answer(joined(texts), headers={"X-WP-Total": str(len(texts)), "X-WP-TotalPages": "1"})


def list_nothing(call: Call) -> Answer:
    """Answer a GET of a list that is always empty here: tax rates, downloads of a customer."""
    return Answer("[]", headers={} if call.path.endswith("/downloads") else {"X-WP-Total": "0", "X-WP-TotalPages": "0"})
