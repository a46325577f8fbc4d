"""Customers: users of the shop, and partners of the ERP."""
