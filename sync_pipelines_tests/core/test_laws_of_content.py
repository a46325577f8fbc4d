"""Laws of what identifies and protects content: fingerprint, plan hash, redaction, audit chain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.audit import GENESIS, ChainedEntry, chain_hash, verify_chain
from sync_pipelines.core.canonical import canonical_json, fingerprint
from sync_pipelines.core.plan import Action, Change, PlanCounts, PlanHash
from sync_pipelines.core.redaction import DERIVED_FORMS_FROM, MASK, Redactor
from sync_pipelines.core.trees import same
from sync_pipelines_tests.core.law_cases import CONTENTS, LEAVES, NAMES, VALUES, WHOLE, law, thorough_law


def _meaning(value: Any) -> Any:
    """Return what a value means, in terms that Python compares exactly."""
    match value:
        case None | bool() | str():
            return (type(value).__name__, value)
        case int() | Decimal():
            return ("number", Fraction(value))
        case float():
            return ("number", Fraction(repr(value)))
        case Mapping():
            return ("mapping", {name: _meaning(part) for name, part in value.items()})
        case _:
            return ("list", [_meaning(part) for part in value])


def _respelled(value: Any, random: Any) -> Any:
    """Return the same value put otherwise: other key order, other spelling of numbers."""
    match value:
        case None | bool() | str() | float():
            return value
        case int():
            return random.choice([value, float(value), Decimal(value), Decimal(f"{value}.00"), Decimal(f"{value}e0")])
        case Decimal():
            return random.choice([value, Decimal(f"{value}000")])
        case Mapping():
            return {name: _respelled(value[name], random) for name in random.sample(sorted(value), len(value))}
        case _:
            return random.choice([list, tuple])(_respelled(part, random) for part in value)


@thorough_law
@given(VALUES, VALUES)
def test_a_fingerprint_is_the_same_exactly_when_the_meaning_is(one: Any, other: Any) -> None:
    assert (fingerprint({"v": one}) == fingerprint({"v": other})) is (_meaning(one) == _meaning(other))
    assert same(one, other) is (_meaning(one) == _meaning(other))


@law
@given(VALUES, st.randoms(use_true_random=False))
def test_a_fingerprint_does_not_depend_on_spelling(value: Any, random: Any) -> None:
    assert fingerprint({"v": _respelled(value, random)}) == fingerprint({"v": value})


@law
@given(VALUES)
def test_a_fingerprint_survives_a_trip_through_json(value: Any) -> None:
    back = json.loads(canonical_json({"v": value}), parse_float=Decimal)
    assert fingerprint(back) == fingerprint({"v": value})


CHANGES = st.builds(
    Change,
    action=st.sampled_from(Action),
    key=st.sampled_from("rst"),
    natural_key=st.sampled_from("rst"),
    right_key=st.none() | st.sampled_from("uvw"),
    before=st.none() | CONTENTS,
    after=st.none() | CONTENTS,
    fields=st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    reason=st.text(max_size=3),
    adopts=st.booleans(),
    destructive=st.booleans(),
)


def _plan_hash(changes: Sequence[Change]) -> str:
    plan = PlanHash("pair", "scope")
    for change in changes:
        plan.add(change)
    return plan.hex


@law
@given(st.lists(CHANGES, max_size=4), st.text(max_size=3), st.randoms(use_true_random=False))
def test_the_hash_of_a_plan_depends_on_its_content_only(changes: list[Change], reason: str, random: Any) -> None:
    put_otherwise = [
        replace(
            change,
            reason=reason,
            before=_respelled(change.before, random),
            after=_respelled(change.after, random),
        )
        for change in changes
    ]
    assert _plan_hash(put_otherwise) == _plan_hash(changes)


@law
@given(st.lists(CHANGES, min_size=2, max_size=4, unique_by=lambda change: change.key), st.data())
def test_the_hash_of_a_plan_depends_on_the_order_and_on_every_change(changes: list[Change], data: Any) -> None:
    at = data.draw(st.integers(0, len(changes) - 1))
    others = [changes[:at] + changes[at + 1 :], changes[1:] + changes[:1]]
    assert all(_plan_hash(other) != _plan_hash(changes) for other in others)


@law
@given(st.lists(CHANGES, max_size=6))
def test_the_counts_of_a_plan_add_up(changes: list[Change]) -> None:
    counts = PlanCounts()
    for change in changes:
        counts.add(change, state_field="a")
    assert counts.changes == len(changes)
    assert counts.writes == sum(change.action.writes for change in changes)
    assert counts.destructive == sum(change.destructive for change in changes)
    assert counts.nothing_to_do is not bool(changes)


SECRETS = st.lists(st.text('*aZ/%"é', min_size=1, max_size=8), min_size=1, max_size=3)
AROUND = st.text("*a=:/ ") | st.sampled_from(["*", "**", "token=", "https://u:", "Authorization: "])


@thorough_law
@given(SECRETS, st.data())
def test_no_registered_secret_is_left_in(secrets: list[str], data: Any) -> None:
    for_short, for_long = (
        [str],
        [str, lambda secret: quote(secret, safe=""), lambda secret: json.dumps(secret)[1:-1]],
    )
    dressed = [
        data.draw(st.sampled_from(for_short if len(secret) < DERIVED_FORMS_FROM else for_long))(secret)
        for secret in secrets * 2
    ]
    redactor = Redactor(secrets)

    masked = redactor.text("".join(data.draw(AROUND) + one for one in dressed) + data.draw(AROUND))

    assert redactor.text(masked) == masked
    assert not [one for one in [*secrets, *dressed] if one in masked and one.strip("*")]
    assert MASK in masked


def _chain(entries: Sequence[Mapping[str, Any]]) -> list[ChainedEntry]:
    chain: list[ChainedEntry] = []
    for number, entry in enumerate(entries, start=1):
        previous = chain[-1].hash if chain else GENESIS
        chain.append(ChainedEntry(number, previous, chain_hash(previous, entry), entry))
    return chain


@law
@given(st.lists(WHOLE, min_size=2, max_size=6), st.data())
def test_no_edit_removal_or_exchange_of_a_row_goes_unseen(entries: list[dict[str, Any]], data: Any) -> None:
    chain = _chain(entries)
    at, to = data.draw(st.permutations(range(len(chain))))[:2]
    edited = replace(chain[at], entry={**chain[at].entry, "a": data.draw(LEAVES), "e": 1})
    exchanged, renumbered = list(chain), list(chain)
    exchanged[at], exchanged[to] = chain[to], chain[at]
    renumbered[at], renumbered[to] = replace(chain[to], number=at + 1), replace(chain[at], number=to + 1)

    assert verify_chain(chain, length=len(chain), head=chain[-1].hash).intact
    for touched in (
        [*chain[:at], edited, *chain[at + 1 :]],
        [*chain[:at], *chain[at + 1 :]],
        exchanged,
        renumbered,
        [*chain[: at + 1], chain[at], *chain[at + 1 :]],
    ):
        assert not verify_chain(touched, length=len(chain), head=chain[-1].hash).intact
