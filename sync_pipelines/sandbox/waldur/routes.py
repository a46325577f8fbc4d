"""Which path and method reaches which handler. Paths end in a slash, as in every Django project."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sync_pipelines.sandbox.waldur import environment, offerings, plans
from sync_pipelines.sandbox.waldur.calls import Answer, Call

Handler = Callable[[Call], Answer]

_LIST = "GET, POST, HEAD, OPTIONS"
# PUT, PATCH and DELETE are advertised on every detail path, also where each of them is answered with 405.
_DETAIL = "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
_READ = "GET, HEAD, OPTIONS"
_ACTION = "POST, OPTIONS"
_ID = r"(?P<uuid>[^/.]+)"
_PROVIDER = "/api/marketplace-provider-offerings/"
_PUBLIC = "/api/marketplace-public-offerings/"
_PLANS = "/api/marketplace-plans/"


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    Attributes:
        pattern: regular expression for the whole path.
        allow: value of the ``Allow`` header of every answer.
        handlers: by method; HEAD uses the one of GET.
        anonymous: whether requests without credentials are served.
        publishes: the methods after which the server sends an event, and so fails when its broker is down.
    """

    pattern: str
    allow: str
    handlers: Mapping[str, Handler]
    anonymous: bool = False
    publishes: frozenset[str] = field(default_factory=frozenset)


_SILENT_UPDATES = (
    "update_overview|update_description|update_integration|update_attributes|update_options|update_resource_options"
    "|update_location|set_backend_metadata|update_offering_component|remove_offering_component"
)
_POST = frozenset({"POST"})

ROUTES = (
    Route("/api/", _READ, {"GET": environment.api_root}),
    Route("/api/version/", "GET, OPTIONS", {"GET": environment.version}),
    Route("/api/users/me/", _READ, {"GET": environment.current_user}),
    Route("/api/customers/", _LIST, {"GET": environment.list_customers}),
    Route(f"/api/customers/{_ID}/", _DETAIL, {"GET": environment.retrieve_customer}),
    Route(
        "/api/marketplace-categories/",
        _LIST,
        {"GET": environment.list_categories, "POST": environment.create_category},
        anonymous=True,
    ),
    Route(f"/api/marketplace-categories/{_ID}/", _DETAIL, {"GET": environment.retrieve_category}, anonymous=True),
    Route("/api/marketplace-service-providers/", _LIST, {"GET": environment.list_service_providers}, anonymous=True),
    Route("/api/marketplace-plugins/", _READ, {"GET": environment.list_plugins}, anonymous=True),
    Route(_PROVIDER, _LIST, {"GET": offerings.list_offerings, "POST": offerings.create_offering}, publishes=_POST),
    Route(
        f"{_PROVIDER}{_ID}/",
        _DETAIL,
        {"GET": offerings.retrieve_offering, "DELETE": offerings.delete_offering},
        publishes=frozenset({"DELETE"}),
    ),
    Route(
        f"{_PROVIDER}{_ID}/(?P<action>activate|pause|unpause|archive|draft)/",
        _ACTION,
        {"POST": offerings.move_offering},
        publishes=_POST,
    ),
    Route(
        f"{_PROVIDER}{_ID}/(?P<action>create_offering_component)/",
        _ACTION,
        {"POST": offerings.update_offering},
        publishes=_POST,
    ),
    Route(f"{_PROVIDER}{_ID}/(?P<action>{_SILENT_UPDATES})/", _ACTION, {"POST": offerings.update_offering}),
    Route(_PUBLIC, _READ, {"GET": offerings.list_public_offerings}, anonymous=True),
    Route(f"{_PUBLIC}{_ID}/", _READ, {"GET": offerings.retrieve_public_offering}, anonymous=True),
    Route(f"{_PUBLIC}{_ID}/plans/", _READ, {"GET": offerings.list_public_plans}, anonymous=True),
    Route(_PLANS, _LIST, {"GET": plans.list_plans, "POST": plans.create_plan}),
    Route(
        f"{_PLANS}{_ID}/",
        _DETAIL,
        {"GET": plans.retrieve_plan, "PUT": plans.replace_plan, "PATCH": plans.patch_plan},
    ),
    Route(f"{_PLANS}{_ID}/update_prices/", _ACTION, {"POST": plans.update_prices}, publishes=_POST),
    Route(f"{_PLANS}{_ID}/update_quotas/", _ACTION, {"POST": plans.update_quotas}),
    Route(f"{_PLANS}{_ID}/archive/", _ACTION, {"POST": plans.archive_plan}),
)


def resolve(path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a path with its named parts, or ``None``."""
    for route in ROUTES:
        if match := re.fullmatch(route.pattern, path):
            return route, match.groupdict()
    return None
