"""When a trainer that says nothing counts as hung: only where its log is known to be read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.words import Phase
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision
from lightcompute.core.progress import Progress
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import a_child, a_run, a_running_attempt, a_snapshot, at
from runcontract.progress import Warned


def seen_at(now: float, *, heard: float | None, **child: Any) -> Decision:
    run = a_run().with_spec(progressDeadlineSeconds=60).with_attempts(a_running_attempt())
    until = None if heard is None else at(heard)
    return decide(a_snapshot(run, a_child(heard_until=until, **child), now=at(now)))


def progress_at(time: datetime) -> Progress:
    report = Warned(time=time, attempt=1, step=0, reason="Anything", message="x")
    return Progress(attempt=1).with_report(report)


@pytest.mark.parametrize(
    ("now", "heard", "reported", "hung"),
    [
        (60, 60, None, True),
        (60, 59, None, False),
        (59, 59, None, False),
        (9000, None, None, False),
        (9000, 30, None, False),
        (9000, 60, None, True),
        (9000, 9000, 8941, False),
        (9000, 9000, 8940, True),
        # The last report is known, and nothing since, but the log was read only up to shortly after it.
        (9000, 150, 100, False),
        (9000, 160, 100, True),
    ],
)
def test_silence_is_a_hang_only_as_far_as_it_was_listened_to(
    now: float, heard: float | None, reported: float | None, hung: bool
) -> None:
    progress = None if reported is None else progress_at(at(reported))
    decision = seen_at(now, heard=heard, progress=progress)
    assert (decision.reason == Reason.HANG) is hung


def test_a_log_that_is_read_up_to_before_it_counts_is_looked_at_again_soon() -> None:
    assert seen_at(9000, heard=30).look_again_at == at(9005)
    assert seen_at(9000, heard=None).look_again_at == at(9060)


def test_silence_counts_from_when_the_processes_ran() -> None:
    assert seen_at(100, heard=100, began_time=at(50)).reason == Reason.ATTEMPT_RUNNING
    assert seen_at(110, heard=110, began_time=at(50)).reason == Reason.HANG


@pytest.mark.parametrize("state", [ChildState.UNKNOWN, ChildState.PENDING])
def test_what_cannot_be_seen_is_not_called_hung(state: ChildState) -> None:
    decision = seen_at(9000, heard=9000, state=state)
    assert decision.reason != Reason.HANG
    assert decision.status.phase != Phase.PENDING
