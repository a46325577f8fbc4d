"""What a pipeline's asset graph looks like, in a form that is kept in a file beside its tests.

The file shows in review what a change does to the graph. When it is meant, write the new graph to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, Definitions


def specs_of(definitions: Definitions) -> dict[str, dict[str, Any]]:
    """Return for each asset what reviewers look at, in the order of the keys."""
    # Definitions that are resolved ask the instance that was entered last. Where two overlapped before, Dagster leaves
    # the one that is closed by now.
    with DagsterInstance.ephemeral():
        graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string(): {
            "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "group": graph.get(key).group_name,
            "kinds": sorted(graph.get(key).kinds),
            "owners": list(graph.get(key).owners),
            "materializable": graph.get(key).is_materializable,
            "partitions": type(graph.get(key).partitions_def).__name__,
            "backfill": str(graph.get(key).backfill_policy),
            "checks": sorted(check.name for check in graph.get(key).check_keys),
        }
        for key in sorted(graph.get_all_asset_keys())
    }


def reviewed_specs(tests: Path) -> dict[str, dict[str, Any]]:
    """Return the graph that was reviewed, from beside a module of tests."""
    specs: dict[str, dict[str, Any]] = json.loads((tests.parent / "asset_specs.json").read_text(encoding="utf-8"))
    return specs
