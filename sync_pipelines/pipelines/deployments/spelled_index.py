"""The keys of the index and the instance ids that they stand for: other writers spell ids in capitals."""

from __future__ import annotations

from sync_pipelines.pipelines.deployments.manifest import uuid_of
from sync_pipelines.systems.vault.index import Entries


def natural_key_of(key: str) -> str:
    """Return the instance id that a key of the index stands for; the key itself when it is none."""
    return uuid_of(key) or key


class SpelledIndex:
    """A reading of the index, and which keys stand for which id. Nearly all are spelled as they should be."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self.by_id = entries.by_id
        self._odd: dict[str, list[str]] = {}
        for key in entries.by_id:
            if not key.islower() and (natural_key := natural_key_of(key)) != key:
                self._odd.setdefault(natural_key, []).append(key)

    def spellings(self, natural_key: str) -> list[str]:
        """Return the keys that stand for an id."""
        return [natural_key] * (natural_key in self.by_id) + self._odd.get(natural_key, [])

    def right_key(self, key: str) -> str:
        """Return the id, or the key as it is spelled where several stand for the id."""
        natural_key = natural_key_of(key)
        return key if len(self.spellings(natural_key)) > 1 else natural_key

    def key_of(self, right_key: str) -> str | None:
        """Return the key that a right key means."""
        keys = self.spellings(natural_key_of(right_key))
        return right_key if right_key in keys else keys[0] if len(keys) == 1 else None
