"""Whatever people write into a free field arrives whole, or the record says why it did not."""

from __future__ import annotations

from collections.abc import Mapping

from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.conformance.needs import needs
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Capability, Subject

KEPT = {
    "emoji": "cloud ☁️ family 👩‍👩‍👧 flag 🇨🇭 thumb 👍🏽",
    "composed": "Z\u00fcrich caf\u00e9",
    "decomposed": "Zu\u0308rich cafe\u0301",
    "stacked marks": "Z\u0351\u036b\u0343a\u0328\u0321l\u0347go",
    "right to left": "خادم سريع \u202bשרת\u202c",
    "quotes": "it's \"so\" called \\ 'here' \\n %s {0} $1 ;--",
    "wide": "高速サーバー 服务器 \U0001f600",
    "looks like JSON": '{"a": [1, null]}',
    "looks like a number": "0012.50",
}
BLANKS = {
    "line ends inside": "one\r\ntwo\nthree\ttab",
    "odd blanks": "no\u00a0break zero\u200bwidth",
}
AWKWARD = {
    "HTML": "<b>bold</b> & <script>alert('x')</script> &amp; a < b",
    "longer than any limit": "x" * 5000,
    "a pair at the limit": "\U0001f600" * 2500,
    "one short of a pair at the limit": "x" + "\U0001f600" * 2500,
    "marks at the limit": "e\u0301" * 2500,
    "NUL": "before\x00after",
    "half a pair": "half \ud83d of it",
    "control characters": "bell \x07 escape \x1b[31m",
    "blanks only": " \t ",
    "empty": "",
    "blanks at both ends": "  padded  ",
}


def test_given_texts_in_any_script_then_they_arrive_unchanged_and_stay_agreed(
    subject: Subject, operator: Operator
) -> None:
    """Emoji, composed and decomposed letters, both directions, quotes: the same characters on both sides."""
    _expect_kept(subject, operator, KEPT)


@needs(Capability.BLANKS)
def test_given_texts_with_line_ends_and_odd_blanks_then_they_arrive_unchanged_and_stay_agreed(
    subject: Subject, operator: Operator
) -> None:
    """What cannot be seen is part of a text, too."""
    _expect_kept(subject, operator, BLANKS)


def _expect_kept(subject: Subject, operator: Operator, texts: Mapping[str, str]) -> None:
    keys = dict(zip(texts, subject.add(len(texts)), strict=True))
    for name, key in keys.items():
        subject.rename(key, texts[name])

    operator.reconcile()

    shown = subject.shown()
    altered = [name for name, key in keys.items() if texts[name] not in shown[subject.natural_key(key)][0].values()]
    assert altered == []
    assert {operator.state(key).state for key in keys.values()} == {State.SYNCED}
    operator.ends_well()


def test_given_texts_that_cannot_be_kept_as_they_are_then_each_settles_or_is_reported(
    subject: Subject, operator: Operator
) -> None:
    """Too long, half a character, NUL, markup: adapted once and for all, or a dead letter that says why."""
    keys = dict(zip(AWKWARD, subject.add(len(AWKWARD)), strict=True))
    (other,) = subject.add()
    for name, key in keys.items():
        subject.rename(key, AWKWARD[name])

    operator.reconcile()

    letters = operator.letters()
    given_up = {letter.key for letter in letters}
    assert operator.state(other).state is State.SYNCED
    assert all(letter.last_error for letter in letters)
    assert {operator.state(key).state for key in keys.values() if key not in given_up} == {State.SYNCED}
    operator.ends_well(but=given_up)


def test_given_a_change_of_the_spelling_only_then_it_is_written_as_a_change(
    subject: Subject, operator: Operator
) -> None:
    """A letter in one code point or in two is not the same text: the target shows what the source says."""
    (key,) = subject.add()
    subject.rename(key, KEPT["composed"])
    operator.reconcile()
    subject.rename(key, KEPT["decomposed"])

    assert operator.reconcile().plan.counts["update"] == 1

    (shown,) = subject.shown()[subject.natural_key(key)]
    assert KEPT["decomposed"] in shown.values()
    operator.ends_well()
