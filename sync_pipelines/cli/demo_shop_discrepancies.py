"""What differs between the demo's shop and its Odoo on purpose, and as what the commerce pipeline has found it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from sync_pipelines.core.lifecycle import State
from sync_pipelines.core.plan import Action, Change
from sync_pipelines.store import findings, plans, states
from sync_pipelines.store.lookup import records_called, remarks
from sync_pipelines.store.scopes import find_scope

if TYPE_CHECKING:
    from sync_pipelines.pipelines.commerce.connection import ShopConnection
    from sync_pipelines.store.conflicts import Conflict

REPAIRED, CONFLICT, LEFT_ALONE, EQUAL, MISSING = "repaired", "conflict", "left alone", "equal", "NOT FOUND"
_WORDS = {CONFLICT: "waiting as conflicts", EQUAL: "rightly taken as equal"}
_MOST_PLANS = 200


@dataclass(frozen=True, slots=True)
class _Code:
    """A kind of discrepancy: what it is, of which entity, and the fields that differ; none for a whole record."""

    kind: str
    entity: str
    fields: frozenset[str] = frozenset()


def _code(kind: str, entity: str, *fields: str) -> _Code:
    return _Code(kind, entity, frozenset(fields))


_CODES: Mapping[str, _Code] = {
    "C01": _code("another e-mail address", "customers", "email"),
    "C02": _code("an invalid e-mail address", "customers"),
    "C03": _code("two partners with one e-mail address", "customers"),
    "C04": _code("in the shop only", "customers"),
    "C05": _code("in Odoo only", "customers"),
    "C06": _code("another name", "customers", "name"),
    "C07": _code("the phone written differently", "customers", "phone"),
    "C08": _code("no country", "customers", "country"),
    "C10": _code("archived in Odoo", "customers", "active"),
    "C11": _code("the e-mail address written differently", "customers", "email"),
    "C12": _code("another address", "customers", "street", "zip"),
    "P01": _code("another price", "products", "price"),
    "P02": _code("another name", "products", "name"),
    "P03": _code("another stock", "inventory", "quantity"),
    "P04": _code("in the shop only", "products"),
    "P05": _code("in Odoo only", "products"),
    "P06": _code("two products with one code", "products"),
    "P07": _code("the code written differently", "products"),
    "P08": _code("archived in Odoo", "products", "active"),
    "P09": _code("another barcode", "products", "gtin"),
    "P10": _code("a price apart by less than a cent", "products", "price"),
    "P11": _code("codes of two variants swapped", "products", "options", "price"),
    "P12": _code("the name escaped by the shop", "products", "name"),
    "P13": _code("a price that Odoo's extras cannot express", "products", "price"),
    "P14": _code("a negative stock in the shop", "inventory", "quantity"),
    "O01": _code("in the shop only", "orders"),
    "O02": _code("in Odoo only", "orders"),
    "O03": _code("two orders with one reference", "orders"),
    "O04": _code("a line with another price", "orders", "lines"),
    "O05": _code("paid in the shop, a draft in Odoo", "orders", "status"),
    "O06": _code("canceled in the shop, confirmed in Odoo", "orders", "status"),
    "O07": _code("a line with another quantity", "orders", "lines"),
    "O08": _code("no line for shipping", "orders", "lines"),
    "O09": _code("another customer", "orders", "customer"),
    "O10": _code("a total apart by about a cent", "orders", "lines", "total"),
    "O11": _code("a line on the stand-in product", "orders", "lines"),
    "O12": _code("missing, as its customer is", "orders"),
    "O13": _code("the date overwritten by the confirmation", "orders", "date"),
    "O14": _code("a refund without a credit note", "orders", "refunds"),
}


@dataclass(frozen=True, slots=True)
class ShopDiscrepancy:
    """A kind of documented discrepancy.

    Attributes:
        found: number of records by as what they were found.
        reasons: why records are left alone.
    """

    code: str
    kind: str
    found: Mapping[str, int]
    reasons: tuple[str, ...]

    @property
    def told(self) -> str:
        """As what it was found, for people."""
        parts = [f"{number} {_WORDS.get(word, word)}" for word, number in self.found.items()]
        return "\n".join([", ".join(parts), *self.reasons])


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the records of an entity, by natural key."""

    conflicts: Mapping[str, list[Conflict]] = field(default_factory=lambda: defaultdict(list))
    changes: Mapping[str, list[tuple[Change, bool]]] = field(default_factory=lambda: defaultdict(list))
    reasons: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


def shop_discrepancies(store: Connection, shop: ShopConnection) -> list[ShopDiscrepancy]:
    """Return each kind of documented discrepancy with as what it was found, in this demo or in one before."""
    data = resources.files("sync_pipelines.sandbox") / "data" / "commerce" / "discrepancies.json"
    rows: list[tuple[str, str, bool]] = json.loads(data.read_text("utf-8"))
    known = {
        entity.value: _known(store, shop, entity.value, {key for code, key, _ in rows if _CODES[code].entity == entity})
        for entity in shop.entities
    }
    found: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, list[str]] = defaultdict(list)
    for code, key, is_real in rows:
        what = _CODES[code]
        word, reason = _found_as(what, key, known[what.entity])
        found[code][word if word != EQUAL or not is_real else MISSING] += 1
        reasons[code] += [reason] if reason else []
    return [
        ShopDiscrepancy(code, _CODES[code].kind, dict(found[code]), tuple(dict.fromkeys(reasons[code])))
        for code in found
    ]


def _found_as(what: _Code, key: str, known: _Known) -> tuple[str, str]:
    """Say as what one record was found, and why it is left alone."""
    if any(
        not one.fields or not what.fields or what.fields & one.fields.keys() for one in known.conflicts.get(key, [])
    ):
        return CONFLICT, ""
    made = known.changes.get(key, [])
    for change, is_applied in made:
        if is_applied and (change.action is Action.CREATE or not what.fields or what.fields & set(change.fields)):
            return REPAIRED, ""
    held_back = {name for change, _ in made for name in change.blocked} & what.fields
    if reason := known.reasons.get(key, ""):
        return LEFT_ALONE, reason
    if held_back:
        return LEFT_ALONE, f"only a person can write {', '.join(sorted(held_back))}"
    return (EQUAL, "") if key in known.seen else (MISSING, "")


def _known(store: Connection, shop: ShopConnection, entity: str, keys: Iterable[str]) -> _Known:
    from sync_pipelines.pipelines.commerce.conflict_rows import open_conflicts
    from sync_pipelines.pipelines.commerce.connection import EntityType
    from sync_pipelines.pipelines.commerce.one_way import PAIRS

    known, name = _Known(), shop.scope(EntityType(entity))
    for conflict in open_conflicts(store, shop, [EntityType(entity)]):
        known.conflicts[conflict.item].append(conflict)
    scopes = [scope for pair in PAIRS if (scope := find_scope(store, pair, name))]
    # What a system says of a record tells more than that the other one lacks it.
    told = sorted((one for scope in scopes for one in remarks(store, scope)), key=lambda one: one.side != "right")
    known.reasons.update({one.natural_key or one.key: one.reason for one in reversed(told)})
    for scope in scopes:
        for plan in plans.list_plans(store, pair=scope.pair, scope=name, limit=_MOST_PLANS):
            applied = {change.key for change in plans.changes(store, plan.id, state="applied")}
            for change in plans.changes(store, plan.id):
                known.changes[change.natural_key].append((change, change.key in applied))
        for finding in findings.standing(store, scope.pair, scope=name):
            known.reasons.setdefault(finding.natural_key, finding.detail)
        for key in keys:
            for record in records_called(store, scope, key):
                state = states.find_state(store, scope, record)
                known.seen.add(key)
                if state is not None and state.state is not State.SYNCED:
                    known.reasons.setdefault(key, state.reason)
    return known
