"""Strict stand-ins of the external systems, served over real HTTP on loopback, with demo data."""
