"""How many rows a run writes into Dagster's event log, which takes some 50 to 75 a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_pipelines_tests.orchestration.instances import shipped_instance
from sync_pipelines_tests.pipelines.offerings.dagster_runs import checks, run
from sync_pipelines_tests.pipelines.offerings.market import Market

MOST_ROWS = 30
ROWS_OF_A_LAUNCH = 4
"""A run that the daemon launches was enqueued and is starting; its process begins and exits."""
CHECKS = {
    *("chain_snapshot.sealed", "waldur_snapshot.sealed"),
    *("plan.guard", "plan.drift", "plan.orphans", "plan.conflicts"),
    *("applied.converged", "applied.dead_letters"),
}


@pytest.mark.long
def test_given_many_or_no_changes_then_a_reconcile_with_all_its_checks_is_at_most_30_rows(
    market: Market, database_url: str, tmp_path: Path
) -> None:
    for number in range(12):
        market.offer(name=f"VM {number}")

    with shipped_instance(tmp_path, database_url) as instance:
        first, unchanged = run(market, instance), run(market, instance)

    for result, rows in ((first, rows_of(market, first.run_id)), (unchanged, rows_of(market, unchanged.run_id))):
        assert result.success
        assert len(rows) + ROWS_OF_A_LAUNCH <= MOST_ROWS
        assert rows.count("ASSET_MATERIALIZATION") == 4
        assert rows.count("ASSET_CHECK_EVALUATION") == len(CHECKS)
    assert checks(unchanged) == dict.fromkeys(CHECKS, True)
    kept = market.rows(
        f"SELECT check_name, execution_status FROM asset_check_executions WHERE run_id = '{unchanged.run_id}'"
    )
    assert sorted(kept) == sorted((name.partition(".")[2], "SUCCEEDED") for name in CHECKS)


def rows_of(market: Market, run_id: str) -> list[str]:
    """Return the types of a run's events."""
    return [kind for (kind,) in market.rows(f"SELECT dagster_event_type FROM event_logs WHERE run_id = '{run_id}'")]
