"""The hash chain of the audit log: nothing can be altered, taken out or cut off unseen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.audit import GENESIS, ChainedEntry, chain_hash, verify_chain
from sync_pipelines_tests.core.law_cases import law


def _chain(length: int) -> list[ChainedEntry]:
    chain: list[ChainedEntry] = []
    previous = GENESIS
    for number in range(1, length + 1):
        entry = {"action": "update", "n": number}
        hash_ = chain_hash(previous, entry)
        chain.append(ChainedEntry(number, previous, hash_, entry))
        previous = hash_
    return chain


CHAIN = _chain(5)
HEAD = CHAIN[-1].hash


@pytest.mark.parametrize("length", [0, 1, 5])
def test_an_untouched_chain_is_intact(length: int) -> None:
    chain = _chain(length)
    report = verify_chain(chain, length=length, head=chain[-1].hash if chain else GENESIS)
    assert (report.intact, report.entries) == (True, length)


@pytest.mark.parametrize(
    ("entries", "broken_at", "reason"),
    [
        ([*CHAIN[:2], replace(CHAIN[2], entry={"n": 33}), *CHAIN[3:]], 3, "altered"),
        ([*CHAIN[:2], *CHAIN[3:]], 3, "entry 3 is missing"),
        (CHAIN[1:], 1, "entry 1 is missing"),
        (CHAIN[:3], 4, "entries 4 to 5 are missing at the end"),
        ([], 1, "entries 1 to 5 are missing at the end"),
        ([*CHAIN[:4], replace(CHAIN[4], previous=GENESIS)], 5, "does not follow"),
        ([CHAIN[1], CHAIN[0], *CHAIN[2:]], 1, "is missing"),
        ([*CHAIN, replace(CHAIN[4], number=6)], 6, "does not follow"),
    ],
    ids=["altered", "taken out", "head taken off", "tail cut", "emptied", "relinked", "swapped", "appended"],
)
def test_a_touched_chain_is_broken_where_it_was_touched(
    entries: list[ChainedEntry], broken_at: int, reason: str
) -> None:
    report = verify_chain(entries, length=5, head=HEAD)

    assert (report.intact, report.broken_at, report.entries) == (False, broken_at, broken_at - 1)
    assert reason in (report.reason or "")


def test_a_tail_that_was_rewritten_consistently_does_not_end_where_the_chain_ends() -> None:
    forged_entry = {"action": "update", "n": 55}
    forged = ChainedEntry(5, CHAIN[3].hash, chain_hash(CHAIN[3].hash, forged_entry), forged_entry)

    report = verify_chain([*CHAIN[:4], forged], length=5, head=HEAD)

    assert report.reason == "the last entry is not the one the chain ends with"


def test_a_chain_begins_at_its_beginning() -> None:
    previous = "f" * 64
    other = ChainedEntry(1, previous, chain_hash(previous, {"n": 1}), {"n": 1})

    report = verify_chain([other], length=1, head=other.hash)

    assert (report.broken_at, report.reason) == (1, "entry 1 does not follow the entry before it")
    assert not verify_chain([], length=0, head=previous).intact


def test_a_chain_whose_older_entries_were_archived_is_checked_from_its_first() -> None:
    assert verify_chain(CHAIN[2:], length=5, head=HEAD, first=3).entries == 3


@law
@given(st.integers(0, 4), st.sampled_from(["previous", "hash", "number"]), st.text(max_size=5))
def test_no_single_edit_goes_unseen(at: int, attribute: str, text: str) -> None:
    edit: dict[str, Any] = {attribute: 77 if attribute == "number" else text}
    entries = [*CHAIN[:at], replace(CHAIN[at], **edit), *CHAIN[at + 1 :]]
    assert not verify_chain(entries, length=5, head=HEAD).intact


def test_a_text_that_no_encoding_knows_is_chained_all_the_same() -> None:
    assert chain_hash(GENESIS, {"name": "\ud800"}) != chain_hash(GENESIS, {"name": "?"})


def test_hashes_stay_what_they_were_in_logs_that_are_stored() -> None:
    assert (
        chain_hash(GENESIS, {"action": "create", "n": 1})
        == "cf37657443b022bf336403b1381df5de232dfb7a71c36c50e6cdc0798220c27c"
    )


@pytest.mark.parametrize("archived", range(5))
def test_a_report_counts_the_good_entries_before_the_first_bad_one(archived: int) -> None:
    first = archived + 1
    altered = [*CHAIN[archived:4], replace(CHAIN[4], entry={})]
    report = verify_chain(altered, length=5, head=HEAD, first=first)
    assert (report.entries, report.broken_at, report.reason) == (4 - archived, 5, "entry 5 was altered")

    cut = verify_chain(CHAIN[archived:4], length=5, head=HEAD, first=first)
    assert (cut.entries, cut.broken_at, cut.reason) == (4 - archived, 5, "entries 5 to 5 are missing at the end")

    other_head = verify_chain(CHAIN[archived:], length=5, head=GENESIS, first=first)
    assert (other_head.entries, other_head.broken_at) == (5 - archived, 5)
    assert verify_chain(CHAIN[archived:], length=5, head=HEAD, first=first).intact


def test_an_entry_that_follows_another_one_is_named() -> None:
    report = verify_chain([CHAIN[0], replace(CHAIN[1], previous="f" * 64)], length=2, head=CHAIN[1].hash)
    assert report.reason == "entry 2 does not follow the entry before it"
    assert (report.entries, report.broken_at) == (1, 2)


def test_given_where_the_archived_entries_end_then_what_is_kept_must_follow() -> None:
    anchored = verify_chain(CHAIN[2:], length=5, head=HEAD, first=3, anchor=CHAIN[1].hash)
    assert (anchored.intact, anchored.entries) == (True, 3)
    other = verify_chain(CHAIN[2:], length=5, head=HEAD, first=3, anchor=CHAIN[0].hash)
    assert other.reason == "entry 3 does not follow the entry before it"
    assert not verify_chain([], length=2, head=HEAD, first=3, anchor=CHAIN[1].hash).intact
