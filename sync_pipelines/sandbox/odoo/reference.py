"""Models that a shop's pipeline only looks things up in: countries, company, currency, languages, taxes, users."""

from __future__ import annotations

from typing import Any, ClassVar

from sync_pipelines.sandbox.odoo.calling import on_model, on_records
from sync_pipelines.sandbox.odoo.domains import prepared
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.errors import validation_error
from sync_pipelines.sandbox.odoo.fields import (
    Fields,
    boolean,
    char,
    choice,
    floating,
    integer,
    many2many,
    many2one,
    one2many,
)
from sync_pipelines.sandbox.odoo.records import Values
from sync_pipelines.sandbox.odoo.standard_calls import StandardModel
from sync_pipelines.sandbox.odoo.tables import Row


class Country(StandardModel):
    """``res.country``."""

    name = "res.country"
    label = "Country"
    order = "name, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Country Name", required=True, translate=True, indexed=True),
        "code": char("Country Code", required=True, indexed=True),
        "phone_code": integer("Country Calling Code"),
        "state_ids": one2many("res.country.state", "country_id", "States"),
    }

    @on_model
    def name_search(
        self, env: Env, name: str = "", domain: Any = None, operator: str = "ilike", limit: int | None = 100
    ) -> list[tuple[int, str]]:
        coded = [row for row in prepared(env, self, domain or []).found(self) if len(name) == 2 and row["code"] == name]
        others = super().name_search(env, name, domain, operator, limit)
        first = self.named(env, coded)
        return [*first, *(other for other in others if other not in first)][:limit]


class CountryState(StandardModel):
    """``res.country.state``."""

    name = "res.country.state"
    label = "Country state"
    order = "code, id"
    own_fields: ClassVar[Fields] = {
        "name": char("State Name", required=True, indexed=True),
        "code": char("State Code", required=True, indexed=True),
        "country_id": many2one("res.country", "Country", required=True, indexed=True),
    }

    def display(self, env: Env, row: Row) -> str:
        return f"{row['name']} ({env['res.country'].table.rows[row['country_id']]['code']})"


class Company(StandardModel):
    """``res.company``."""

    name = "res.company"
    label = "Companies"
    order = "name, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Company Name", required=True),
        "partner_id": many2one("res.partner", "Partner", required=True),
        "currency_id": many2one("res.currency", "Currency", required=True),
        "country_id": many2one("res.country", "Country"),
    }


class Currency(StandardModel):
    """``res.currency``."""

    name = "res.currency"
    label = "Currency"
    order = "active desc, name, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Currency", required=True, indexed=True),
        "symbol": char("Symbol"),
        "rounding": floating("Rounding Factor", default=0.01),
        "decimal_places": integer("Decimal Places", default=2),
        "active": boolean("Active", default=True),
    }


class Language(StandardModel):
    """``res.lang``."""

    name = "res.lang"
    label = "Languages"
    order = "active desc, name, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Name", required=True),
        "code": char("Locale Code", required=True, indexed=True),
        "iso_code": char("ISO code"),
        "active": boolean("Active"),
    }

    def check(self, env: Env, row: Row) -> None:
        if len(self.table.having("code", row["code"])) > 1:
            raise validation_error("The operation cannot be completed: The code of the language must be unique!")


class LanguageInstall(StandardModel):
    """``base.language.install``, the wizard."""

    name = "base.language.install"
    label = "Install Language"
    own_fields: ClassVar[Fields] = {
        "lang_ids": many2many("res.lang", "Languages"),
        "overwrite": boolean("Overwrite Existing Terms"),
    }

    @on_records
    def lang_install(self, env: Env, ids: Any) -> dict[str, Any]:
        wizard = self.table.rows[self.existing(env, ids)[0]]
        env["res.lang"].write(env, list(wizard["lang_ids"]), {"active": True})
        return {
            "type": "ir.actions.act_window",
            "res_model": self.name,
            "res_id": wizard["id"],
            "view_mode": "form",
            "target": "new",
            "views": [[104, "form"]],
        }


class Tax(StandardModel):
    """``account.tax``."""

    name = "account.tax"
    label = "Tax"
    order = "sequence, id"
    own_fields: ClassVar[Fields] = {
        "name": char("Tax Name", required=True),
        "sequence": integer("Sequence", default=1),
        "amount": floating("Amount"),
        "price_include": boolean("Included in Price"),
        "type_tax_use": choice("Tax Type", ("sale", "Sales"), ("purchase", "Purchases"), default="sale"),
        "active": boolean("Active", default=True),
    }


class Pricelist(StandardModel):
    """``product.pricelist``."""

    name = "product.pricelist"
    label = "Pricelist"
    own_fields: ClassVar[Fields] = {
        "name": char("Pricelist Name", required=True),
        "currency_id": many2one("res.currency", "Currency", required=True),
        "active": boolean("Active", default=True),
    }


class Unit(StandardModel):
    """``uom.uom``."""

    name = "uom.uom"
    label = "Product Unit of Measure"
    order = "sequence, id"
    own_fields: ClassVar[Fields] = {"name": char("Unit Name", required=True), "sequence": integer("Sequence")}


class Precision(StandardModel):
    """``decimal.precision``."""

    name = "decimal.precision"
    label = "Decimal Precision"
    own_fields: ClassVar[Fields] = {"name": char("Usage", required=True), "digits": integer("Digits")}


class Parameter(StandardModel):
    """``ir.config_parameter``."""

    name = "ir.config_parameter"
    label = "System Parameter"
    own_fields: ClassVar[Fields] = {"key": char("Key", required=True), "value": char("Value", required=True)}

    @on_model
    def get_param(self, env: Env, key: str, default: Any = False) -> Any:
        return next((row["value"] for row in self.table.rows.values() if row["key"] == key), default)


class Users(StandardModel):
    """``res.users``: the part that a client may see. Passwords and keys are kept elsewhere."""

    name = "res.users"
    label = "User"
    order = "name, login"
    own_fields: ClassVar[Fields] = {
        "name": char("Name"),
        "login": char("Login", required=True),
        "partner_id": many2one("res.partner", "Related Partner"),
        "active": boolean("Active", default=True),
    }

    @on_model
    def context_get(self, env: Env) -> dict[str, Any]:
        return {"lang": env.user.lang, "tz": env.user.tz, "uid": env.user.id}

    def written(self, env: Env, before: Row, row: Row, values: Values) -> None:
        if "name" in values:
            env["res.partner"].write(env, [row["partner_id"]], {"name": row["name"]})
