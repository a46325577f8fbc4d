"""A connection of the marketplaces pipeline: one account of one marketplace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, create_model, field_validator, model_validator

from sync_pipelines.orchestration.intervals import is_even
from sync_pipelines.pipelines.connection_fields import Whole
from sync_pipelines.pipelines.marketplaces.kinds import MARKETPLACES
from sync_pipelines.pipelines.marketplaces.marketplace import Access, Marketplace
from sync_pipelines.settings import NamedConnection

NAME = "marketplaces"


class AccountConnection(NamedConnection):
    """One account of one marketplace. It also has the section of its marketplace, named like it.

    Attributes:
        organization: whose account it is.
        marketplace: which marketplace.
        account: tells several accounts of one marketplace apart, for people.
        active: whether it is pulled; what is stored of an inactive one is kept.
        interval: seconds between two pulls; the shortest of all connections is the schedule's.
        first_day: first daily partition.
    """

    organization: str = Field(min_length=1, max_length=200)
    marketplace: str
    account: str = Field(default="main", min_length=1, max_length=200)
    active: bool = True
    interval: Whole = Field(default=900, ge=60)
    first_day: date = date(2026, 1, 1)

    @field_validator("marketplace")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in MARKETPLACES:
            raise ValueError(f"{value!r} is not known; the marketplaces are {', '.join(MARKETPLACES)}")
        return value

    @field_validator("interval")
    @classmethod
    def _is_an_interval_of_cron(cls, value: int) -> int:
        if not is_even(value):
            raise ValueError("must be minutes that divide an hour or hours that divide a day, in seconds")
        return value

    @model_validator(mode="after")
    def _has_its_section(self) -> Self:
        given = [kind for kind in MARKETPLACES if getattr(self, kind, None) is not None]
        if given != [self.marketplace]:
            raise ValueError(
                f"a connection of {self.marketplace} has the section {self.marketplace} and no other; "
                f"given: {', '.join(given) or 'none'}"
            )
        return self

    @property
    def kind(self) -> Marketplace:
        """The marketplace."""
        return MARKETPLACES[self.marketplace]

    @property
    def access(self) -> Access:
        """How the account is reached."""
        found: Access = getattr(self, self.marketplace)
        return found

    @classmethod
    def clash(cls, connections: Sequence[Self]) -> str | None:
        """Refuse an account that is connected twice."""
        first: dict[tuple[str, str, str], str] = {}
        for one in connections:
            known = first.setdefault((one.organization, one.marketplace, one.account), one.name)
            if known != one.name:
                return (
                    f"{known} and {one.name} are the same account ({one.organization}, {one.marketplace}, "
                    f"{one.account}); give each account a name of its own under 'account', or remove one"
                )
        return None


_SECTIONS: dict[str, Any] = {one.kind: (one.access | None, None) for one in MARKETPLACES.values()}

if TYPE_CHECKING:
    MarketplaceConnection = AccountConnection
else:
    MarketplaceConnection = create_model(
        "MarketplaceConnection", __base__=AccountConnection, __module__=__name__, **_SECTIONS
    )
    MarketplaceConnection.__doc__ = AccountConnection.__doc__
