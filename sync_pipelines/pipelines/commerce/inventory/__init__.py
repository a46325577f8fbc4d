"""Inventory: how many pieces of a product there are, in the shop and at one location of the ERP."""
