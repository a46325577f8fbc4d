"""How a step tells what came of it: in the fewest events, because each is a row of Dagster's event log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetExecutionContext,
    AssetMaterialization,
    AssetObservation,
)

from sync_pipelines.orchestration import checks

Outcome = AssetMaterialization | AssetObservation | AssetCheckResult
"""What a step came to."""
Event = Outcome | AssetCheckEvaluation
"""The same as Dagster is given it."""


def reported(context: AssetExecutionContext, scope: str, outcome: Iterable[Outcome]) -> Iterator[Event]:
    """Yield what a step came to as Dagster wants it.

    An asset is reported as the event that it is: a result of the step would be a second event for its output. So is
    a check, unless the run was asked for it.

    Arguments:
        scope: name of the connection.
    """
    for item in outcome:
        if isinstance(item, AssetObservation):
            yield item
        elif isinstance(item, AssetMaterialization):
            if item.asset_key in context.selected_asset_keys:
                yield item
        elif checks.key_of(item) in context.selected_asset_check_keys:
            yield item
        else:
            yield checks.evaluation(item, scope)
