"""Writes the table of ``docs/mutation-testing.md`` from the last run of mutmut, and lists the mutants that survived.

Run as ``.venv/bin/python docs/mutation_report.py`` after ``mutmut run`` (``make mutants`` does both).
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from generate import replaced

PAGE = Path(__file__).parent / "mutation-testing.md"
FOUND = ("killed", "timeout")
"""A mutant that makes a test run for ever is found as well."""
NOT_FOUND = ("survived", "no tests")


def results() -> dict[str, Counter[str]]:
    """Return for each module how many mutants came to which end.

    Raises:
        SystemExit: there is no finished run.
    """
    ends: dict[str, Counter[str]] = {}
    for name, end in _lines():
        module = name.rpartition(".")[0].rpartition(".")[2]
        ends.setdefault(module, Counter())[end] += 1
    strange = {end for counts in ends.values() for end in counts} - {*FOUND, *NOT_FOUND}
    if strange or not ends:
        raise SystemExit(f"no finished run: {', '.join(sorted(strange)) or 'no mutants'}; start `make mutants`")
    return ends


def _lines() -> list[tuple[str, str]]:
    command = [str(Path(sys.executable).with_name("mutmut")), "results", "--all", "true"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [(name.strip(), end.strip()) for name, _, end in (line.partition(":") for line in told.splitlines()) if end]


def table(ends: dict[str, Counter[str]]) -> str:
    """Return the score of each module and of all as markdown."""
    rows = ["| module | mutants | killed | survived | score |", "|---|---:|---:|---:|---:|"]
    total = sum(ends.values(), Counter[str]())
    for name, counts in [*((f"`{module}`", ends[module]) for module in sorted(ends)), ("**all**", total)]:
        found, everything = sum(counts[end] for end in FOUND), counts.total()
        rows.append(f"| {name} | {everything} | {found} | {everything - found} | {100 * found / everything:.1f} % |")
    return "\n".join(rows)


def main() -> None:
    """Write the table and print what survived."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(text, "mutation score", table(results())), encoding="utf-8")
    for name, end in _lines():
        if end in NOT_FOUND:
            print(f"{end}: {name}")


if __name__ == "__main__":
    main()
