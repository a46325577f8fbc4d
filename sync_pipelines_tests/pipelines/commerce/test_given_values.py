"""Values of a person's own that settle a conflict: checked before they are written down, as both systems get them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sync_pipelines.core.conflicts import Kind
from sync_pipelines.pipelines.commerce.settling import custom_values
from sync_pipelines.store.conflicts import Conflict, ConflictUnsettled


def contested(entity: str, field: str, value: Any) -> Conflict:
    """A conflict about one field, for which both systems show such values."""
    data = {"reason": "both changed it", "fields": {field: {"left": value, "right": value, "base": None}}}
    rest: dict[str, Any] = dict.fromkeys(("resolution", "resolved_data", "resolved_by", "resolved_at", "applied_at"))
    return Conflict(
        id="conflict-1",
        scope=f"nordwind.{entity}",
        org="org-1",
        record="r",
        item="i",
        entity=entity,
        kind=Kind.DATA_MISMATCH,
        data=data,
        is_resolved=False,
        closed_because=None,
        history=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        **rest,
    )


@pytest.mark.parametrize(
    ("entity", "field", "shown", "given", "wrong"),
    [
        ("customers", "email", "ada@example.com", "nonsense", "is no e-mail address such as ada@example.com"),
        ("customers", "email", "ada@example.com", "", "is no e-mail address"),
        ("customers", "name", "Ada", " ", "must not be empty"),
        ("customers", "country", "ZA", "South Africa", "is no country's code of two letters, such as ZA"),
        ("products", "sku", "MUG", "", "must not be empty"),
        ("products", "price", 1, "-5", "must not be below zero"),
        ("products", "price", 1, "five", "is not a number such as 12.50"),
        ("products", "weight", 1, "-0.1", "must not be below zero"),
        ("inventory", "quantity", 1, "1.5", "must be a whole number"),
        ("inventory", "quantity", 1, "", "must be a whole number"),
        ("inventory", "quantity", 1, "-1", "must not be below zero"),
    ],
)
def test_what_a_field_cannot_have_is_refused_with_its_name_and_the_reason(
    entity: str, field: str, shown: Any, given: str, wrong: str
) -> None:
    with pytest.raises(ConflictUnsettled) as refused:
        custom_values(contested(entity, field, shown), {field: given})
    assert str(refused.value).startswith(f"{field}: ")
    assert wrong in str(refused.value)


@pytest.mark.parametrize(
    ("entity", "field", "shown", "given", "value"),
    [
        ("customers", "email", "ada@example.com", "Ada@Example.com", "Ada@Example.com"),
        ("customers", "country", "ZA", "", None),
        ("products", "price", 1, "", None),
        ("products", "price", 1, "0", 0),
        ("inventory", "quantity", 1, "12", 12),
        ("products", "active", True, "no", False),
    ],
)
def test_what_it_can_have_is_taken(entity: str, field: str, shown: Any, given: str, value: Any) -> None:
    assert custom_values(contested(entity, field, shown), {field: given}) == {field: value}
