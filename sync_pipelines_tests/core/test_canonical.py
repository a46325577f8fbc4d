"""One text for one meaning: canonical JSON and fingerprints."""

from __future__ import annotations

import enum
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.core.canonical import (
    DIGEST_SIZE,
    canonical_bytes,
    canonical_json,
    decimal_text,
    digest,
    fingerprint,
    spelt_out,
)
from sync_pipelines_tests.core.law_cases import law

NUMBERS = st.one_of(
    st.integers(), st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Code(str):
    """Text with a name of its own, as enums and parsers make it."""


class Rank(int):
    """A number with a name of its own."""


class Price(Decimal):
    """A number that shows itself in a way of its own."""

    def __str__(self) -> str:
        return f"{super().__str__()} EUR"


class Unit(enum.Enum):
    """No JSON, whatever its values are."""

    HOUR = "h"


TEXTS = st.text() | st.text(st.characters(categories=["Cs", "Cc", "Zl", "Zp", "Lu"], include_characters='\\"\x7f'))
ODD = st.one_of(
    TEXTS,
    TEXTS.map(Code),
    st.integers(-(2**66), 2**66),
    st.integers().map(Rank),
    st.floats(),
    st.decimals(),
    st.decimals(allow_nan=False, allow_infinity=False).map(Price),
    st.sampled_from([None, True, False, Unit.HOUR, uuid.UUID(int=1), b"bytes", -0.0, Decimal("-0.00"), 2**63, 2**64]),
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(),
    st.dates(),
)
ODD_VALUES = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(TEXTS | TEXTS.map(Code), inner, max_size=4)
        | st.dictionaries(st.integers() | st.none(), inner, max_size=1)
        | st.dictionaries(TEXTS, inner, max_size=2).map(OrderedDict)
    ),
    max_leaves=10,
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


@pytest.mark.parametrize(
    ("number", "digits"),
    [("1e1000", 1001), ("9.5e1000", 1001), ("-1e-1000", 1003), ("1e-1000", 1002), ("12e999", 1001)],
)
def test_numbers_up_to_a_thousand_digits_are_written_out(number: str, digits: int) -> None:
    assert len(canonical_json(Decimal(number))) == digits


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Decimal("1e1001"), "1.000e+1001 is out of range"),
        (Decimal("9e-1001"), "9.000e-1001 is out of range"),
        (Decimal("NaN"), "NaN is not a finite number"),
        (float("-inf"), "-inf is not a finite number"),
        ({1: "a"}, "a key must be text, not 1"),
        ([{1}], "set has no canonical form: {1}"),
        (datetime(2026, 1, 2, 3), "time without a zone: 2026-01-02T03:00:00"),
    ],
)
def test_a_refusal_names_the_value(bad: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        canonical_json(bad)
    assert str(refused.value) == message


class _Color(StrEnum):
    RED = "red"


class _Level(IntEnum):
    LOW = 1


class _Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (_Color.RED, '"red"'),
        (_Level.LOW, "1"),
        (_Text("x"), '"x"'),
        ({_Color.RED: _Level.LOW}, '{"red":1}'),
        (OrderedDict(b=(1, 2.5), a=[[], {}]), '{"a":[[],{}],"b":[1,2.5]}'),
        (MappingProxyType({"b": 2, "a": 1}), '{"a":1,"b":2}'),
        ([1, 2.0, "\ud800"], '[1,2,"\ud800"]'),
        (['\x00\x1f\x7f\u2028"\\/'], '["\\u0000\\u001f\x7f\u2028\\"\\\\/"]'),
        ([2**64, -(2**63) - 1, 1e22], "[18446744073709551616,-9223372036854775809,10000000000000000000000]"),
        ({"a": [{"b": 0.5}, {"c": None}], "d": (True, False)}, '{"a":[{"b":0.5},{"c":null}],"d":[true,false]}'),
        ([datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)], '["2026-01-02T03:04:05.000006Z"]'),
    ],
)
def test_the_fast_way_and_the_slow_way_write_the_same(value: Any, text: str) -> None:
    assert canonical_json(value) == text
    assert canonical_json([value, 0.5]) == f"[{text},0.5]"
    assert canonical_bytes(value) == text.encode("utf-8", "surrogatepass")
    assert digest(canonical_bytes({"v": value})) == fingerprint({"v": value})


def test_the_settings_of_the_process_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert canonical_json(datetime(2026, 1, 2, tzinfo=UTC)) == '"2026-01-02T00:00:00Z"'
    finally:
        monkeypatch.undo()
        time.tzset()
    with localcontext(capitals=0, prec=2):
        assert canonical_json([Decimal("1E+3"), Decimal("1.2345"), 1e-9]) == "[1000,1.2345,0.000000001]"


def test_fingerprints_stay_what_they_were_in_databases_that_are_kept() -> None:
    content = {"b": [1, None, True], "a": Decimal("1.50"), "é": "x"}
    assert canonical_json(content) == '{"a":1.5,"b":[1,null,true],"é":"x"}'
    assert fingerprint(content).hex() == "313aa9042e4bc7fcc722c21f01be535b"


def test_half_a_surrogate_pair_has_a_fingerprint_of_its_own() -> None:
    digests = {fingerprint({"name": name}) for name in ("\ud800", "\udfff", "?", "\ud83d\ude00", "\U0001f600")}
    assert len(digests) == 5


def test_true_is_not_one_and_text_is_not_a_number() -> None:
    values: list[Any] = [True, 1, "1", None, "", [], {}]
    assert len({fingerprint({"a": value}) for value in values}) == 7


@law
@given(st.dictionaries(st.text(), NUMBERS, min_size=2), st.randoms())
def test_the_order_of_keys_does_not_matter(content: dict[str, Any], random: Any) -> None:
    items = list(content.items())
    random.shuffle(items)
    assert fingerprint(OrderedDict(items)) == fingerprint(content)


@law
@given(NUMBERS, st.integers(min_value=0, max_value=6))
def test_the_spelling_of_a_number_does_not_matter(number: int | Decimal, zeros: int) -> None:
    text = decimal_text(Decimal(number))
    padded = Decimal((text if "." in text else text + ".") + "0" * zeros)
    assert canonical_json(padded) == canonical_json(Decimal(number))
    assert Decimal(text) == Decimal(number)


@law
@given(VALUES)
def test_reading_a_canonical_text_and_writing_it_again_changes_nothing(value: Any) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text, parse_float=Decimal)) == text


@law
@given(st.dictionaries(st.text(), VALUES, max_size=3), st.dictionaries(st.text(), VALUES, max_size=3))
def test_two_contents_have_one_fingerprint_exactly_when_they_have_one_text(one: Any, other: Any) -> None:
    assert (fingerprint(one) == fingerprint(other)) is (canonical_json(one) == canonical_json(other))
    assert len(fingerprint(one)) == DIGEST_SIZE


def _outcome(write: Callable[[Any], bytes | str], value: Any) -> bytes | type[Exception]:
    try:
        written = write(value)
    except (TypeError, ValueError) as error:
        return type(error)
    return written if isinstance(written, bytes) else written.encode("utf-8", "surrogatepass")


@pytest.mark.long
@settings(max_examples=400)
@given(ODD_VALUES)
def test_the_fast_way_writes_what_the_slow_way_writes_or_refuses_what_it_refuses(value: Any) -> None:
    assert _outcome(canonical_bytes, value) == _outcome(spelt_out, value)


@pytest.mark.parametrize("plane", range(0, 0x110000, 0x10000), ids=hex)
def test_every_character_is_written_the_same_way(plane: int) -> None:
    for start in range(plane, plane + 0x10000, 0x800):
        text = "".join(map(chr, range(start, start + 0x800)))
        assert _outcome(canonical_bytes, {text: text}) == _outcome(spelt_out, {text: text})


def test_nesting_beyond_what_the_fast_way_takes_is_written_all_the_same() -> None:
    value: Any = "leaf"
    for _ in range(130):
        value = [{"a": value}]
    assert _outcome(canonical_bytes, value) == _outcome(spelt_out, value)


def test_numbers_that_show_themselves_otherwise_are_numbers() -> None:
    assert canonical_json([Price("1.50"), Code("a"), Rank(2)]) == '[1.5,"a",2]'
