"""What the benchmarks of the applier, of a Dagster run and of events print, as lines of the results page."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import Line, Report, shown

CHANGES_PER_SECOND = 300
LEAST_OF_LIMIT = 0.95
OUTSIDE_SECONDS = 3.0
EVENT_ROWS = 30
COLD_SECONDS = 30.0
UNCHANGED_SECONDS = 5.0
DEPLOYMENTS_MEMORY = 300.0


def applier(found: dict[str, Any]) -> Report:
    """Judge ``bench_applier``."""
    report = Report()
    for speed in found["speeds"]:
        report.at_least(f"applier: {speed['name']}", speed["per_second"], CHANGES_PER_SECOND, "changes/s")
    limited = found["limited"]
    rate, overall = limited["rate"], limited["overall"]
    least = rate * LEAST_OF_LIMIT
    report.lines.append(
        Line(
            f"applier: requests of {limited['runs']} runs that share a limit of {rate:.0f}/s",
            shown(overall, "requests/s"),
            f"{least:g} to {rate:g} requests/s",
            least <= overall <= rate,
        )
    )
    report.plain("the same: most requests in any one second", limited["busiest"], "requests")
    report.notes.append(
        "Applier: 8 changes in flight, a peer that answers after 5 ms, every write looked at before and after."
    )
    return report


def reconcile(found: dict[str, Any]) -> Report:
    """Judge ``bench_reconcile``."""
    report = Report()
    best = found["best"]
    name = f"Dagster: reconcile of {best['offerings']:,} unchanged offerings"
    report.at_most(f"{name}, outside the peers", best["outside_seconds"], OUTSIDE_SECONDS, "s")
    report.at_most(f"{name}, events in Dagster's log", best["event_rows"], EVENT_ROWS, "events")
    report.plain(f"{name}, in all", best["seconds"], "s")
    report.notes.append(
        f"Dagster: the job `offerings_reconcile` against both stand-ins, the best of {len(found['unchanged'])} runs; "
        "outside the peers is the time in which no request was on its way."
    )
    return report


def deployments(found: dict[str, Any]) -> Report:
    """Judge ``bench_deployments``."""
    report = Report()
    cold, best = found["cold"], found["best"]
    name = f"deployments: {cold['deployments']:,} with 5 VMs each"
    report.at_most(f"{name}, all new in Vault", cold["seconds"], COLD_SECONDS, "s")
    report.plain("the same: processor time of the run's process", cold["cpu_seconds"], "s")
    report.at_most(f"{name}, unchanged", best["seconds"], UNCHANGED_SECONDS, "s")
    most_writes = max(one["vault_writes"] for one in found["unchanged"])
    most_asked = max(one["director_requests"] for one in found["unchanged"])
    report.at_most("the same: writes to Vault", most_writes, 0, "writes")
    report.at_most("the same: requests to the Director", most_asked, 1, "requests")
    report.plain("the same: requests to Vault", best["vault_requests"], "requests")
    if plain := found.get("without_scan"):
        report.plain(f"{name}, unchanged, Vault does not tell when secrets were written", plain["seconds"], "s")
        report.plain("the same: requests to Vault", plain["vault_requests"], "requests")
    if many := found.get("many_unchanged"):
        memory = max(many["memory"], found["many_cold"]["memory"])
        name = f"memory of a reconcile of {many['deployments']:,} deployments, new and unchanged"
        report.at_most(name, memory, DEPLOYMENTS_MEMORY, "MB")
    report.notes.append(
        "Deployments: the job `deployments_reconcile` in a process of its own each time, 5 deployments asked about "
        "at a time, a Director stand-in that answers after 5 ms and a real OpenBao in memory. Plain Vault has no SCAN "
        "and no detailed listing, so that every sweep there reads metadata and manifest of every instance."
    )
    return report


def events(found: dict[str, Any]) -> Report:
    """Judge ``bench_events``."""
    report = Report()
    report.plain(f"from an event on the chain to Waldur, median of {found['changes']}", found["median_seconds"], "s")
    report.plain("the same, 95th percentile", found["p95_seconds"], "s")
    stages = ", ".join(f"{stage['stage']} {stage['median']:.2f} s" for stage in found["stages"])
    report.notes.append(f"Events: with `dagster-daemon` running. Where the median goes: {stages}.")
    return report
