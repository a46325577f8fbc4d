"""Every endpoint of the shop and of Odoo that is used was recorded, save those of a list, each with its reason.

What the stand-in of a shop does not serve, no client can use in a test: so its routes are the list of what is used.
Odoo has the same few methods for all models: there the calls of whole runs are that list.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import Engine

from sync_pipelines.sandbox.woocommerce.routes import ROUTES, Route, resolve
from sync_pipelines_tests.contract.odoo_recordings import FILES, exchanges
from sync_pipelines_tests.contract.woocommerce_recordings import FILES as SHOP_FILES
from sync_pipelines_tests.contract.woocommerce_recordings import read_steps
from sync_pipelines_tests.pipelines.commerce.ordered import ordered_shop

BASE = "/wp-json/wc/v3"
_NOT_ASKED = "no client asks for it; it is there for whoever looks at the stand-in"
SHOP_LEFT_OUT: Mapping[tuple[str, str], str] = {
    ("GET", "products/categories/{id}"): _NOT_ASKED,
    ("GET", "products/attributes/{parent}/terms"): _NOT_ASKED,
    ("DELETE", "orders/{parent}/refunds/{id}"): _NOT_ASKED,
    ("GET", "coupons/{id}"): _NOT_ASKED,
    ("POST", "webhooks/batch"): _NOT_ASKED,
    ("POST", "taxes"): _NOT_ASKED,
}
"""Method and route -> why it is served though it was not recorded."""
_SAME_FORM = "the method answers in the same form for every model, and was recorded for others"
_FAMILIES = f"{_SAME_FORM}; what the models hold rests on Odoo's documentation"
ODOO_LEFT_OUT: Mapping[tuple[str, str], str] = {
    ("account.move", "fields_get"): _SAME_FORM,
    ("account.move", "search_read"): _SAME_FORM,
    ("account.move", "search_count"): _SAME_FORM,
    ("product.attribute", "fields_get"): _FAMILIES,
    ("product.attribute", "load"): _FAMILIES,
    ("product.attribute", "search_read"): _FAMILIES,
    ("product.attribute.value", "fields_get"): _FAMILIES,
    ("product.attribute.value", "load"): _FAMILIES,
    ("product.attribute.value", "search_read"): _FAMILIES,
    ("product.product", "search_count"): _SAME_FORM,
    ("product.template", "fields_get"): _SAME_FORM,
    ("product.template", "load"): _FAMILIES,
    ("product.template.attribute.line", "fields_get"): _FAMILIES,
    ("product.template.attribute.line", "load"): _FAMILIES,
    ("product.template.attribute.value", "fields_get"): _FAMILIES,
    ("res.users", "fields_get"): _SAME_FORM,
    ("res.users", "search_read"): _SAME_FORM,
    ("sale.order.line", "fields_get"): _SAME_FORM,
}
"""Model and method -> why it is used though it was not recorded for this model."""


def shown(route: Route, method: str) -> tuple[str, str]:
    """Return what a call of a route is called here; POST of a single record is PUT."""
    path = route.pattern.pattern
    for name in ("id", "parent"):
        path = path.replace(rf"(?P<{name}>\d+)", f"{{{name}}}")
    is_change = method == "PATCH" or (method == "POST" and "PUT" in route.handlers)
    return ("POST" if route.is_batch else "PUT" if is_change else method), path


def test_every_route_of_the_shop_was_recorded_or_is_left_out_for_a_reason() -> None:
    recorded = set()
    for name in (*SHOP_FILES, "webhooks"):
        for step in read_steps(name):
            path = str(step.request["path"]).partition("?")[0]
            if path.startswith(BASE):
                found = resolve(path.removeprefix(BASE).strip("/"), step.request["method"])
                recorded |= set() if found is None else {shown(found[0], step.request["method"])}
    served = {shown(route, method) for route in ROUTES for method in route.handlers if method != "HEAD"}
    assert served - recorded == SHOP_LEFT_OUT.keys()


RECORDED_CALLS = {(one.call.model, one.call.method) for path in FILES for one in exchanges(path) if one.call}


def test_every_call_of_odoo_was_recorded_or_is_left_out_for_a_reason(engine: Engine) -> None:
    with ordered_shop(engine) as one:
        one.rest()
        called = set(one.odoo.world.calls)
    assert called
    assert called - RECORDED_CALLS <= ODOO_LEFT_OUT.keys()


@pytest.mark.parametrize(("model", "method"), ODOO_LEFT_OUT)
def test_what_is_left_out_was_recorded_for_another_model_and_not_for_this_one(model: str, method: str) -> None:
    assert (model, method) not in RECORDED_CALLS
    # Loading was recorded for products, whose answers have the form of all.
    assert method in {recorded for _, recorded in RECORDED_CALLS}
