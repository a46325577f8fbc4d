"""Countries and states: WooCommerce knows them by codes of its own, Odoo by records.

In a record's content a country is its ISO 3166-1 alpha-2 code, and a state its code without the country's: ``BE`` for
``DE-BE``, ``13`` for ``JP13`` and ``JP-13``. Only half of WooCommerce's codes are Odoo's, and some countries have
states in one system only; a state that Odoo does not have is left out on both sides, and noted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sync_pipelines.pipelines.commerce.values import line
from sync_pipelines.systems.odoo import Country, CountryState, OdooClient

# Countries whose states WooCommerce knows by codes that begin with the country's.
_DASHED = frozenset(
    (
        *("AL", "BD", "BG", "BO", "CL", "CO", "CR", "DE", "DO", "DZ", "EC", "GT"),
        *("HN", "HR", "JM", "NI", "PA", "PY", "SV", "TH", "UY", "VE", "ZM"),
    )
)
_JOINED = frozenset((*("CN", "EG", "JP", "KE", "RS", "TR", "TZ", "UA", "UG"),))


@dataclass(frozen=True)
class Place:
    """A country and a state of it, with what was left out on the way."""

    country: str | None = None
    state: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Geography:
    """The countries and states of an Odoo database."""

    _country_ids: dict[str, int] = field(default_factory=dict)
    _country_codes: dict[int, str] = field(default_factory=dict)
    _country_names: dict[str, str] = field(default_factory=dict)
    _state_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    _state_codes: dict[int, str] = field(default_factory=dict)
    _state_names: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, countries: Iterable[Country], states: Iterable[CountryState]) -> Geography:
        """Return the tables of what Odoo lists."""
        made = cls()
        for country in countries:
            code = country.code.upper()
            made._country_ids[code] = country.id
            made._country_codes[country.id] = code
            made._country_names[country.name.casefold()] = code
        for state in sorted(states, key=lambda state: state.id):
            country_code = made._country_codes.get(state.country.id) if state.country else None
            if country_code is None:
                continue
            code = _bare(country_code, state.code)
            # The first of two codes that differ in the country's only.
            made._state_ids.setdefault((country_code, code), state.id)
            made._state_codes[state.id] = code
            made._state_names.setdefault((country_code, state.name.casefold()), code)
        return made

    def of_shop(self, country: str, state: str) -> Place:
        """Return the place that WooCommerce means. It checks neither, so names are understood as well."""
        text = line(country)
        if text is None:
            return Place()
        code = text.upper() if text.upper() in self._country_ids else self._country_names.get(text.casefold())
        if code is None:
            return Place(note=f"{text!r:.40} is no country of Odoo, and was left out")
        wanted = line(state)
        if wanted is None:
            return Place(code)
        bare = _bare(code, wanted)
        found = bare if (code, bare) in self._state_ids else self._state_names.get((code, wanted.casefold()))
        if found is None:
            return Place(code, note=f"Odoo has no state {wanted!r:.40} of {code}, it was left out")
        return Place(code, found)

    def of_odoo(self, country_id: int | None, state_id: int | None) -> Place:
        """Return the place that Odoo's records mean. A state without its country is none."""
        country = self._country_codes.get(country_id or 0)
        return Place(country, self._state_codes.get(state_id or 0) if country else None)

    def country_id(self, country: str | None) -> int | None:
        """Return the id of a country of a content."""
        return self._country_ids.get(country or "")

    def state_id(self, country: str | None, state: str | None) -> int | None:
        """Return the id of a state of a content."""
        return self._state_ids.get((country or "", state or ""))


def shop_state(country: str | None, state: str | None) -> str:
    """Return a state of a content as WooCommerce writes it, e.g. ``DE-BE``, ``JP13`` or ``NY``."""
    if not country or not state:
        return ""
    if country in _DASHED:
        return f"{country}-{state}"
    return f"{country}{state}" if country in _JOINED else state


async def read_geography(client: OdooClient) -> Geography:
    """Return the tables of a database. Two requests."""
    return Geography.of(await client.countries(), await client.states())


def _bare(country: str, code: str) -> str:
    text = code.strip().upper()
    if text.startswith(f"{country}-"):
        return text[len(country) + 1 :]
    if country in _JOINED and text.startswith(country) and len(text) > len(country):
        return text[len(country) :].lstrip("-")
    return text
