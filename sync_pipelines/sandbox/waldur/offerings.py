"""Handlers of ``/api/marketplace-provider-offerings/`` and of the public view of offerings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sync_pipelines.sandbox.waldur import forms
from sync_pipelines.sandbox.waldur.calls import Answer, Call
from sync_pipelines.sandbox.waldur.errors import (
    ApiError,
    Invalid,
    NothingThere,
    ServerCrash,
    detail,
    forbidden,
    not_found,
    refused,
)
from sync_pipelines.sandbox.waldur.fields import Attributes
from sync_pipelines.sandbox.waldur.listing import filtered_offerings, ordered_offerings, page_of
from sync_pipelines.sandbox.waldur.model import Component, Offering, User, parse_uuid
from sync_pipelines.sandbox.waldur.serialisation import plan_body, provider_offering, public_offering

Update = Callable[[Call, Offering], Answer]


def list_offerings(call: Call) -> Answer:
    visible = [offering for offering in call.world.offerings.values() if _sees(call.caller, offering)]
    rows = ordered_offerings(call, filtered_offerings(call, visible))
    return page_of(call, rows, lambda offering: call.selected(_body(call, offering, detail=False)))


def retrieve_offering(call: Call) -> Answer:
    return Answer(200, call.selected(_body(call, _visible(call), detail=True)))


def create_offering(call: Call) -> Answer:
    values = call.form(forms.offering_form(call.world))
    customer = values.get("customer")
    if customer is None or call.values("field"):
        # Both are bugs of the real server: it looks up the owner of no customer, or serializes a cut answer.
        raise ServerCrash("create without customer, or with field")
    if not call.caller.may_change(customer.uuid):
        raise forbidden()
    if customer.blocked:
        raise _blocked()
    offering = call.world.create_offering(customer, values["category"], values, by=call.caller)
    body = provider_offering(call.base, offering, read=False, detail=False, secrets=True)
    return Answer(201, body, {"Location": body["url"]})


def delete_offering(call: Call) -> Answer:
    offering = _changeable(call)
    if offering.customer.blocked:
        raise _blocked()
    if not call.caller.is_staff:
        if offering.state != "Draft":
            raise detail(403, "Offering was not deleted since offering is not in draft state.")
        if offering.has_resources:
            raise detail(403, "Offering was not deleted since it has resources.")
    del call.world.offerings[offering.uuid]
    return Answer(204)


def move_offering(call: Call) -> Answer:
    """Every state action; its name is the last part of the path."""
    action = call.names["action"]
    if action == "activate" and not call.caller.is_staff:
        raise forbidden()
    # `draft` checks nothing but visibility: a read-only support user can unpublish an offering, even a blocked one.
    offering = _visible(call) if action == "draft" else _changeable(call)
    if offering.customer.blocked and action != "draft":
        raise _blocked()
    before = offering.state
    if not call.world.move(offering, action):
        raise refused("Offering state is invalid.")
    if action == "pause":
        try:
            offering.paused_reason = call.form(forms.PAUSE).get("paused_reason", offering.paused_reason)
        except ApiError:
            offering.state = before
            raise
    return Answer(200, {"detail": "Offering state updated.", "state": offering.state})


def update_offering(call: Call) -> Answer:
    """Every action that edits an offering; its name is the last part of the path."""
    action = call.names["action"]
    offering = _changeable(call)
    if action == "set_backend_metadata":
        return _set_backend_metadata(call, offering)
    if action == "update_overview" and offering.state != "Draft" and not call.caller.is_staff:
        raise forbidden()
    if offering.state == "Archived":
        raise refused("It is not possible to update archived offering.")
    if offering.customer.blocked:
        raise _blocked()
    return _UPDATES[action](call, offering)


def _update_overview(call: Call, offering: Offering) -> Answer:
    call.world.update_overview(offering, call.form(forms.OVERVIEW), by=call.caller)
    return Answer()


def _update_description(call: Call, offering: Offering) -> Answer:
    offering.category = call.form(forms.category_form(call.world))["category"]
    return Answer()


def _update_integration(call: Call, offering: Offering) -> Answer:
    values = call.form(forms.INTEGRATION)
    # Accepted and dropped for types without a service behind them.
    values.pop("service_attributes", None)
    for name, value in values.items():
        setattr(offering, name, value)
    return Answer()


def _update_attributes(call: Call, offering: Offering) -> Answer:
    data = call.data()
    try:
        offering.attributes = Attributes().clean(data)
    except Invalid as problem:
        raise ApiError(400, problem.detail) from None
    return Answer()


def _set_backend_metadata(call: Call, offering: Offering) -> Answer:
    values = call.form(forms.BACKEND_METADATA)
    offering.backend_metadata = values.get("backend_metadata", offering.backend_metadata)
    return Answer(200, "Offering backend metadata has been updated.")


def _update_options(call: Call, offering: Offering) -> Answer:
    offering.options = call.form(forms.options_form("options"))["options"]
    return Answer()


def _update_resource_options(call: Call, offering: Offering) -> Answer:
    offering.resource_options = call.form(forms.options_form("resource_options"))["resource_options"]
    return Answer()


def _update_location(call: Call, offering: Offering) -> Answer:
    values = call.form(forms.LOCATION)
    offering.latitude, offering.longitude = values["latitude"], values["longitude"]
    return Answer()


def _create_component(call: Call, offering: Offering) -> Answer:
    call.world.add_component(offering, call.form(forms.COMPONENT))
    return Answer(201)


def _update_component(call: Call, offering: Offering) -> Answer:
    component = _named_component(call.data(), offering, "UUID for offering component was not provided.")
    call.world.update_component(offering, component, call.form(forms.COMPONENT, partial=True))
    return Answer()


def _remove_component(call: Call, offering: Offering) -> Answer:
    message = "UUID for offering component to remove was not provided."
    call.world.remove_component(offering, _named_component(call.data(), offering, message))
    return Answer()


_UPDATES: dict[str, Update] = {
    "update_overview": _update_overview,
    "update_description": _update_description,
    "update_integration": _update_integration,
    "update_attributes": _update_attributes,
    "update_options": _update_options,
    "update_resource_options": _update_resource_options,
    "update_location": _update_location,
    "create_offering_component": _create_component,
    "update_offering_component": _update_component,
    "remove_offering_component": _remove_component,
}


def _named_component(data: Any, offering: Offering, missing: str) -> Component:
    name = data.get("uuid") if isinstance(data, dict) else None
    if name is None:
        raise ApiError(400, {"details": missing})
    component = offering.component(parse_uuid(str(name)) or "")
    if component is None:
        raise NothingThere
    return component


def list_public_offerings(call: Call) -> Answer:
    public = [offering for offering in call.world.offerings.values() if _is_public(call.user, offering)]
    rows = ordered_offerings(call, filtered_offerings(call, public))
    return page_of(call, rows, lambda offering: call.selected(public_offering(call.base, offering, call.user)))


def retrieve_public_offering(call: Call) -> Answer:
    return Answer(200, call.selected(public_offering(call.base, _public(call), call.user)))


def list_public_plans(call: Call) -> Answer:
    offering = _public(call)
    plans = sorted(offering.plans, key=lambda plan: plan.name)
    return Answer(200, [plan_body(call.base, offering, plan, computed=True, public=True) for plan in plans])


def _public(call: Call) -> Offering:
    offering = call.world.offerings.get(parse_uuid(call.names["uuid"]) or "")
    if offering is None or not _is_public(call.user, offering):
        raise not_found("Offering")
    return offering


def _is_public(viewer: User | None, offering: Offering) -> bool:
    own = viewer is not None and _sees(viewer, offering)
    return offering.state in {"Active", "Paused"} and (offering.shared or own)


def _sees(user: User, offering: Offering) -> bool:
    return user.sees_everything or offering.customer.uuid in user.owns


def _visible(call: Call) -> Offering:
    offering = call.world.offerings.get(parse_uuid(call.names["uuid"]) or "")
    if offering is None or not _sees(call.caller, offering):
        raise not_found("Offering")
    return offering


def _changeable(call: Call) -> Offering:
    offering = _visible(call)
    if not call.caller.may_change(offering.customer.uuid):
        raise forbidden()
    return offering


def _body(call: Call, offering: Offering, *, detail: bool) -> dict[str, Any]:
    secrets = call.caller.may_change(offering.customer.uuid)
    return provider_offering(call.base, offering, read=True, detail=detail, secrets=secrets)


def _blocked() -> ApiError:
    return refused("Blocked organization is not available.")
