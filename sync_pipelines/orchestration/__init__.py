"""Dagster building blocks shared by all pipelines."""
