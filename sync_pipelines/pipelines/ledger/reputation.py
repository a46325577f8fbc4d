"""How reputations come about: by replaying every change and every aging in the order of the ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sync_pipelines.store.ledger.reputations import ReputationEvent

MOST_AGING = 100
"""e9s that one aging takes from a key at most."""
_MILLION = 1_000_000


def replay(reputations: dict[bytes, int], events: Iterable[ReputationEvent]) -> None:
    """Apply events to the reputations (public key -> e9s), in place.

    No change takes a reputation below zero, and what it would have taken is forgotten. An aging takes a share from
    every key, rounded down.
    """
    for event in events:
        if event.pubkey is not None:
            reputations[event.pubkey] = max(reputations.get(event.pubkey, 0) + event.amount, 0)
            continue
        for pubkey, reputation in reputations.items():
            lost = min(reputation * event.amount // _MILLION, MOST_AGING)
            reputations[pubkey] = max(reputation - lost, 0)
