"""A text that a peer cleaned is told from one that a person typed."""

from __future__ import annotations

import pytest

from sync_pipelines.core.cleaning import may_be_cleaned


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("  a mug ", "a mug"),
        ("a\r\n\tmug", "a mug"),
        ("<p>A <b>blue</b> mug</p>", "A blue mug"),
        ("A <b>blue</b> mug", "A &lt;b&gt;blue&lt;/b&gt; mug"),
        ("A <script src='x'>blue</script> mug", "A blue mug"),
        ("Salt &amp; Sons", "Salt & Sons"),
        ("Salt & Sons", "Salt &amp; Sons"),
        ("5 < 6", "5 &lt; 6"),
        ("Mug \N{HOT BEVERAGE}", "Mug ?"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("+49 (30) 12-34", "+49301234"),
        ("", None),
        ("!", None),
    ],
)
def test_given_what_a_peer_makes_of_a_text_then_it_may_be_that_text(sent: object, shown: object) -> None:
    assert may_be_cleaned(sent, shown)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("a mug", "a cup"),
        ("a mug", "A mug"),
        ("a mug", "a mug or two"),
        ("a mug", None),
        (None, "a mug"),
        ("12", 12),
        (12, 12),
        ({"name": "x"}, {"name": "x"}),
        (True, "True"),
    ],
)
def test_given_another_text_or_no_text_then_it_is_not_that_text(sent: object, shown: object) -> None:
    assert not may_be_cleaned(sent, shown)
