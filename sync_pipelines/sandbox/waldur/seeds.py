"""Ready worlds: the one the recordings start from, and the demo with its documented discrepancies."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from importlib import resources
from typing import Any

from sync_pipelines.sandbox.waldur.model import Component, Offering, Plan, PlanComponent
from sync_pipelines.sandbox.waldur.world import WaldurWorld, slugify

DEMO_STAFF_TOKEN = "demo-staff-token"

_DATA = resources.files("sync_pipelines.sandbox") / "data" / "offerings"
_CATEGORIES = ("compute", "storage", "hpc", "gpu", "network", "other")


def recorded_world() -> WaldurWorld:
    """The state before each recorded scenario. Tokens are the placeholders of the recordings, such as ``<staff>``."""
    world = WaldurWorld()
    world.add_customer("a" * 32, "VirtEngine Provider A")
    world.add_customer("b" * 32, "VirtEngine Provider B")
    world.add_customer("c" * 32, "Not a provider", is_service_provider=False)
    for number, title in enumerate(_CATEGORIES, start=1):
        world.add_category(f"ca{number:030}", title)
    world.add_user("staff", "<staff>", is_staff=True)
    world.add_user("staff2", "<staff2>", is_staff=True)
    world.add_user("owner", "<owner>", owns={"a" * 32})
    world.add_user("support", "<support>", is_support=True)
    world.add_user("stranger", "<stranger>")
    return world


def demo_owner_token(customer_name: str) -> str:
    """Token of the demo user who owns a customer, e.g. ``demo-owner-okra-cloud-gmbh``."""
    return f"demo-owner-{slugify(customer_name)}"


def demo_world() -> WaldurWorld:
    """Three providers' offerings with their original uuids and dates.

    Tokens are :data:`DEMO_STAFF_TOKEN` and :func:`demo_owner_token` of each customer.
    """
    world = WaldurWorld()
    setup = _read("waldur_setup.json")
    bodies = _read("waldur_offerings.json")
    world.add_user("demo-staff", DEMO_STAFF_TOKEN, is_staff=True)
    for customer in setup["customers"].values():
        world.add_customer(customer["uuid"], customer["name"])
        token = demo_owner_token(customer["name"])
        world.add_user(token, token, owns={customer["uuid"]})
    titles = {body["category_uuid"]: body["category_title"] for body in bodies}
    for chain_name, uuid in setup["categories"].items():
        world.add_category(uuid, titles.get(uuid, chain_name.title()))
    for number, body in enumerate(sorted(bodies, key=lambda body: body["created"]), start=1):
        offering = _offering(world, body, number)
        world.offerings[offering.uuid] = offering
    world.created_count = len(bodies)
    return world


def _offering(world: WaldurWorld, body: dict[str, Any], number: int) -> Offering:
    kept = (
        "uuid name slug description backend_id state type shared billable paused_reason order_count attributes "
        "backend_metadata"
    )
    texts = ("full_description", "getting_started", "integration_guide", "vendor_details")
    offering = Offering(
        customer=world.customers[body["customer_uuid"]],
        category=world.categories[body["category_uuid"]],
        created=datetime.fromisoformat(body["created"]),
        number=number,
        texts={name: body[name] for name in texts if body.get(name)},
        components=[_component(component) for component in body["components"]],
        **{name: body[name] for name in kept.split()},
    )
    offering.plans = [_plan(offering, plan) for plan in body["plans"]]
    return offering


def _component(body: dict[str, Any]) -> Component:
    # Keys of newer servers, such as `unit_factor`, have no place in the answers of a 7.0.7 server.
    return Component(**{name: value for name, value in body.items() if name in Component.__dataclass_fields__})


def _plan(offering: Offering, body: dict[str, Any]) -> Plan:
    plan = Plan(
        body["name"],
        unit=body["unit"],
        unit_price=Decimal(body["unit_price"]),
        description=body["description"],
        article_code=body["article_code"],
        backend_id=body["backend_id"],
        archived=body["archived"],
        uuid=body["uuid"],
    )
    prices = body["prices"]
    priced = [component for component in offering.components if component.type in prices]
    plan.rows = {component.uuid: PlanComponent(Decimal(prices[component.type])) for component in priced}
    return plan


def _read(name: str) -> Any:
    return json.loads((_DATA / name).read_text("utf-8"))
