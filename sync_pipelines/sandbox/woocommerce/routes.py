"""Which handler serves which address, by which methods, and what a visitor without the right is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sync_pipelines.sandbox.woocommerce import catalogue
from sync_pipelines.sandbox.woocommerce import shop_resources as shop
from sync_pipelines.sandbox.woocommerce.calls import Answer, Call
from sync_pipelines.sandbox.woocommerce.resources import Kept, Resource
from sync_pipelines.sandbox.woocommerce.webhooks import WEBHOOK_RESOURCE, list_webhooks

Handler = Callable[[Call], Answer]

_REFUSALS = {
    "GET": ("woocommerce_rest_cannot_view", "Sorry, you cannot list resources."),
    "POST": ("woocommerce_rest_cannot_create", "Sorry, you are not allowed to create resources."),
    "PUT": ("woocommerce_rest_cannot_edit", "Sorry, you are not allowed to edit this resource."),
    "DELETE": ("woocommerce_rest_cannot_delete", "Sorry, you are not allowed to delete this resource."),
}
_NO_BATCH = ("woocommerce_rest_cannot_batch", "Sorry, you are not allowed to batch manipulate this resource.")


@dataclass(frozen=True, slots=True)
class Route:
    """One address.

    Attributes:
        handlers: by method; PUT and PATCH are the same, and so is POST of a single record.
        allow: the header of that name.
        is_batch: whether it takes several operations.
    """

    pattern: re.Pattern[str]
    handlers: Mapping[str, Handler]
    allow: str
    is_batch: bool = False

    def refusal(self, method: str) -> tuple[str, str]:
        """Return code and sentence for somebody who may not do this."""
        if self.is_batch:
            return _NO_BATCH
        if method == "POST" and "PUT" in self.handlers:
            return _REFUSALS["PUT"]
        return _REFUSALS[{"HEAD": "GET", "PATCH": "PUT"}.get(method, method)]


def _collection(path: str, listing: Handler, add: Handler | None = None) -> Route:
    handlers = {"GET": listing, "HEAD": listing} | ({"POST": add} if add else {})
    return Route(re.compile(path), handlers, "GET, POST" if add else "GET")


def _single(path: str, resource: Resource[Kept], delete: Handler | None = None) -> Route:
    change = resource.change
    handlers = {"GET": resource.show, "HEAD": resource.show, "DELETE": delete or resource.delete}
    return Route(
        re.compile(path),
        {**handlers, **dict.fromkeys(("PUT", "PATCH", "POST"), change)},
        "GET, POST, PUT, PATCH, DELETE",
    )


def _batch(path: str, batch: Handler) -> Route:
    return Route(re.compile(path), dict.fromkeys(("POST", "PUT", "PATCH"), batch), "POST, PUT, PATCH", is_batch=True)


_ID, _PARENT = r"(?P<id>\d+)", r"(?P<parent>\d+)"
ROUTES = (
    _collection("", catalogue.show_index),
    _collection("products", shop.list_products, shop.PRODUCT_RESOURCE.add),
    _batch("products/batch", shop.PRODUCT_RESOURCE.batch),
    _single(f"products/{_ID}", shop.PRODUCT_RESOURCE, shop.delete_product),
    _collection(f"products/{_PARENT}/variations", shop.list_variations, shop.VARIATION_RESOURCE.add),
    _batch(f"products/{_PARENT}/variations/batch", shop.batch_variations),
    _single(f"products/{_PARENT}/variations/{_ID}", shop.VARIATION_RESOURCE),
    _collection("variations", shop.list_variations),
    _collection("products/categories", catalogue.list_categories, catalogue.add_category),
    _collection(f"products/categories/{_ID}", catalogue.show_category),
    _collection("products/attributes", catalogue.list_attributes, catalogue.add_attribute),
    _collection(f"products/attributes/{_PARENT}/terms", catalogue.list_values, catalogue.add_value),
    _collection("customers", shop.list_customers, shop.CUSTOMER_RESOURCE.add),
    _batch("customers/batch", shop.CUSTOMER_RESOURCE.batch),
    _single(f"customers/{_ID}", shop.CUSTOMER_RESOURCE),
    _collection(f"customers/{_ID}/downloads", catalogue.list_nothing),
    _collection("orders", shop.list_all_orders, shop.ORDER_RESOURCE.add),
    _batch("orders/batch", shop.ORDER_RESOURCE.batch),
    _single(f"orders/{_ID}", shop.ORDER_RESOURCE),
    _collection(f"orders/{_PARENT}/refunds", shop.list_refunds, shop.add_refund),
    Route(
        re.compile(f"orders/{_PARENT}/refunds/{_ID}"),
        {"GET": shop.show_refund, "HEAD": shop.show_refund, "DELETE": shop.delete_refund},
        "GET, DELETE",
    ),
    _collection(f"orders/{_PARENT}/notes", shop.list_notes, shop.add_note),
    _collection("coupons", catalogue.list_coupons, catalogue.add_coupon),
    _collection(f"coupons/{_ID}", catalogue.show_coupon),
    _collection("webhooks", list_webhooks, WEBHOOK_RESOURCE.add),
    _batch("webhooks/batch", WEBHOOK_RESOURCE.batch),
    _single(f"webhooks/{_ID}", WEBHOOK_RESOURCE),
    _collection("settings/(?:general|products|tax)", catalogue.list_settings),
    _collection("data/currencies/current", catalogue.show_currency),
    _collection("data/countries/[A-Za-z]{2}", catalogue.show_country),
    _collection("payment_gateways", catalogue.list_gateways),
    _collection("taxes", catalogue.list_nothing, catalogue.list_nothing),
)


def resolve(path: str, method: str) -> tuple[Route, Handler, dict[str, int]] | None:
    """Return the route of an address below the base, its handler and the numbers in it."""
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found is not None and method in route.handlers:
            return route, route.handlers[method], {name: int(text) for name, text in found.groupdict().items()}
    return None
