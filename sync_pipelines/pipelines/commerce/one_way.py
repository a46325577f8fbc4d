"""Under which names the store keeps what is written to either system of a shop. Imports nothing, so that all may."""

from __future__ import annotations

PAIRS = {"commerce_woocommerce": "WooCommerce", "commerce_odoo": "Odoo"}
"""One-way pair, from what is merged to a system -> that system's name for people.

Plans, dead letters and the audit log are kept under the pair.
"""
