"""The request bodies of the Waldur marketplace API that the stand-in accepts."""

from __future__ import annotations

from typing import Any

from sync_pipelines.sandbox.waldur.errors import Invalid
from sync_pipelines.sandbox.waldur.fields import (
    Anything,
    Attributes,
    Choice,
    Flag,
    Form,
    Integer,
    Link,
    ListOf,
    MapOf,
    Money,
    Real,
    Text,
)
from sync_pipelines.sandbox.waldur.links import find_category, find_customer, find_offering
from sync_pipelines.sandbox.waldur.plugins import OFFERING_TYPES
from sync_pipelines.sandbox.waldur.world import WaldurWorld

_NAME = Text(max_length=150, required=True, blank=False)
_DESCRIPTION = Text(max_length=2000)
_BACKEND_ID = Text(max_length=255)
_UNITS = ("month", "half_month", "day", "hour", "quantity")
_LONG_TEXTS = (
    "full_description",
    "terms_of_service",
    "terms_of_service_link",
    "privacy_policy_link",
    "getting_started",
    "integration_guide",
)

COMPONENT = Form(
    {
        "billing_type": Choice(("fixed", "usage", "limit", "one", "few"), required=True),
        "type": Text(max_length=50, required=True, blank=False, pattern=r"[a-zA-Z0-9_\-/:]+"),
        "name": Text(max_length=150, required=True, blank=False),
        "description": Text(),
        "measured_unit": Text(max_length=30),
        "article_code": Text(max_length=30),
        "limit_period": Choice(("month", "annual", "total"), nullable=True),
        "limit_amount": Integer(),
        "min_value": Integer(),
        "max_value": Integer(),
        "max_available_limit": Integer(),
        "default_limit": Integer(),
        "is_boolean": Flag(),
    }
)

# `unit_price` and `backend_id` count at creation only: PUT and PATCH answer 200 and leave them as they were.
PLAN_UPDATE = Form(
    {
        "name": _NAME,
        "unit": Choice(_UNITS),
        "description": Text(),
        "article_code": Text(max_length=30),
        "max_amount": Integer(minimum=0),
    }
)
PLAN = Form({**PLAN_UPDATE.fields, "unit_price": Money(), "backend_id": _BACKEND_ID})

PRICES = Form({"prices": MapOf(Money(), required=True)})
QUOTAS = Form({"quotas": MapOf(Integer(nullable=False, minimum=0), required=True)})

OVERVIEW = Form(
    {"name": _NAME, "description": _DESCRIPTION, "slug": Text(max_length=50), **{name: Text() for name in _LONG_TEXTS}}
)
INTEGRATION = Form(
    {
        "backend_id": _BACKEND_ID,
        "plugin_options": Anything(),
        "secret_options": Anything(),
        "service_attributes": Anything(),
    }
)
BACKEND_METADATA = Form({"backend_metadata": Anything()})
LOCATION = Form({"latitude": Real(required=True), "longitude": Real(required=True)})
PAUSE = Form({"paused_reason": Text()})


def options_form(name: str) -> Form:
    """Body of ``update_options`` and ``update_resource_options``."""
    parts = Form({"order": Anything(required=True), "options": Anything(required=True)}, required=True)
    return Form({name: parts})


def category_form(world: WaldurWorld) -> Form:
    """Body of ``update_description``, which changes the category and nothing else."""
    return Form({"category": Link(lambda url: find_category(world, url), required=True)})


def plan_form(world: WaldurWorld) -> Form:
    """Body of a plan's creation through its own endpoint."""
    return Form({**PLAN.fields, "offering": Link(lambda url: find_offering(world, url), required=True)})


def offering_form(world: WaldurWorld) -> Form:
    """Body of an offering's creation. Prices, quotas, state and uuid are not among its fields: they are dropped."""
    no_plan = {"plans": "At least one plan should be specified."}
    return Form(
        {
            "name": _NAME,
            "category": Link(lambda url: find_category(world, url), required=True),
            "type": _OfferingType(),
            "customer": Link(lambda url: find_customer(world, url), nullable=True),
            "description": _DESCRIPTION,
            "backend_id": _BACKEND_ID,
            "slug": Text(max_length=50),
            "vendor_details": Text(),
            "attributes": Attributes(),
            "components": ListOf(COMPONENT),
            "plans": ListOf(PLAN, empty_error=no_plan),
            "shared": Flag(),
            "billable": Flag(),
            "rating": Integer(),
            **{name: Text() for name in _LONG_TEXTS},
        }
    )


class _OfferingType:
    """A registered plugin. Case matters."""

    required = True
    nullable = False

    def clean(self, value: Any) -> str:
        text = Text(max_length=100, blank=False).clean(value)
        if text not in OFFERING_TYPES:
            raise Invalid(["Invalid value."])
        return text
