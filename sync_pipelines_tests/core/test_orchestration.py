"""Syncs: their life, the limits of their settings, and how far they are."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sync_pipelines.core.orchestration import (
    OVER,
    STEPS,
    Counts,
    IllegalStep,
    StartRequest,
    Status,
    Step,
    SyncConfig,
    SyncEntity,
    SyncSystem,
    in_words,
    mermaid,
    percent_complete,
    remaining_ms,
    take,
)

BOTH = {"systems": ["woocommerce", "odoo"], "entityTypes": ["customers"]}


@pytest.mark.parametrize(("before", "step"), STEPS)
def test_every_step_of_the_table_leads_where_it_says(before: Status, step: Step) -> None:
    assert take(before, step) is STEPS[before, step]


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (Status.PAUSED, Step.PAUSE),
        (Status.DONE, Step.PAUSE),
        (Status.DONE, Step.RESUME),
        (Status.CANCELLED, Step.RESUME),
        (Status.PAUSED, Step.BEGIN),
        (Status.DONE, Step.CANCEL),
    ],
)
def test_whatever_the_table_does_not_have_is_refused(status: Status, step: Step) -> None:
    with pytest.raises(IllegalStep, match=f"a sync that is {status} cannot {step}"):
        take(status, step)


def test_every_status_can_be_reached_and_only_what_is_settled_stays_over() -> None:
    assert set(STEPS.values()) == set(Status) - {Status.DRAFT}
    assert {status for status in OVER if not any(before is status for before, _ in STEPS)} == {
        Status.DONE,
        Status.CANCELLED,
    }
    assert "paused --> queued: resume" in mermaid()


def test_the_settings_have_the_guides_names_and_defaults() -> None:
    assert StartRequest.model_validate(BOTH).syncConfig.model_dump(mode="json") == {
        "conflictStrategy": "auto-retry",
        "batchSize": 50,
        "maxRetries": 3,
        "rateLimit": 10,
        "interBatchDelayMs": 2000,
    }


@pytest.mark.parametrize(
    ("name", "most"), [("batchSize", 200), ("maxRetries", 5), ("rateLimit", 50), ("interBatchDelayMs", 3_600_000)]
)
def test_a_setting_ends_at_its_limit(name: str, most: int) -> None:
    assert getattr(SyncConfig.model_validate({name: most}), name) == most
    for wrong in (most + 1, -1, "5", 1.5, True, None):
        with pytest.raises(ValidationError):
            SyncConfig.model_validate({name: wrong})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"systems": ["shopify"]}, "systems.0"),
        ({"systems": []}, "systems"),
        ({"systems": "odoo"}, "systems"),
        ({"entityTypes": ["invoices"]}, "entityTypes.0"),
        ({"entityTypes": []}, "entityTypes"),
        ({"syncConfig": {"conflictStrategy": "guess"}}, "syncConfig.conflictStrategy"),
        ({"syncConfig": {"batchsize": 5}}, "syncConfig.batchsize"),
        ({"sytems": ["odoo"]}, "sytems"),
    ],
)
def test_a_request_that_is_wrong_is_refused_by_the_name_of_what_is_wrong(change: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StartRequest.model_validate(BOTH | change)
    assert in_words(refused.value).startswith(f"{place}: ")


def test_entities_are_taken_in_the_order_of_what_needs_what_whatever_was_asked() -> None:
    asked = StartRequest.model_validate(
        {"systems": ["odoo", "woocommerce", "odoo"], "entityTypes": ["orders", "products", "customers"]}
    )
    assert asked.systems == (SyncSystem.WOOCOMMERCE, SyncSystem.ODOO)
    assert asked.entityTypes == (SyncEntity.CUSTOMERS, SyncEntity.PRODUCTS, SyncEntity.ORDERS)


@pytest.mark.parametrize(
    ("processed", "total", "percent"),
    [(350, 800, 44), (0, 0, 0), (0, 5, 0), (5, 5, 100), (1, 8, 13), (1, 200, 1), (1, 201, 0)],
)
def test_check_h_percent_complete_is_rounded_as_the_guide_says(processed: int, total: int, percent: int) -> None:
    assert percent_complete(processed, total) == percent


def test_what_remains_is_estimated_from_the_processed_only() -> None:
    assert remaining_ms(Counts(processed=100, failed=50, skipped=50, pending=10), 200.0) == 20_000
    assert remaining_ms(Counts(failed=5, pending=10), 200.0) is None
    assert remaining_ms(Counts(processed=3), 200.0) == 0


@pytest.mark.parametrize(
    ("counts", "step"),
    [
        (Counts(processed=3), Step.FINISH),
        (Counts(), Step.FINISH),
        (Counts(processed=3, failed=1), Step.LEAVE_OVER),
        (Counts(processed=3, skipped=1), Step.LEAVE_OVER),
    ],
)
def test_a_sync_is_done_only_if_nothing_failed_and_nothing_was_skipped(counts: Counts, step: Step) -> None:
    assert counts.ends_with is step
