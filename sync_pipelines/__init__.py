"""Keep pairs of systems in agreement: extract, compare, plan, apply."""

__version__ = "0.1.0"
