"""Users, their API keys, and what each may do with which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sync_pipelines.sandbox.odoo.errors import access_error


@dataclass(slots=True)
class ApiKey:
    """A key of a user.

    Attributes:
        expires_at: Unix seconds; ``None`` never.
    """

    key: str
    expires_at: float | None = None


@dataclass(slots=True)
class User:
    """Somebody who may log in.

    Attributes:
        groups: of ``sales``, ``stock``, ``products``, ``invoicing`` and ``admin``, who may do everything.
    """

    id: int
    login: str
    name: str
    partner_id: int
    password: str = ""
    groups: set[str] = field(default_factory=set)
    keys: list[ApiKey] = field(default_factory=list)
    lang: str = "en_US"
    tz: str = "Europe/Berlin"
    active: bool = True


_VERBS = {"read": "access", "write": "modify", "create": "create", "unlink": "delete"}
_EVERYBODY = "user"
_SALES = (
    "Accounting/Invoicing",
    "Inventory/User",
    "Sales/Administrator",
    "Sales/User: Own Documents Only",
    "Role / Portal",
    "Show Accounting Features - Readonly",
    "Show Full Accounting Features",
)


@dataclass(frozen=True, slots=True)
class Rights:
    """The groups that may read a model and that may change it, and what a refusal calls them."""

    read: frozenset[str]
    change: frozenset[str]
    told: tuple[str, ...]


def _rights(read: str, change: str, *told: str) -> Rights:
    return Rights(frozenset(read.split()), frozenset(change.split()), told or ("Role / Administrator",))


_ADMIN_ONLY = _rights("admin", "admin")
_REFERENCE = _rights(_EVERYBODY, "admin")
_RIGHTS: Mapping[str, Rights] = {
    "res.partner": _rights(_EVERYBODY, "sales contacts", "Contact/Creation"),
    "res.partner.category": _rights(_EVERYBODY, "sales contacts", "Contact/Creation"),
    "res.users": _rights(_EVERYBODY, "admin", "Access Rights"),
    "ir.model.data": _rights("admin", "admin", "Access Rights"),
    "product.template": _rights(_EVERYBODY, "products", "Products/Create"),
    "product.product": _rights(_EVERYBODY, "products", "Products/Create"),
    "product.category": _rights(_EVERYBODY, "products", "Products/Create"),
    "product.attribute": _rights(_EVERYBODY, "products", "Products/Create"),
    "product.attribute.value": _rights(_EVERYBODY, "products", "Products/Create"),
    "product.template.attribute.line": _rights(_EVERYBODY, "products", "Products/Create"),
    "product.template.attribute.value": _rights(_EVERYBODY, "products", "Products/Create"),
    "product.pricelist": _rights("sales products", "admin", "Sales/Administrator"),
    "sale.order": _rights("sales invoicing stock", "sales", *_SALES),
    "sale.order.line": _rights("sales invoicing stock", "sales", *_SALES),
    "stock.quant": _rights("stock sales", "stock", "Inventory/User"),
    "stock.move": _rights("stock sales", "stock", "Inventory/User"),
    "stock.picking": _rights("stock sales", "stock", "Inventory/User"),
    "stock.location": _rights(_EVERYBODY, "admin", "Inventory/Administrator"),
    "stock.warehouse": _rights(_EVERYBODY, "admin", "Inventory/Administrator"),
    "account.move": _rights("invoicing", "invoicing", "Accounting/Invoicing"),
    "account.move.line": _rights("invoicing", "invoicing", "Accounting/Invoicing"),
    "decimal.precision": _ADMIN_ONLY,
    "ir.config_parameter": _ADMIN_ONLY,
    "base.language.install": _ADMIN_ONLY,
}


def may(user: User, model: str, right: str) -> bool:
    """Whether a user has one of the rights ``read``, ``write``, ``create`` and ``unlink`` on a model."""
    rights = _RIGHTS.get(model, _REFERENCE)
    allowed = rights.read if right == "read" else rights.change
    return "admin" in user.groups or _EVERYBODY in allowed or bool(allowed & user.groups)


def demand(user: User, model: str, label: str, right: str) -> None:
    """Refuse what a user may not do.

    Raises:
        OdooError: an AccessError that tells the groups which may.
    """
    if may(user, model, right):
        return
    groups = "\n".join(f"\t- {group}" for group in _RIGHTS.get(model, _REFERENCE).told)
    raise access_error(
        f"You are not allowed to {_VERBS[right]} '{label}' ({model}) records.\n\n"
        f"This operation is allowed for the following groups:\n{groups}\n\n"
        "Contact your administrator to request access if necessary."
    )
