"""How a pair behaves towards its peers and with what they entrust it: limits are kept, secrets stay secret."""

from __future__ import annotations

import logging
import traceback

import pytest

from sync_pipelines.core.errors import PeerError
from sync_pipelines_tests.conformance.needs import needs
from sync_pipelines_tests.conformance.operator import Operator
from sync_pipelines_tests.conformance.subject import Capability, Opening, Subject

RATE, BURST = 5.0, 2
"""Slow enough that a busy machine, too, would be quicker without a limit."""
SLACK_SECONDS = 0.15
"""How much later than the one before it a request may arrive because the machine was busy."""


@needs(Capability.SERVED, Capability.RATE_LIMIT)
def test_given_a_rate_limit_then_at_no_time_more_is_asked_of_the_target(subject: Subject, operator: Operator) -> None:
    """However many records are in flight, every stretch of time keeps to the rate and its burst."""
    subject.add()

    operator.reconcile(Opening(requests_per_second=RATE, burst=BURST, policies={"in_flight": 8}))

    times = sorted(request.at for request in subject.peers["right"].requests)
    assert len(times) > 2 * BURST, "too few requests to show anything"
    crowded = [
        (start, end)
        for start in range(len(times))
        for end in range(start + 1, len(times))
        if end - start + 1 > BURST + RATE * (times[end] - times[start] + SLACK_SECONDS)
    ]
    assert crowded == []
    operator.ends_well()


@needs(Capability.SERVED, Capability.CREDENTIALS)
def test_given_a_target_that_repeats_the_credentials_then_they_are_written_down_nowhere(
    subject: Subject, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """No secret in any table, log line or error, even when a peer echoes the request in its refusal."""
    caplog.set_level(logging.DEBUG, "sync_pipelines")
    refused, other = subject.add(2)
    operator.reconcile()
    subject.edit(refused)
    subject.edit(other)
    peer = subject.peers["right"]
    echo = peer.faults.add("echo", path=peer.change, method="POST|PUT|PATCH|DELETE", times=1)
    operator.reconcile()
    assert (echo.fired, len(operator.letters())) == (1, 1)
    peer.faults.add("echo", path=peer.listing, query=peer.listing_query, times=1)
    with pytest.raises(PeerError) as failed:
        operator.reconcile()

    told = {
        "the store": operator.dump(),
        "the log": caplog.text,
        "the error": "".join(traceback.format_exception(failed.value)),
    }

    leaks = [(place, secret[:6]) for place, text in told.items() for secret in subject.secrets if secret in text]
    assert leaks == []
    operator.reprocess()
    operator.reconcile()
    operator.ends_well()
