"""Millions of small worlds: a seeded simulator of the decisions in ``core``. No I/O, no clock, no hypothesis.

``python -m sync_pipelines_tests.core.small_worlds N`` runs the worlds of N seeds; ``--seed S`` tells the story of one.
"""
