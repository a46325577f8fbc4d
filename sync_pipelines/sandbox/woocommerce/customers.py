"""What happens to customers, and how the API tells them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sync_pipelines.sandbox.woocommerce.cleaning import stripped, user_name_of
from sync_pipelines.sandbox.woocommerce.errors import ApiError
from sync_pipelines.sandbox.woocommerce.links import links
from sync_pipelines.sandbox.woocommerce.model import Customer
from sync_pipelines.sandbox.woocommerce.product_view import meta_view
from sync_pipelines.sandbox.woocommerce.schema import EMAIL, META, TEXT, Kind, is_email
from sync_pipelines.sandbox.woocommerce.state import ShopState
from sync_pipelines.sandbox.woocommerce.times import both

_NAME = ("first_name", "last_name", "company", "address_1", "address_2", "city")
BILLING = (*_NAME, "postcode", "country", "state", "email", "phone")
SHIPPING = (*_NAME, "postcode", "country", "state", "phone")
ROLES = ("administrator", "editor", "author", "contributor", "subscriber", "customer", "shop_manager")

ADDRESSES = {
    "billing": Kind("object", members={name: EMAIL if name == "email" else TEXT for name in BILLING}),
    "shipping": Kind("object", members=dict.fromkeys(SHIPPING, TEXT)),
}
CUSTOMER = {"first_name": TEXT, "last_name": TEXT, "username": TEXT, "password": TEXT, **ADDRESSES, "meta_data": META}
# A bad address is refused by the shop itself on creation, by WordPress on a change; hence the two codes (recorded).
NEW_CUSTOMER = {"email": TEXT, **CUSTOMER}
CHANGED_CUSTOMER = {"email": EMAIL, **CUSTOMER}


def create(world: ShopState, values: Mapping[str, Any]) -> Customer:
    """Make a customer.

    Raises:
        ApiError: 400 when its e-mail address or user name is bad or taken.
    """
    email = values.get("email", "")
    if not is_email(email):
        if not email:
            raise ApiError(400, "registration-error-invalid-email", "Please provide a valid email address.")
        raise ApiError(400, "customer_invalid_email", "Invalid email address")
    if world.emails.find(email):
        message = f"An account is already registered with {email}. Please log in or use a different email address."
        raise ApiError(400, "registration-error-email-exists", message)
    username = values.get("username") or _free_name(world, user_name_of(email.partition("@")[0]))
    if world.usernames.find(username):
        message = "An account is already registered with that username. Please choose another."
        raise ApiError(400, "registration-error-username-exists", message)
    customer = Customer(id=world.next_number("user"), email=email, username=username, created=world.now())
    customer.billing, customer.shipping = dict.fromkeys(BILLING, ""), dict.fromkeys(SHIPPING, "")
    world.set_meta(customer, [{"key": "default_password_nag", "value": "1"}])
    _apply(world, customer, values)
    world.customers[customer.id] = customer
    world.emails.add(email, customer.id)
    world.usernames.add(username, customer.id)
    world.announce("customer", "created", customer.id)
    world.announce("customer", "updated", customer.id)
    return customer


def update(world: ShopState, customer: Customer, values: Mapping[str, Any]) -> Customer:
    """Change a customer; its time moves whatever is asked for.

    Raises:
        ApiError: 400 when the new e-mail address is bad or taken, and for another user name.
    """
    if values.get("username", customer.username) != customer.username:
        raise ApiError(400, "woocommerce_rest_customer_invalid_argument", "Username isn't editable.")
    email = values.get("email", customer.email)
    if not is_email(email) or any(number != customer.id for number in world.emails.find(email)):
        raise ApiError(400, "woocommerce_rest_customer_invalid_email", "Email address is invalid.")
    world.emails.move(customer.email, email, customer.id)
    customer.email = email
    _apply(world, customer, values)
    world.announce("customer", "updated", customer.id)
    return customer


def remove(world: ShopState, customer: Customer) -> None:
    """Delete a customer for good; there is no trash, and its address is free again."""
    world.emails.remove(customer.email, customer.id)
    world.usernames.remove(customer.username, customer.id)
    del world.customers[customer.id]
    world.forget_texts(customer)
    world.announce("customer", "deleted", customer.id)


def _apply(world: ShopState, customer: Customer, values: Mapping[str, Any]) -> None:
    customer.first_name = stripped(values.get("first_name", customer.first_name))
    customer.last_name = stripped(values.get("last_name", customer.last_name))
    customer.billing |= {name: value for name, value in values.get("billing", {}).items() if name in BILLING}
    customer.shipping |= {name: value for name, value in values.get("shipping", {}).items() if name in SHIPPING}
    world.set_meta(customer, values.get("meta_data", ()))
    world.touch(customer)


def _free_name(world: ShopState, wanted: str) -> str:
    return world.usernames.free(wanted or "customer", 2)


def display_name(customer: Customer) -> str:
    """Return the name by which customers are listed in order."""
    return f"{customer.first_name} {customer.last_name}".strip() or customer.username


def customer_view(world: ShopState, customer: Customer, context: str) -> dict[str, Any]:
    """Return a customer as the API tells it, the same in both contexts."""
    digest = hashlib.sha256(customer.email.lower().encode()).hexdigest()
    return {
        "id": customer.id,
        **both("date_created", customer.created, world.zone),
        **both("date_modified", customer.modified, world.zone),
        "email": customer.email,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "role": customer.role,
        "username": customer.username,
        "billing": dict(customer.billing),
        "shipping": dict(customer.shipping),
        "is_paying_customer": customer.is_paying,
        "avatar_url": f"https://secure.gravatar.com/avatar/{digest}?s=96&d=mm&r=g",
        "meta_data": meta_view(customer),
        "_links": links(world, f"customers/{customer.id}", "customers", exists=customer.id in world.customers),
    }
