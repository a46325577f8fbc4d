"""For every record it can be told where it stands, why, and what was done to it."""

from __future__ import annotations

import json

from sync_pipelines.core.canonical import fingerprint
from sync_pipelines.core.lifecycle import State
from sync_pipelines_tests.conformance.needs import needs
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Capability, Mishap, Subject

WRITES = {"create", "update", "retire"}


@needs(Capability.INVALID)
def test_given_records_in_all_kinds_of_states_then_each_has_a_reason_and_a_history(
    subject: Subject, operator: Operator
) -> None:
    """Why is it so? State, reason, last error, effects and audit entries answer for every single record."""
    quiet, edited, gone, spoiled, waiting = subject.add(5)
    operator.reconcile()
    subject.edit(edited)
    subject.remove(gone)
    subject.spoil(spoiled)
    operator.reconcile()
    subject.edit(waiting)
    subject.hinder("change", Mishap.ROLLED_BACK)
    operator.reconcile()

    found = {key: operator.state(key) for key in (quiet, edited, gone, spoiled, waiting)}

    assert {key: state.state for key, state in found.items()} == {
        quiet: State.SYNCED,
        edited: State.SYNCED,
        gone: State.SYNCED,
        spoiled: State.DEAD_LETTERED,
        waiting: State.RETRYING,
    }
    assert all(state.reason for state in found.values())
    assert "gone at the source" in found[gone].reason
    assert found[spoiled].last_error == found[spoiled].reason
    assert (found[waiting].next_retry_at is None, found[waiting].failures) == (False, 1)
    history = {key: [(one["action"], one["success"]) for one in operator.audited(key)] for key in found}
    assert history == {
        quiet: [("create", True)],
        edited: [("create", True), ("update", True)],
        gone: [("create", True), ("retire", True)],
        spoiled: [("create", True), ("dead_lettered", False)],
        waiting: [("create", True), ("update", False)],
    }
    subject.mend(spoiled)
    operator.reprocess()
    operator.let_time_pass()
    operator.reconcile()
    operator.ends_well()


def test_given_writes_of_every_kind_then_each_effect_is_in_the_audit_log_with_its_run(
    subject: Subject, operator: Operator
) -> None:
    """What was done, by which run, to which record: the log and the effects tell the same."""
    edited, gone = subject.add(2)
    operator.reconcile()
    subject.edit(edited)
    subject.remove(gone)
    operator.reconcile()

    effects = operator.sql("SELECT run_id, action, key FROM sync.effect WHERE state = 'settled' ORDER BY id")
    entries = [
        (entry["run_id"], entry["action"], key)
        for key in (edited, gone)
        for entry in operator.audited(key)
        if entry["success"] and entry["action"] in WRITES
    ]

    assert sorted(effects) == sorted(entries)
    assert len(entries) == 4
    operator.ends_well()


def test_given_what_is_stored_then_it_still_has_the_fingerprint_it_was_stored_under(
    subject: Subject, operator: Operator
) -> None:
    """Numbers, texts and order survive the database: what is read back is what was compared."""
    key, _ = subject.add(2)
    subject.rename(key, 'Zürich "1.50" \\ 👍🏽 e\u0301')
    operator.reconcile()

    rows = operator.sql("SELECT key, CAST(content AS text), fingerprint FROM sync.record")

    assert len(rows) == 4
    assert [key for key, content, digest in rows if fingerprint(json.loads(content)) != bytes(digest)] == []
    operator.ends_well()
