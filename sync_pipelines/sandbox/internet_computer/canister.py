"""What a canister is to a replica, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Reject(Exception):
    """A query that is answered by a reject: HTTP 200 with a code and a message.

    Arguments:
        code: 1 fatal, 2 transient, 3 no such destination, 4 rejected by the canister, 5 failed in it, 6 unknown.
        message: text for people.
        error_code: the replica's own code such as ``IC0503``, "" when it tells none.
    """

    def __init__(self, code: int, message: str, error_code: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.error_code = error_code


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a query. ``behind`` tells that a node gave it that lags."""

    arg: bytes
    behind: bool = False


class Canister(Protocol):
    """Something that answers queries."""

    @property
    def id(self) -> str:
        """Its principal as text."""
        ...

    @property
    def certified_data(self) -> bytes:
        """The 32 bytes (or none) that the subnet certifies for it."""
        ...

    def query(self, method: str, arg: bytes) -> Reply:
        """Answer a query.

        Raises:
            Reject: it does not.
        """
        ...


def trap(canister_id: str, message: str) -> Reject:
    """Return what a panic in the canister's code becomes."""
    said = f"Canister called `ic0.trap` with message: 'Panicked at {message}'."
    return Reject(5, f"Error from Canister {canister_id}: {said}", "IC0503")


def unwrap_trap(canister_id: str, error: str) -> Reject:
    """Return what an error becomes that the canister's code did not expect."""
    return trap(canister_id, f'called `Result::unwrap()` on an `Err` value: "{error}"')


def no_such_method(canister_id: str, method: str) -> Reject:
    """Return the reject of a query method that is not there."""
    said = f"Canister has no query method '{method}'."
    return Reject(5, f"Error from Canister {canister_id}: {said}", "IC0536")


def too_large(canister_id: str, size: int, limit: int) -> Reject:
    """Return the reject of a reply that exceeds what a query may answer."""
    said = f"Canister violated contract: ic0.msg_reply_data_append: application payload size ({size}) "
    return Reject(5, f"Error from Canister {canister_id}: {said}cannot be larger than {limit}.", "IC0504")
