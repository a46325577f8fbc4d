"""Runs a pair of systems: extract, compare, plan, apply; knows systems only through ports."""
