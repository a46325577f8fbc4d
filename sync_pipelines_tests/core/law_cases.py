"""What the laws are tried with."""

from __future__ import annotations

import os
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "100"))
"""Inputs per law. Mutation testing, which runs the laws hundreds of times, makes do with fewer."""

law = settings(derandomize=True, deadline=None, max_examples=EXAMPLES)
"""Derandomized: a failure comes back at the next run by itself. No deadline: a busy machine is no failure."""
thorough_law = settings(law, max_examples=3 * EXAMPLES)

NAMES = "abcd"
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "1", "x", "x "])
    | st.sampled_from([Decimal("1.0"), Decimal("0.1"), 0.1, 1.0, -0.0])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner), max_leaves=6
)
CONTENTS = st.dictionaries(st.sampled_from(NAMES), LEAVES)
WHOLE = st.fixed_dictionaries(dict.fromkeys(NAMES, LEAVES))
TREES = st.dictionaries(st.sampled_from("rst"), CONTENTS)
