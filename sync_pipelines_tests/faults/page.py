"""The generated parts of ``docs/reliability.md``: which test shows what of each fault and of each kill."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from sync_pipelines_tests.conformance.registry import REGISTERED
from sync_pipelines_tests.conformance.subject import Side
from sync_pipelines_tests.faults.expected import Expected, Outcome
from sync_pipelines_tests.faults.fault import Family, Fault
from sync_pipelines_tests.faults.registry import FAULTY
from sync_pipelines_tests.faults.table import FAULTS, Cell, left_out, table
from sync_pipelines_tests.kills.points import CHANGE_POINTS
from sync_pipelines_tests.kills.worlds import ACTIONS, actions_of

TESTS = Path(__file__).parents[1]
PARTS = {"left": "source", "right": "target"}
_OTHER_KILLS = (
    "kills/test_runs.py",
    "kills/test_chain_events.py",
    "kills/test_vault_documents.py",
    "kills/test_ledger_import.py",
    "kills/test_two_ways.py",
)
_DATABASE = (
    "engine/test_database_faults.py",
    "pipelines/offerings/test_two_runs.py",
    "pipelines/offerings/test_stopping.py",
    "systems/test_fence.py",
    "engine/test_races.py",
    "store/test_leases.py",
)


def faults() -> str:
    """Return the table of faults, a section a family: a row a fault and side, a column a pipeline."""
    cells = {(cell.registration.name, cell.fault.id, cell.side): cell for cell in table()}
    names = [registration.name for registration, _ in FAULTY]
    shown = sum(not cell.absent for cell in cells.values())
    parts = [
        f"{len(FAULTS)} faults, {shown} cells. Each cell is the id of a `test_fault[...]` in `faults/test_faults.py`."
    ]
    for registration, pair in FAULTY:
        if number := left_out(registration, pair):
            parts.append(f"Of {registration.name}, {number} cells are not run and empty: {pair.only_because}.")
    for family in Family:
        parts += ["", f"### {family}", "", f"| what goes wrong | at the | {' | '.join(names)} |"]
        parts.append(f"|---|---|{'---|' * len(names)}")
        for fault in FAULTS:
            if fault.family is family:
                parts += _rows(fault, names, cells)
    return "\n".join(parts)


def _rows(fault: Fault, names: Iterable[str], cells: Mapping[tuple[str, str, Side], Cell]) -> list[str]:
    meaning = f"{fault.meaning} ({fault.note})" if fault.note else fault.meaning
    return [
        f"| {meaning} | {PARTS[side]} | {' | '.join(_cell(cells.get((name, fault.id, side))) for name in names)} |"
        for side in fault.sides
        if any((name, fault.id, side) in cells for name in names)
    ]


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.absent:
        return f"cannot occur: {cell.absent}"
    return f"`{cell.id}`: {_outcome(cell)}"


def _outcome(cell: Cell) -> str:
    if cell.fault.family is Family.EVENT:
        return (
            "everything is reconciled" if cell.pair.events[cell.fault.id].everything else "what it names is looked at"
        )
    return f"{cell.expected.outcome}{_measure(cell.expected)}"


def _measure(expected: Expected) -> str:
    if expected.outcome is Outcome.FAILS and expected.failed > 1:
        return f" ({expected.failed} of them)"
    if expected.outcome is Outcome.FAILS and expected.letters:
        return " (a dead letter at once)"
    if expected.again is not None:
        return f" ({expected.again or 'no'} requests by the next run)"
    return ""


def kills() -> str:
    """Return the table of kills: a row a point, a column a kind of change."""
    parts = [f"| killed | {' | '.join(ACTIONS)} |", f"|---|{'---|' * len(ACTIONS)}"]
    for label, point in CHANGE_POINTS.items():
        ids = [
            ", ".join(
                f"`{label}-{action}-{registration.name}`"
                for registration in REGISTERED
                if registration.is_killed_at(label) and action in actions_of(registration)
            )
            for action in ACTIONS
        ]
        parts.append(f"| {point.meaning} | {' | '.join(ids)} |")
    return "\n".join([*parts, "", *_listed(_OTHER_KILLS)])


def database() -> str:
    """Return what is shown of the database, of two runs at once, and of runs that outlive their lease."""
    return "\n".join(_listed(_DATABASE))


def _listed(paths: Iterable[str]) -> list[str]:
    """Return the tests of modules as a list; a module that is not there is left out."""
    found = []
    for path in paths:
        if (TESTS / path).exists():
            found += [f"- {_sentence(name)} (`{path}`)" for name in _tests(TESTS / path)]
    return found


def _tests(path: Path) -> list[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def _sentence(name: str) -> str:
    words = name.removeprefix("test_").replace("_", " ")
    return words[0].upper() + words[1:]
