"""What peers make of the texts that they are sent."""

from __future__ import annotations

import html
import re
import unicodedata

_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)


def may_be_cleaned(sent: object, shown: object) -> bool:
    """Say whether a text that a peer shows may be what it made of another one that it was sent.

    Systems cut blanks, drop or escape markup, and lose signs that they cannot store, each in ways of its own; none of
    them makes up a letter or a digit. So these must be the same, in the same order and in the same letter case.

    Arguments:
        sent, shown: texts; ``None`` is an empty one. Of any other value nothing is cleaned.
    """
    texts = ["" if value is None else value for value in (sent, shown)]
    if not all(isinstance(text, str) for text in texts):
        return False
    first, second = (_letters_and_digits(str(text)) for text in texts)
    return first == second


def _letters_and_digits(text: str) -> str:
    # Once unescaped, escaped markup is markup: whether a peer escapes it or drops it, the same is left of it.
    said = unicodedata.normalize("NFKC", _TAG.sub(" ", html.unescape(text)))
    return "".join(character for character in said if character.isalnum())
