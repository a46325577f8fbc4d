"""Parameters of a request, read as strictly as the API does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import parse_qsl

from sync_pipelines.sandbox.amazon.answers import invalid
from sync_pipelines.sandbox.amazon.world import seconds_of

TWO_MINUTES = 120.0


class Query:
    """Parameters by name.

    Arguments:
        text: the query string.
        known: names that the operation has; any other is refused.
    """

    def __init__(self, text: str, known: Collection[str]) -> None:
        self.pairs: dict[str, list[str]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            if name not in known:
                raise invalid(f"Invalid parameter: {name}")
            self.pairs.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self.pairs

    def text(self, name: str) -> str | None:
        """Return a single value."""
        values = self.pairs.get(name)
        if values is None:
            return None
        if len(values) > 1 or not values[0]:
            raise invalid(f"{name} must have one value")
        return values[0]

    def many(self, name: str, allowed: Collection[str] | None = None, most: int | None = None) -> list[str]:
        """Return the values of a list, which is separated by commas."""
        values = [part for value in self.pairs.get(name, ()) for part in value.split(",")]
        if allowed is not None and (wrong := [value for value in values if value not in allowed]):
            raise invalid(f"{wrong[0]} is not a valid value of {name}")
        if most is not None and len(values) > most:
            raise invalid(f"{name} has more than {most} values")
        return values

    def whole(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 on."""
        value = self.text(name)
        if value is None:
            return default
        if not value.isdecimal() or not 1 <= int(value) <= most:
            raise invalid(f"{name} must be between 1 and {most}")
        return int(value)

    def time(self, name: str) -> float | None:
        """Return a time in Unix seconds."""
        value = self.text(name)
        if value is None:
            return None
        if not value.endswith("Z"):
            raise invalid(f"{name} is not in ISO 8601 format")
        try:
            return seconds_of(value)
        except ValueError:
            raise invalid(f"{name} is not in ISO 8601 format") from None

    def settled_pair(self, after: str, before: str, now: float) -> tuple[float, float]:
        """Return a window whose end is at least two minutes ago, by default exactly that."""
        first, last = self.time(after), self.time(before)
        if first is None:
            raise invalid(f"{after} is required")
        if last is None:
            return first, now - TWO_MINUTES
        if last < first:
            raise invalid(f"{before} must be equal to or after {after}")
        if last > now - TWO_MINUTES:
            raise invalid(f"{before} must be at least two minutes before the time of the request")
        return first, last

    def fixed(self, free: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the parameters that a token of a page binds."""
        return {name: values for name, values in self.pairs.items() if name not in free}
