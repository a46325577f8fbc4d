"""The profile a provider publishes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sync_pipelines.pipelines.ledger.borsh import Reader


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of version 0.1.0, the only one there is."""

    kind: str
    name: str
    version: str
    api_version: str
    description: str | None
    url: str | None
    logo_url: str | None
    why_choose_us: str | None
    contacts: tuple[tuple[str, str], ...]

    @property
    def content(self) -> dict[str, Any]:
        """Return it in the nesting of the provider's own YAML file."""
        return {
            "kind": self.kind,
            "metadata": {"name": self.name, "version": self.version},
            "api_version": self.api_version,
            "spec": {
                "description": self.description,
                "url": self.url,
                "logo_url": self.logo_url,
                "why_choose_us": self.why_choose_us,
                "contacts": dict(self.contacts),
            },
        }


def decode_profile(profile_bytes: bytes) -> Profile:
    """Read the bytes of a :class:`~sync_pipelines.pipelines.ledger.payloads.SignedProfile`.

    Raises:
        PayloadError: they are no profile of a known version, or have bytes left over.
    """
    reader = Reader(profile_bytes)
    reader.variant()
    profile = Profile(
        kind=reader.text(),
        name=reader.text(),
        version=reader.text(),
        api_version=reader.text(),
        description=reader.optional(reader.text),
        url=reader.optional(reader.text),
        logo_url=reader.optional(reader.text),
        why_choose_us=reader.optional(reader.text),
        contacts=reader.several(lambda: (reader.text(), reader.text())),
    )
    reader.end()
    return profile
