"""What the owners of a shop and of an Odoo database do to their products, and what they see of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sync_pipelines.pipelines.commerce.linked import code_key
from sync_pipelines.sandbox.odoo import OdooWorld
from sync_pipelines.sandbox.woocommerce import ShopWorld
from sync_pipelines.sandbox.woocommerce.model import Product

VARIANT, TEMPLATE = "product.product", "product.template"
_TOLD_BY_TEMPLATE = ("name", "list_price", "description_sale", "sale_ok", "is_storable")


class Owner(Protocol):
    """Somebody who keeps simple products in one of the systems. Keys are those of the system, as text."""

    def add(self, sku: str, name: str, price: str) -> str:
        """Add a product and return its key."""
        ...

    def edit(self, key: str, **fields: str) -> None:
        """Change some of: name, price, weight."""
        ...

    def toggle(self, key: str) -> None:
        """Take a product off sale, or put it on sale again."""
        ...

    def remove(self, key: str) -> None:
        """Delete a product for good."""
        ...

    def bring_back(self, key: str) -> None:
        """Undo :meth:`remove`."""
        ...

    def double(self, key: str) -> None:
        """Add a second product with the same SKU."""
        ...

    def keys(self, sku: str) -> list[str]:
        """Return the keys of all products with a SKU, oldest first."""
        ...

    def sku(self, key: str) -> str:
        """Return the SKU of a product, one that was removed too."""
        ...

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        """Return SKU -> contents of the products that have it."""
        ...

    def in_service(self, sku: str) -> int:
        """Return how many products with a SKU are neither archived nor in the trash."""
        ...

    def commits(self) -> int:
        """Return a number that grows with every write of a client, and with none of the owner's."""
        ...

    def creates(self) -> int:
        """Return how many products clients made."""
        ...


@dataclass
class Shopkeeper:
    """Keeps the products of a shop.

    Attributes:
        seen: numbers of all products there ever were, as far as anybody asked.
        made: those of them that were made here.
        revisions: how many changes of the shop were made here, or before.
    """

    world: ShopWorld
    gone: dict[str, Product] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    made: set[int] = field(default_factory=set)
    revisions: int = field(init=False)

    def __post_init__(self) -> None:
        self.revisions = self.world.revision

    def add(self, sku: str, name: str, price: str) -> str:
        with self._by_hand():
            product = self.world.add_product(sku=sku, name=name, regular_price=price, weight="1")
            self.made.add(product.id)
        return str(product.id)

    def edit(self, key: str, **fields: str) -> None:
        columns = {"price": "regular_price"}
        with self._by_hand():
            self.world.edit_product(int(key), **{columns.get(name, name): value for name, value in fields.items()})

    def toggle(self, key: str) -> None:
        with self._by_hand():
            on_sale = self.world.products[int(key)].status == "publish"
            self.world.edit_product(int(key), status="draft" if on_sale else "publish")

    def remove(self, key: str) -> None:
        with self._by_hand():
            self.gone[key] = self.world.products[int(key)]
            self.world.delete_product(int(key))

    def bring_back(self, key: str) -> None:
        self._put(self.gone.pop(key))

    def double(self, key: str) -> None:
        # As a careless import does: the API refuses a SKU that is taken.
        with self.world.guard:
            twin = copy.deepcopy(self.world.products[int(key)])
            twin.id = self.world.next_number("post")
            self.made.add(twin.id)
            self._put(twin)

    def keys(self, sku: str) -> list[str]:
        return [str(number) for number in sorted(self.world.skus.find(sku))]

    def sku(self, key: str) -> str:
        product = self.gone.get(key) or self.world.products[int(key)]
        return code_key(str(product.values.get("sku", "")))

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        shown: dict[str, list[dict[str, Any]]] = {}
        for product in self.world.products.values():
            kept = {name: value for name, value in product.values.items() if name not in ("sku", "slug", "categories")}
            kept["name"] = str(kept["name"]).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            shown.setdefault(code_key(product.values.get("sku", "")), []).append({**kept, "status": product.status})
        return shown

    def in_service(self, sku: str) -> int:
        return sum(one["status"] != "trash" for one in self.shown().get(sku, ()))

    def commits(self) -> int:
        return self.world.revision - self.revisions

    def creates(self) -> int:
        self.seen |= self.world.products.keys()
        return len(self.seen - self.made)

    @contextmanager
    def _by_hand(self) -> Iterator[None]:
        with self.world.guard:
            self.seen |= self.world.products.keys()
            before = self.world.revision
            yield
            self.revisions += self.world.revision - before

    def _put(self, product: Product) -> None:
        with self._by_hand():
            self.world.products[product.id] = product
            self.world.skus.add(str(product.values.get("sku", "")), product.id)
            self.world.touch(product)


@dataclass
class Bookkeeper:
    """Keeps the products of an Odoo database. Keys are those of variants."""

    world: OdooWorld
    gone: dict[str, Mapping[str, dict[str, Any]]] = field(default_factory=dict)

    def add(self, sku: str, name: str, price: str) -> str:
        values = {"name": name, "default_code": sku, "list_price": float(price), "weight": 1.0, "type": "consu"}
        return str(self.world.create(VARIANT, **values))

    def edit(self, key: str, **fields: str) -> None:
        numbers = {name: float(value) for name, value in fields.items() if name in ("price", "weight")}
        values = {**fields, **numbers}
        if values.get("name") == "":
            values["name"] = "/"  # Odoo demands a name
        if "price" in values:
            values["list_price"] = values.pop("price")
        self.world.write(VARIANT, int(key), **values)

    def toggle(self, key: str) -> None:
        self.world.write(VARIANT, int(key), sale_ok=not self._template(int(key))["sale_ok"])

    def remove(self, key: str) -> None:
        number = int(key)
        self.gone[key] = {TEMPLATE: dict(self._template(number)), VARIANT: dict(self._variants[number])}
        self.world.unlink(VARIANT, number)

    def bring_back(self, key: str) -> None:
        with self.world.transaction() as env:
            for model, row in self.gone.pop(key).items():
                env.journal.put(env[model].table, row["id"], row)

    def double(self, key: str) -> None:
        row = self._variants[int(key)]
        self.world.create(VARIANT, name=self._template(int(key))["name"], default_code=row["default_code"])

    def keys(self, sku: str) -> list[str]:
        return [str(number) for number, row in sorted(self._variants.items()) if _code(row) == sku]

    def sku(self, key: str) -> str:
        return _code(self.gone[key][VARIANT] if key in self.gone else self._variants[int(key)])

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        shown: dict[str, list[dict[str, Any]]] = {}
        for number, row in self._variants.items():
            template = self._template(number)
            kept = {
                name: template[name] for name in ("name", "list_price", "description_sale", "sale_ok", "is_storable")
            }
            kept |= {name: row[name] for name in ("weight", "barcode", "active")}
            shown.setdefault(_code(row), []).append(kept)
        return shown

    def in_service(self, sku: str) -> int:
        return sum(one["active"] for one in self.shown().get(sku, ()))

    def commits(self) -> int:
        return len(self.world.writes)

    def creates(self) -> int:
        return self.world.writes.count((VARIANT, "create"))

    @property
    def _variants(self) -> dict[int, dict[str, Any]]:
        return self.world.models[VARIANT].table.rows

    def _template(self, variant: int) -> dict[str, Any]:
        found: dict[str, Any] = self.world.models[TEMPLATE].table.rows[self._variants[variant]["product_tmpl_id"]]
        return found


def _code(row: Mapping[str, Any]) -> str:
    return code_key(str(row["default_code"] or ""))
