"""One text for one meaning: canonical JSON and fingerprints."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.canonical import DIGEST_SIZE, canonical_json, decimal_text, fingerprint

NUMBERS = st.one_of(
    st.integers(), st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.0, "1"),
        (Decimal("1.00"), "1"),
        (Decimal("1.50E+1"), "15"),
        (Decimal("-0.0"), "0"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (2**53 + 1, "9007199254740993"),
        (Decimal("9007199254740993.10"), "9007199254740993.1"),
        ("é\n", '"é\\n"'),
        (["b", ("a",)], '["b",["a"]]'),
        ({"b": 1, "a": {"d": 1, "c": 2}}, '{"a":{"c":2,"d":1},"b":1}'),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05Z"'),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), '"2026-01-02T01:00:00Z"'),
        (date(2026, 1, 2), '"2026-01-02"'),
    ],
)
def test_each_value_has_one_text(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_numbers_that_are_not_finite_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        fingerprint({"price": bad})


@pytest.mark.parametrize("bad", [Decimal("1e999999999"), Decimal("1e-999999999")])
def test_numbers_that_would_fill_the_memory_are_refused(bad: Decimal) -> None:
    with pytest.raises(ValueError, match="out of range"):
        canonical_json([bad])


@pytest.mark.parametrize("bad", [{1: "a"}, {"a": {1, 2}}, {"a": b"bytes"}, {"a": object()}])
def test_what_json_does_not_know_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json(bad)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time without a zone"):
        canonical_json(datetime(2026, 1, 1))


def test_half_a_surrogate_pair_has_a_fingerprint_of_its_own() -> None:
    digests = {fingerprint({"name": name}) for name in ("\ud800", "\udfff", "?", "\ud83d\ude00", "\U0001f600")}
    assert len(digests) == 5


def test_true_is_not_one_and_text_is_not_a_number() -> None:
    values: list[Any] = [True, 1, "1", None, "", [], {}]
    assert len({fingerprint({"a": value}) for value in values}) == 7


@given(st.dictionaries(st.text(), NUMBERS, min_size=2), st.randoms())
def test_the_order_of_keys_does_not_matter(content: dict[str, Any], random: Any) -> None:
    items = list(content.items())
    random.shuffle(items)
    assert fingerprint(OrderedDict(items)) == fingerprint(content)


@given(NUMBERS, st.integers(min_value=0, max_value=6))
def test_the_spelling_of_a_number_does_not_matter(number: int | Decimal, zeros: int) -> None:
    text = decimal_text(Decimal(number))
    padded = Decimal((text if "." in text else text + ".") + "0" * zeros)
    assert canonical_json(padded) == canonical_json(Decimal(number))
    assert Decimal(text) == Decimal(number)


@given(VALUES)
def test_reading_a_canonical_text_and_writing_it_again_changes_nothing(value: Any) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text, parse_float=Decimal)) == text


@given(st.dictionaries(st.text(), VALUES, max_size=3), st.dictionaries(st.text(), VALUES, max_size=3))
def test_two_contents_have_one_fingerprint_exactly_when_they_have_one_text(one: Any, other: Any) -> None:
    assert (fingerprint(one) == fingerprint(other)) is (canonical_json(one) == canonical_json(other))
    assert len(fingerprint(one)) == DIGEST_SIZE
