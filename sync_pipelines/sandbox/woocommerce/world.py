"""A shop that tests and demos may change as its staff would, beside the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.woocommerce import catalogue, customers, orders, products, webhooks
from sync_pipelines.sandbox.woocommerce.customers import CHANGED_CUSTOMER, NEW_CUSTOMER
from sync_pipelines.sandbox.woocommerce.model import Coupon, Customer, Order, Product, Refund, Term, Webhook
from sync_pipelines.sandbox.woocommerce.product_schema import PRODUCT, VARIATION
from sync_pipelines.sandbox.woocommerce.schema import checked
from sync_pipelines.sandbox.woocommerce.state import ShopState
from sync_pipelines.sandbox.woocommerce.webhooks import Delivery


class ShopWorld(ShopState):
    """A shop with one administrator and one category.

    The methods take the fields of the API, and move times, stocks, parents and customers as the API does. They raise
    :class:`ApiError` as it does too; an unknown number is a KeyError.

    Arguments:
        zone: time zone of the shop.
        clock: its time; ``None`` follows the machine.
    """

    def __init__(self, *, zone: str = "Europe/Berlin", clock: Clock | None = None) -> None:
        super().__init__(zone=zone, clock=clock)
        catalogue.add_term(self, "Uncategorized")
        self.add_user("admin@example.test", "admin", "administrator")

    def add_user(self, email: str, username: str, role: str) -> Customer:
        """Add a user as WordPress does by itself: the shop has not saved it yet, hence it has no time of change."""
        with self.guard:
            user = customers.create(self, {"email": email, "username": username})
            user.role, user.modified, user.meta = role, None, []
            return user

    def add_product(self, **fields: Any) -> Product:
        """Add a product."""
        with self.guard:
            return products.create(self, checked(PRODUCT, fields))

    def edit_product(self, number: int, **fields: Any) -> Product:
        """Change a product or a variation."""
        with self.guard:
            product = self.products[number]
            return products.update(self, product, checked(VARIATION if product.parent else PRODUCT, fields))

    def add_variation(self, parent: int, **fields: Any) -> Product:
        """Add a variation of a product."""
        with self.guard:
            return products.create(self, checked(VARIATION, fields), self.products[parent])

    def trash_product(self, number: int) -> None:
        """Put a product or variation into the trash."""
        with self.guard:
            products.trash(self, self.products[number])

    def delete_product(self, number: int) -> None:
        """Delete a product for good, with its variations."""
        with self.guard:
            products.remove(self, self.products[number])

    def add_customer(self, **fields: Any) -> Customer:
        """Add a customer; ``email`` is needed."""
        with self.guard:
            return customers.create(self, checked(NEW_CUSTOMER, fields, ("email",)))

    def edit_customer(self, number: int, **fields: Any) -> Customer:
        """Change a customer."""
        with self.guard:
            return customers.update(self, self.customers[number], checked(CHANGED_CUSTOMER, fields))

    def delete_customer(self, number: int) -> None:
        """Delete a customer for good."""
        with self.guard:
            customers.remove(self, self.customers[number])

    def add_order(self, **fields: Any) -> Order:
        """Add an order, e.g. that of somebody at the checkout with ``created_via="checkout"``."""
        with self.guard:
            return orders.create(self, checked(orders.ORDER, fields))

    def edit_order(self, number: int, **fields: Any) -> Order:
        """Change an order."""
        with self.guard:
            return orders.update(self, self.orders[number], checked(orders.ORDER, fields))

    def trash_order(self, number: int) -> None:
        """Put an order into the trash."""
        with self.guard:
            orders.trash(self, self.orders[number])

    def delete_order(self, number: int) -> None:
        """Delete an order for good."""
        with self.guard:
            orders.remove(self, self.orders[number])

    def refund_order(self, number: int, amount: str, reason: str = "") -> Refund:
        """Give back money for an order."""
        with self.guard:
            return orders.refund(self, self.orders[number], {"amount": amount, "reason": reason})

    def add_category(self, name: str) -> Term:
        """Add a category."""
        with self.guard:
            return catalogue.add_term(self, name)

    def add_coupon(self, code: str, amount: str, discount_type: str = "percent") -> Coupon:
        """Add a coupon."""
        with self.guard:
            return catalogue.create_coupon(self, code, amount, discount_type)

    def add_webhook(self, topic: str, delivery_url: str, secret: str = "") -> Webhook:
        """Let an address be told of changes; it is pinged at the next run of the scheduler."""
        with self.guard:
            return webhooks.create(self, {"topic": topic, "delivery_url": delivery_url, "secret": secret})

    def set_latency(self, seconds: float, per_item: float = 0.0) -> None:
        """Let each request take at least ``seconds``, and each item of a batch ``per_item`` more."""
        self.latency_seconds, self.latency_per_item_seconds = seconds, per_item

    def run_cron(self) -> list[Delivery]:
        """Run the scheduler: see :func:`webhooks.run_cron`. Do not hold the guard meanwhile."""
        return webhooks.run_cron(self)

    def describe(self) -> Mapping[str, Any]:
        """Return what the shop holds, in numbers."""
        with self.guard:
            return {
                "products": len(self.products),
                "customers": len(self.customers),
                "orders": len(self.orders),
                "webhooks": {hook.id: hook.status for hook in self.webhooks.values()},
                "pending_deliveries": len(self.pending_deliveries),
                "now": self.now(),
            }
