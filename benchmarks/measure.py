"""What a benchmark hands to the results page: lines with a target, and remarks."""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the results page.

    Attributes:
        name: what was measured.
        ours: the number as it is shown, with its unit.
        target: the number asked for, empty when there is none.
        met: whether ours meets it, ``None`` without a target.
        ratio: how ours compares, e.g. ``"12.3 x dlt"``.
    """

    name: str
    ours: str
    target: str = ""
    met: bool | None = None
    ratio: str = ""


@dataclass(slots=True)
class Report:
    """What one benchmark found."""

    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def at_least(self, name: str, value: float, least: float, unit: str, ratio: str = "") -> None:
        """Add a number that should be large."""
        self.lines.append(Line(name, shown(value, unit), f">= {shown(least, unit)}", value >= least, ratio))

    def at_most(self, name: str, value: float, most: float, unit: str, ratio: str = "") -> None:
        """Add a number that should be small."""
        self.lines.append(Line(name, shown(value, unit), f"<= {shown(most, unit)}", value <= most, ratio))

    def plain(self, name: str, value: float, unit: str, ratio: str = "") -> None:
        """Add a number without a target."""
        self.lines.append(Line(name, shown(value, unit), ratio=ratio))


def shown(value: float, unit: str) -> str:
    """Return a number with its unit, with as many digits as mean something."""
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}"


def peak_memory() -> float:
    """Return the most memory this process ever had resident, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def run(measure: Callable[[int], Report], *, records: int) -> None:
    """The command of a benchmark's process: measure, and print the report as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=records)
    print(json.dumps(asdict(measure(parser.parse_args().records))))
