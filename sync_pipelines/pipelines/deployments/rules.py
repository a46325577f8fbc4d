"""Matching rules of the connections file: an expression over deployment names, for names that no strategy knows."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cached_property
from typing import Self

from pydantic import Field, field_validator, model_validator

from sync_pipelines.settings import Strict

LONGEST_NAME = 255
"""Characters of a deployment name that a rule is tried on; the Director stores no longer ones."""
_OPEN_ENDS = 3
_OPTIONS = 8
_KNOWN_GROUPS = frozenset({"service", "plan", "instance"})


class MatchingRule(Strict):
    """One rule, tried before the built-in strategies, in the file's order.

    Attributes:
        name: for the reasons shown with a match.
        pattern: must match the whole deployment name. Its group ``instance`` is the instance id; its groups
            ``service`` and ``plan`` are ids or names of the catalog.
        service: the service of every deployment that the rule matches, instead of the group.
        plan: its plan, likewise.
        confidence: of such a match, 0 to 1.
    """

    name: str = Field(min_length=1, max_length=100)
    pattern: str = Field(min_length=1, max_length=500)
    service: str | None = None
    plan: str | None = None
    confidence: Decimal = Field(default=Decimal("0.9"), ge=0, le=1)

    @field_validator("pattern")
    @classmethod
    def _is_safe(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groupindex
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is no regular expression: {error}") from None
        if "instance" not in groups:
            raise ValueError("must have the named group (?P<instance>...) for the instance id")
        if unknown := sorted(set(groups) - _KNOWN_GROUPS):
            raise ValueError(f"has the unknown group {unknown[0]!r}; the groups are service, plan and instance")
        if problem := runaway(pattern):
            raise ValueError(problem)
        return pattern

    @model_validator(mode="after")
    def _names_a_plan(self) -> Self:
        groups = self.expression.groupindex
        if "plan" not in groups and self.plan is None:
            raise ValueError("must tell the plan, by the named group (?P<plan>...) or by the key 'plan'")
        for key in ("service", "plan"):
            if key in groups and getattr(self, key) is not None:
                raise ValueError(f"tells the {key} twice: by the named group and by the key; remove one")
        return self

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.pattern)


def runaway(pattern: str) -> str | None:
    """Say why an expression might take ages on an unlucky name; ``None`` when it cannot.

    Python's matcher backtracks. Refused is what makes that explode: a repeated group with a choice or a repetition
    inside, back references, and more than a handful of open ends.
    """
    if _HIDING.search(pattern):
        return "has a comment or the verbose flag; write it in one piece"
    frames = [False]
    open_ends = options = 0
    closed_group = False
    for part in _parts(pattern):
        was_group, closed_group = closed_group, False
        if part == "(":
            frames.append(False)
        elif part == ")":
            inner = frames.pop()
            frames[-1] = frames[-1] or inner
            closed_group = inner
        elif part == "|":
            frames[-1] = True
        elif part == "backreference":
            return "uses a back reference; name the parts instead"
        elif part in ("repeat", "fixed"):
            if was_group:
                return "repeats a group that has a choice or a repetition inside; use a character class instead"
            if part == "repeat":
                frames[-1] = True
                open_ends += 1
        elif part == "optional":
            frames[-1] = True
            options += 1
    if open_ends > _OPEN_ENDS or options > _OPTIONS:
        return f"has too many open ends; at most {_OPEN_ENDS} of *, + and {{m,n}} and {_OPTIONS} of ? are allowed"
    return None


_HIDING = re.compile(r"\(\?(?:#|[a-zA-Z]*x)")
_PART = re.compile(
    r"""(?P<backreference>\\[1-9]|\(\?P=\w+\))
    |(?P<plain>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])
    |(?P<open>\((?:\?(?:P<\w+>|<?[=!]|[a-zA-Z-]*:|>|[a-zA-Z]+(?=\))|\(\w+\)))?)
    |(?P<close>\))
    |(?P<choice>\|)
    |(?P<fixed>\{\d+\}[?+]?)
    |(?P<repeat>(?:[*+]|\{\d*,\d*\})[?+]?)
    |(?P<optional>\?[?+]?)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_TOKENS = {"open": "(", "close": ")", "choice": "|", "plain": "", "other": ""}


def _parts(pattern: str) -> list[str]:
    return [_TOKENS.get(kind, kind) for part in _PART.finditer(pattern) if (kind := part.lastgroup)]
