"""Handlers of ``/api/marketplace-plans/``. Any user may read every plan; only writing asks for a role."""

from __future__ import annotations

from typing import Any

from sync_pipelines.sandbox.waldur import forms
from sync_pipelines.sandbox.waldur.calls import Answer, Call
from sync_pipelines.sandbox.waldur.errors import forbidden, not_found, refused
from sync_pipelines.sandbox.waldur.listing import page_of, uuid_filter
from sync_pipelines.sandbox.waldur.model import Offering, Plan, parse_uuid
from sync_pipelines.sandbox.waldur.serialisation import plan_detail


def list_plans(call: Call) -> Answer:
    rows = list(call.world.plans())
    if (offering_uuid := uuid_filter(call, "offering_uuid")) is not None:
        rows = [row for row in rows if row[0].uuid == offering_uuid]
    if link := call.value("offering"):
        rows = [row for row in rows if link.endswith(f"/api/marketplace-provider-offerings/{row[0].uuid}/")]
    rows.sort(key=lambda row: row[1].name)
    return page_of(call, rows, lambda row: plan_detail(call.base, *row, computed=True))


def retrieve_plan(call: Call) -> Answer:
    return Answer(200, plan_detail(call.base, *_found(call), computed=True))


def create_plan(call: Call) -> Answer:
    values = call.form(forms.plan_form(call.world))
    offering: Offering = values.pop("offering")
    if not call.caller.may_change(offering.customer.uuid):
        raise forbidden()
    plan = call.world.add_plan(offering, values)
    body = plan_detail(call.base, offering, plan, computed=False)
    return Answer(201, body, {"Location": body["url"]})


def replace_plan(call: Call) -> Answer:
    return _change(call, partial=False)


def patch_plan(call: Call) -> Answer:
    return _change(call, partial=True)


def _change(call: Call, *, partial: bool) -> Answer:
    offering, plan = _writable(call)
    if plan.resources:
        raise refused("It is not possible to update plan because it is used by resources.")
    call.world.update_plan(plan, call.form(forms.PLAN_UPDATE, partial=partial))
    return Answer(200, plan_detail(call.base, offering, plan, computed=False))


def update_prices(call: Call) -> Answer:
    offering, plan = _writable(call)
    prices: dict[str, Any] = call.form(forms.PRICES)["prices"]
    _check_components(prices, {component.type for component in offering.components})
    call.world.set_prices(offering, plan, prices)
    return Answer()


def update_quotas(call: Call) -> Answer:
    offering, plan = _writable(call)
    quotas: dict[str, Any] = call.form(forms.QUOTAS)["quotas"]
    fixed = {component.type for component in offering.components if component.billing_type == "fixed"}
    _check_components(quotas, fixed)
    call.world.set_quotas(offering, plan, quotas)
    return Answer()


def archive_plan(call: Call) -> Answer:
    _, plan = _writable(call)
    if plan.archived:
        raise refused("Plan is already archived.")
    plan.archived = True
    return Answer(200, {"detail": "Plan has been archived."})


def _check_components(sent: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(sent) - known):
        raise refused(f"Invalid components {', '.join(unknown)}.")


def _found(call: Call) -> tuple[Offering, Plan]:
    found = call.world.plan(parse_uuid(call.names["uuid"]) or "")
    if found is None:
        raise not_found("Plan")
    return found


def _writable(call: Call) -> tuple[Offering, Plan]:
    offering, plan = _found(call)
    if not call.caller.may_change(offering.customer.uuid):
        raise forbidden()
    return offering, plan
