"""Handlers of what surrounds offerings: the caller, organizations, categories, plugins, version."""

from __future__ import annotations

from sync_pipelines.sandbox.waldur.calls import Answer, Call
from sync_pipelines.sandbox.waldur.errors import forbidden, not_found
from sync_pipelines.sandbox.waldur.fields import Form, Text
from sync_pipelines.sandbox.waldur.listing import page_of, uuid_filter
from sync_pipelines.sandbox.waldur.model import Customer, new_uuid, parse_uuid
from sync_pipelines.sandbox.waldur.plugins import describe_plugins
from sync_pipelines.sandbox.waldur.serialisation import (
    category_body,
    customer_body,
    service_provider_body,
    user_body,
)
from sync_pipelines.sandbox.waldur.world import slugify

VERSION = "7.0.7+2.g1ea6cb820"

_CATEGORY = Form({"title": Text(max_length=255, required=True, blank=False)})


def api_root(call: Call) -> Answer:
    return Answer(200, {})


def version(call: Call) -> Answer:
    if not call.caller.is_staff:
        raise forbidden()
    return Answer(200, {"version": VERSION})


def current_user(call: Call) -> Answer:
    owned = [customer for customer in call.world.customers.values() if customer.uuid in call.caller.owns]
    return Answer(200, call.selected(user_body(call.base, call.caller, owned)))


def list_categories(call: Call) -> Answer:
    part = call.value("title").lower()
    rows = [category for category in call.world.categories.values() if part in category.title.lower()]
    rows.sort(key=lambda category: category.title)
    return page_of(call, rows, lambda category: call.selected(category_body(call.base, category)))


def retrieve_category(call: Call) -> Answer:
    category = call.world.categories.get(parse_uuid(call.names["uuid"]) or "")
    if category is None:
        raise not_found("Category")
    return Answer(200, call.selected(category_body(call.base, category)))


def create_category(call: Call) -> Answer:
    if not call.caller.is_staff:
        raise forbidden()
    category = call.world.add_category(new_uuid(), call.form(_CATEGORY)["title"])
    body = category_body(call.base, category)
    return Answer(201, body, {"Location": body["url"]})


def list_customers(call: Call) -> Answer:
    rows = _visible_customers(call)
    if name := call.value("name").lower():
        rows = [customer for customer in rows if name in customer.name.lower()]
    if backend_id := call.value("backend_id"):
        rows = [customer for customer in rows if customer.backend_id == backend_id]
    rows.sort(key=lambda customer: customer.name)
    return page_of(call, rows, lambda customer: call.selected(_customer(call, customer)))


def retrieve_customer(call: Call) -> Answer:
    wanted = parse_uuid(call.names["uuid"])
    customer = next((customer for customer in _visible_customers(call) if customer.uuid == wanted), None)
    if customer is None:
        raise not_found("Customer")
    return Answer(200, call.selected(_customer(call, customer)))


def list_service_providers(call: Call) -> Answer:
    rows = [customer for customer in call.world.customers.values() if customer.provider_uuid is not None]
    if (wanted := uuid_filter(call, "customer_uuid")) is not None:
        rows = [customer for customer in rows if customer.uuid == wanted]
    rows.sort(key=lambda customer: customer.name)
    return page_of(call, rows, lambda customer: service_provider_body(call.base, customer, call.user))


def list_plugins(call: Call) -> Answer:
    return Answer(200, describe_plugins())


def _visible_customers(call: Call) -> list[Customer]:
    customers = call.world.customers.values()
    return [customer for customer in customers if call.caller.sees_everything or customer.uuid in call.caller.owns]


def _customer(call: Call, customer: Customer) -> dict[str, object]:
    users = sum(customer.uuid in user.owns for user in call.world.users.values())
    return customer_body(call.base, customer, users=users, slug=f"{slugify(customer.name)[:8]}-1")
