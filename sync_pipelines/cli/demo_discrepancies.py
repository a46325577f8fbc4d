"""What is wrong in the demo's Vault on purpose, and as what the deployments pipeline has found it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sync_pipelines.core.plan import Action, Change
from sync_pipelines.store import findings, plans
from sync_pipelines.store.lookup import remarks
from sync_pipelines.store.scopes import find_scope

PIPELINE, SCOPE = "deployments", "lab"

_OTHER_WRITER = "9dfb369b-ab13-4fae-a276-55daa05f1119"
_CREDENTIALS_ONLY = "99356597-6fba-4662-b6a7-30b7b12e9eed"
_HA = "6301bbfc-a0c5-454e-8ff9-bb510944fe0c"
_LARGE = "6fced11d-2bd8-41e6-847a-8387cdde8d51"
_OLD_RELEASE = "3a124c64-7e02-4f05-b7c1-dce27f7695f5"
_CLUSTER = "b120a366-f0bb-49cf-82f2-dc05873f9bd0"
_MALFORMED = "78b7d0ac-8477-4ce0-8e4c-da11b43c589b"
_CORRUPTED = "2330fcf1-562a-44b8-8866-8d77e827062c"
_LOCKED = "c1acc990-6424-450a-a36b-f9b3ddcb369d"
_UPPER_CASE = "9ad9b9a2-5e78-454d-b065-a1c284cc4549"
_MOST_PLANS = 1000


@dataclass(frozen=True, slots=True)
class Documented:
    """One mistake in the demo's Vault.

    Attributes:
        kind: what it is, for people.
        instances: entries that have it, as their keys are spelled in lower case.
        fields: fields of which at least one must have been written to mend it.
        actions: or what must have been done.
        is_reported: or whether it is only told of, because a person has to decide.
    """

    number: int
    kind: str
    instances: tuple[str, ...]
    fields: frozenset[str] = frozenset()
    actions: frozenset[Action] = frozenset()
    is_reported: bool = False


DOCUMENTED = (
    Documented(1, "missing in the index", (_CREDENTIALS_ONLY,), actions=frozenset({Action.CREATE})),
    Documented(2, "new orphan", ("2eb73728-2fea-475e-b536-5e1458294a90",), actions=frozenset({Action.RETIRE})),
    Documented(3, "old orphan, marked already", ("ac3e0b5b-c291-4709-8c1e-26038dabf68e",), is_reported=True),
    Documented(4, "marked as orphan although it is deployed", (_LOCKED,), frozenset({"orphaned"})),
    Documented(5, "another plan", (_LARGE,), frozenset({"plan_id"})),
    Documented(6, "an old release in the metadata", (_OLD_RELEASE,), frozenset({"releases"})),
    Documented(7, "corrupted entry", (_CORRUPTED,), frozenset({"entry_shape"})),
    Documented(8, "incomplete entry", ("2f314fdb-43c4-4bc7-a4cc-dcf9ea5ee53c",), is_reported=True),
    Documented(9, "key that is no instance id", ("not-a-uuid",), is_reported=True),
    Documented(10, "key in upper case", (_UPPER_CASE,), frozenset({"entry_shape"})),
    Documented(11, "entry of another writer", (_OTHER_WRITER,), frozenset({"entry_shape"})),
    Documented(12, "empty manifest", (_CLUSTER,), frozenset({"manifest_sha256"})),
    Documented(13, "wrong binding counters", (_HA,), frozenset({"metadata_shape"})),
    Documented(14, "no metadata", (_CORRUPTED, _LOCKED, _UPPER_CASE), frozenset({"metadata_shape"})),
    Documented(
        15,
        "no manifest",
        (_OTHER_WRITER, _HA, _LARGE, _MALFORMED, _CORRUPTED, _LOCKED, _UPPER_CASE, _CREDENTIALS_ONLY),
        frozenset({"manifest_sha256"}),
    ),
)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A documented mistake and as what it was found; ``found`` is empty when it was not."""

    number: int
    kind: str
    instances: tuple[str, ...]
    found: str


def discrepancies(connection: Connection) -> list[Discrepancy]:
    """Return each documented mistake with as what it was found, in this demo or in one before."""
    scope = find_scope(connection, PIPELINE, SCOPE)
    if scope is None:
        return []
    made: dict[str, list[Change]] = {}
    for plan in plans.list_plans(connection, pair=PIPELINE, scope=SCOPE, limit=_MOST_PLANS):
        for change in plans.changes(connection, plan.id):
            made.setdefault(change.natural_key.lower(), []).append(change)
    told = {finding.natural_key.lower(): finding.detail for finding in findings.standing(connection, PIPELINE)}
    told |= {remark.natural_key.lower() or remark.key.lower(): remark.reason for remark in remarks(connection, scope)}
    found = []
    for one in DOCUMENTED:
        words = [_found_as(one, made.get(instance, []), told.get(instance)) for instance in one.instances]
        found.append(Discrepancy(one.number, one.kind, one.instances, words[0] if all(words) else ""))
    return found


def _found_as(one: Documented, changes: Sequence[Change], told: str | None) -> str:
    """Say as what a mistake of one instance was found; empty when it was not."""
    if one.is_reported:
        return f"reported: {told}" if told else ""
    for change in changes:
        if change.action in one.actions:
            return "created" if change.action is Action.CREATE else "marked as orphaned"
        fields = one.fields & set(change.fields)
        # What is made anew has every field.
        if fields or (one.fields and change.action is Action.CREATE):
            return f"written: {', '.join(sorted(fields))}" if fields else "created"
    return ""
