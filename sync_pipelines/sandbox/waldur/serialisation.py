"""How Waldur 7.0.7 prints its objects: the same object has other keys in a list, in a detail, for the public."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_pipelines.sandbox.waldur.model import Category, Component, Customer, Offering, Plan, User

_COMPONENT_KEYS = (
    "uuid",
    "billing_type",
    "type",
    "name",
    "description",
    "measured_unit",
    "limit_period",
    "limit_amount",
    "article_code",
    "max_value",
    "min_value",
    "max_available_limit",
    "is_boolean",
    "default_limit",
    "factor",
    "is_builtin",
)
_PLAN_TYPES = {
    "fixed": "fixed",
    "usage": "usage-based",
    "limit": "limit",
    "one": "one-time",
    "few": "on-plan-switch",
}


def timestamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def component_body(component: Component) -> dict[str, Any]:
    return {key: getattr(component, key) for key in _COMPONENT_KEYS}


def plan_body(base: str, offering: Offering, plan: Plan, *, computed: bool, public: bool = False) -> dict[str, Any]:
    """A plan inside an offering.

    Arguments:
        base: scheme and host of the request; all links start with it.
        offering: the offering it belongs to.
        plan: the plan.
        computed: with the two keys that only reads carry.
        public: with a link below the public offering.
    """
    rows = offering.price_rows(plan)
    path = f"public-offerings/{offering.uuid}/plans" if public else "plans"
    body: dict[str, Any] = {
        "url": f"{base}/api/marketplace-{path}/{plan.uuid}/",
        "uuid": plan.uuid,
        "name": plan.name,
        "description": plan.description,
        "article_code": plan.article_code,
        "max_amount": plan.max_amount,
        "archived": plan.archived,
        "is_active": True,
        "unit_price": f"{plan.unit_price:.10f}",
        "unit": plan.unit,
        "init_price": _sum_of(offering, plan, "one"),
        "switch_price": _sum_of(offering, plan, "few"),
        "backend_id": plan.backend_id,
        "organization_groups": [],
        "prices": {component.type: float(row.price) for component, row in rows},
        "future_prices": {
            component.type: None if row.future_price is None else float(row.future_price) for component, row in rows
        },
        "quotas": {component.type: row.amount for component, row in rows},
        "resources_count": plan.resources,
    }
    return body | _computed(offering, plan) if computed else body


def plan_detail(base: str, offering: Offering, plan: Plan, *, computed: bool) -> dict[str, Any]:
    """A plan at its own endpoint."""
    link = {"offering": f"{base}/api/marketplace-provider-offerings/{offering.uuid}/"}
    return plan_body(base, offering, plan, computed=computed) | link


def _computed(offering: Offering, plan: Plan) -> dict[str, Any]:
    priced = [(component, row) for component, row in offering.price_rows(plan) if row.price]
    kinds = {component.billing_type for component, _ in priced}
    plan_type = None
    if kinds:
        plan_type = "mixed" if len(kinds) > 1 else _PLAN_TYPES[next(iter(kinds))]
    minimal = sum((row.price * (row.amount or 1) for item, row in priced if item.billing_type != "usage"), Decimal(0))
    return {"plan_type": plan_type, "minimal_price": float(minimal) if minimal else 0}


def _sum_of(offering: Offering, plan: Plan, billing_type: str) -> float | int:
    total = sum((row.price for item, row in offering.price_rows(plan) if item.billing_type == billing_type), Decimal(0))
    return float(total) if total else 0


def provider_offering(base: str, offering: Offering, *, read: bool, detail: bool, secrets: bool) -> dict[str, Any]:
    """An offering as its provider sees it.

    Arguments:
        base: scheme and host of the request.
        offering: the offering.
        read: with the keys that the answer to a create lacks.
        detail: with the totals that lists lack.
        secrets: the viewer may see integration options.
    """
    body = _offering(base, "provider", offering, computed=read, public=False)
    body["scope"] = None
    if secrets:
        body |= {"secret_options": offering.secret_options, "service_attributes": {}}
    if read:
        body |= {"integration_status": [], "google_calendar_is_public": None, "google_calendar_link": None}
    if detail:
        body |= {"total_customers": 0, "total_cost": 0, "total_cost_estimated": 0}
    return body


def public_offering(base: str, offering: Offering, viewer: User | None) -> dict[str, Any]:
    """An offering as the world sees it; ``viewer`` is ``None`` for anonymous requests."""
    body = _offering(base, "public", offering, computed=True, public=True)
    body |= {"google_calendar_is_public": None, "google_calendar_link": None, "promotion_campaigns": []}
    return body if viewer is None else body | {"scope": None}


def _offering(base: str, kind: str, offering: Offering, *, computed: bool, public: bool) -> dict[str, Any]:
    components = sorted(offering.components, key=lambda component: component.name)
    plans = sorted(offering.plans, key=lambda plan: plan.name)
    texts: Mapping[str, str] = offering.texts
    return {
        "url": f"{base}/api/marketplace-{kind}-offerings/{offering.uuid}/",
        "uuid": offering.uuid,
        "created": timestamp(offering.created),
        "name": offering.name,
        "slug": offering.slug,
        "description": offering.description,
        "full_description": texts.get("full_description", ""),
        "terms_of_service": texts.get("terms_of_service", ""),
        "terms_of_service_link": texts.get("terms_of_service_link", ""),
        "privacy_policy_link": texts.get("privacy_policy_link", ""),
        "endpoints": [],
        "roles": [],
        "customer": f"{base}/api/customers/{offering.customer.uuid}/",
        "customer_uuid": offering.customer.uuid,
        "customer_name": offering.customer.name,
        "project": None,
        "category": f"{base}/api/marketplace-categories/{offering.category.uuid}/",
        "category_uuid": offering.category.uuid,
        "category_title": offering.category.title,
        "rating": offering.rating,
        "attributes": offering.attributes,
        "options": offering.options,
        "resource_options": offering.resource_options,
        "components": [component_body(component) for component in components],
        "plugin_options": offering.plugin_options,
        "state": offering.state,
        "native_name": "",
        "native_description": "",
        "vendor_details": texts.get("vendor_details", ""),
        "getting_started": texts.get("getting_started", ""),
        "integration_guide": texts.get("integration_guide", ""),
        "thumbnail": None,
        "order_count": offering.order_count,
        "plans": [plan_body(base, offering, plan, computed=computed, public=public) for plan in plans],
        "screenshots": [],
        "type": offering.type,
        "shared": offering.shared,
        "billable": offering.billable,
        "files": [],
        "paused_reason": offering.paused_reason,
        "datacite_doi": "",
        "citation_count": -1,
        "latitude": offering.latitude,
        "longitude": offering.longitude,
        "country": "",
        "backend_id": offering.backend_id,
        "organization_groups": [],
        "image": None,
        "backend_metadata": offering.backend_metadata,
    }


def category_body(base: str, category: Category) -> dict[str, Any]:
    return {
        "url": f"{base}/api/marketplace-categories/{category.uuid}/",
        "uuid": category.uuid,
        "title": category.title,
        "description": category.description,
        "icon": None,
        "default_vm_category": False,
        "default_volume_category": False,
        "default_tenant_category": False,
        "offering_count": 0,
        "sections": [],
        "columns": [],
        "components": [],
        "articles": [],
        "group": None,
    }


def customer_body(base: str, customer: Customer, *, users: int, slug: str) -> dict[str, Any]:
    """An organization with the number of its ``users``."""
    blank = (
        "native_name contact_details agreement_number email phone_number access_subnets registration_code homepage "
        "domain vat_code postal address bank_name bank_account country"
    )
    return dict.fromkeys(blank.split(), "") | {
        "url": f"{base}/api/customers/{customer.uuid}/",
        "uuid": customer.uuid,
        "created": timestamp(customer.created),
        "organization_group": None,
        "display_name": customer.name[:8],
        "projects": [],
        "backend_id": customer.backend_id,
        "image": None,
        "blocked": customer.blocked,
        "archived": False,
        "default_tax_percent": "0.00",
        "accounting_start_date": timestamp(customer.created),
        "projects_count": 0,
        "users_count": users,
        "sponsor_number": None,
        "country_name": None,
        "name": customer.name,
        "slug": slug,
        "abbreviation": customer.name[:8],
        "latitude": None,
        "longitude": None,
        "payment_profiles": [],
        "is_service_provider": customer.provider_uuid is not None,
        "call_managing_organization_uuid": None,
    }


def service_provider_body(base: str, customer: Customer, viewer: User | None) -> dict[str, Any]:
    body = {
        "url": f"{base}/api/marketplace-service-providers/{customer.provider_uuid}/",
        "uuid": customer.provider_uuid,
        "created": timestamp(customer.created),
        "description": "",
        "customer": f"{base}/api/customers/{customer.uuid}/",
        "customer_name": customer.name,
        "customer_uuid": customer.uuid,
        "customer_image": None,
        "customer_abbreviation": customer.name[:8],
        "customer_native_name": "",
        "customer_country": "",
        "image": None,
        "organization_group": None,
        "offering_count": 0,
    }
    return body if viewer is None else body | {"enable_notifications": True}


def user_body(base: str, user: User, customers: list[Customer]) -> dict[str, Any]:
    """The caller's own account, its token included. ``customers`` are those it owns."""
    blank = (
        "full_name native_name job_title phone_number organization description preferred_language first_name last_name "
        "identity_provider_management_url identity_source"
    )
    flags = {"is_staff": user.is_staff, "is_active": user.is_active, "is_support": user.is_support}
    body = dict.fromkeys(blank.split(), "") | {
        "url": f"{base}/api/users/{user.uuid}/",
        "uuid": user.uuid,
        "username": user.username,
        "slug": f"{user.username}-1",
        "email": f"{user.username}@example.com",
        "civil_number": None,
        "token": user.token,
        "token_lifetime": user.token_lifetime,
        "registration_method": "default",
        "date_joined": timestamp(user.created),
        "agreement_date": None,
        "permissions": [_permission(user, customer) for customer in customers],
        "requested_email": None,
        "affiliations": [],
        "identity_provider_name": "Local DB",
        "identity_provider_label": "Local DB",
        "identity_provider_fields": [],
        "image": None,
    }
    return body | flags if user.sees_everything else body


def _permission(user: User, customer: Customer) -> dict[str, Any]:
    return {
        "user_uuid": user.uuid,
        "user_name": "",
        "user_slug": f"{user.username}-1",
        "created": timestamp(user.created),
        "expiration_time": None,
        "role_name": "CUSTOMER.OWNER",
        "role_description": "Organization owner",
        "role_uuid": "d8190603e2f046488c27488d647266a7",
        "scope_type": "customer",
        "scope_uuid": customer.uuid,
        "scope_name": customer.name,
    }
