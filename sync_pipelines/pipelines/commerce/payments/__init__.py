"""Payments: what the shop was paid for an order, and what accounting knows of it. Compared, and never written."""
