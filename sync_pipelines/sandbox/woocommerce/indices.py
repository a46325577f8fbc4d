"""Finds records by a text that is unique without regard to letter case."""

from __future__ import annotations


class Index:
    """Numbers of records by text; an empty text finds nothing."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[int, None]] = {}

    def add(self, text: str, number: int) -> None:
        """Let a text find a record."""
        if text:
            self._numbers.setdefault(text.lower(), {})[number] = None

    def remove(self, text: str, number: int) -> None:
        """Let a text no longer find a record."""
        numbers = self._numbers.get(text.lower(), {})
        numbers.pop(number, None)
        if not numbers:
            self._numbers.pop(text.lower(), None)

    def move(self, old: str, new: str, number: int) -> None:
        """Let another text find a record."""
        self.remove(old, number)
        self.add(new, number)

    def find(self, text: str) -> tuple[int, ...]:
        """Return the numbers of the records with a text."""
        return tuple(self._numbers.get(text.lower(), ()))

    def free(self, text: str, first: int) -> str:
        """Return the text, or the text with the first number appended that makes it free."""
        if not self.find(text):
            return text
        number = first
        while self.find(f"{text}-{number}"):
            number += 1
        return f"{text}-{number}"
