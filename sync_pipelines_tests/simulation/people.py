"""People at both peers: they add, edit, remove and muddle records, as people do."""

from __future__ import annotations

import random
from typing import Any

from sync_pipelines_tests.simulation.peers import Source, Target, Witness

KEYS = ("k1", "k2", "k3", "k4", "k5", "k6", "k7")


class People:
    """Whoever works at the source and at the target, drawn from the seed.

    Attributes:
        births: number of the edit by which each record of the source last came to be.
        edits: edits so far.
    """

    def __init__(self, draw: random.Random, left: Source, right: Target, witness: Witness) -> None:
        self.random = draw
        self.left = left
        self.right = right
        self.witness = witness
        self.births: dict[str, int] = {}
        self.edits = 0

    def some_natural_keys(self) -> list[str]:
        """Return what a selective run is asked to look at."""
        return [f"nk-{key}" for key in sorted(self.random.sample(KEYS, self.random.choice([1, 2, 3])))]

    def edit_left(self) -> None:
        """The source gains, changes, loses or breaks a record."""
        self.edits += 1
        key, chance = self.random.choice(KEYS), self.random.random()
        if key in self.left.rows and chance < 0.25:
            self.left.remove(key)
            self._tell(f"the source removes {key}")
        elif key in self.left.rows and chance < 0.35:
            self._break(self.left, key)
        elif chance > 0.95:
            self._put(f"{key}b", f"nk-{key}")
        else:
            self._put(key, f"nk-{key}")

    def edit_right(self) -> None:
        """Somebody edits, deletes or adds a record at the target."""
        self.edits += 1
        keys, chance = sorted(self.right.rows), self.random.random()
        key = self.random.choice(keys) if keys else None
        if key is None or chance < 0.1:
            key, natural_key = self.right.fresh_key(), f"nk-{self.random.choice([*KEYS, 'k8', 'k9'])}"
            self.right.put(key, natural_key, **self._content(), state="draft")
            self._tell(f"somebody adds {key} ({natural_key})")
        elif chance < 0.25:
            self.right.remove(key)
            self._tell(f"somebody deletes {key}")
        elif chance < 0.32:
            self._break(self.right, key)
        elif chance < 0.36:
            natural_key = f"nk-{self.random.choice(KEYS)}"
            self.right.replace(key, natural_key=natural_key)
            self._tell(f"somebody makes {key} claim {natural_key}")
        else:
            self.edit_content(key)

    def edit_content(self, right_key: str) -> None:
        """Somebody changes a field of a record at the target, if it is still there."""
        if right_key in self.right.rows:
            edit = dict(self.random.sample(sorted(self._content().items()), 1))
            self.right.put(right_key, **edit)
            self._tell(f"somebody edits {right_key}: {edit}")

    def _put(self, key: str, natural_key: str) -> None:
        if key not in self.left.rows:
            self.births[key] = self.edits
        content = self._content() | {"state": self.random.choice(["active", "active", "paused"])}
        self.left.put(key, natural_key, **content)
        self._tell(f"the source puts {key} ({natural_key}): {content}")

    def _break(self, side: Source, key: str) -> None:
        flaw = self.random.choice(["withheld", "invalid"])
        mended = side.rows[key].withheld or side.rows[key].invalid
        flaws = {"withheld": None, "invalid": None} if mended else {flaw: f"{flaw} by its owner"}
        side.replace(key, **flaws)
        self._tell(f"{side.identity}: {key} {'is mended' if mended else f'becomes {flaw}'}")

    def _content(self) -> dict[str, Any]:
        return {"name": f"name {self.random.randrange(5)}", "price": self.random.randrange(4)}

    def _tell(self, what: str) -> None:
        self.witness.tell(what)
