"""Marketplaces to SQL tables: orders and products, pulled on a schedule."""
