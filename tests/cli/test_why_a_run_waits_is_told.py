"""What `explain` says of a run that waits: the places of its last round, where it stood in the line, and when it is looked at again."""

from __future__ import annotations

from lightcompute.api.reasons import Reason
from lightcompute.api.status import TrainingRunStatus
from lightcompute.cli.told import told
from lightcompute.core.decide import decide
from lightcompute.core.snapshot import Standing
from lightcompute.testing.builders import NOON, RunBuilder, a_place, a_run, a_snapshot, an_offer, at


def waiting(run: RunBuilder, line: Standing | None) -> RunBuilder:
    full = an_offer(
        "1.29",
        place=a_place("L40S"),
        unavailable=Reason.NO_CAPACITY,
        message="0 GPUs are free; 1 on one node are needed",
    )
    return run.with_status(decide(a_snapshot(run, offers=(full,), line=line)).status)


def explained(run: RunBuilder) -> str:
    return "\n".join(told(run.build(), at(30)))


def test_a_run_that_waits_tells_places_line_and_rounds() -> None:
    patience = {"retryIntervalSeconds": 120, "preRunningDeadlineSeconds": 900}
    said = explained(
        waiting(a_run().with_spec(placement=patience), Standing(position=3, length=12))
    )
    for words in (
        "Places, as of the last round at 2030-01-01T12:00:00Z",
        "ord/US-ORD1/gpu/L40S  $1.29    NoCapacity  0 GPUs are free",
        "In the line of waiting runs it was number 3 of 12 at that round: 2 stood before it",
        "Next round at 2030-01-01T12:02:00Z, or earlier if a place is seen to be free; given up at 2030-01-01T12:15:00Z",
    ):
        assert words in said


def test_the_first_of_the_line_and_one_in_none_are_told_as_such() -> None:
    first = explained(waiting(a_run(), Standing(position=1, length=1)))
    assert "it was number 1 of 1 at that round: none stood before it" in first
    none = explained(waiting(a_run(), None))
    assert "In the line" not in none
    assert "Next round at" in none


def test_a_run_that_does_not_wait_is_told_no_next_round() -> None:
    over = TrainingRunStatus(reason=Reason.COMPLETED.value, start_time=NOON)
    assert "Next round" not in explained(a_run().with_status(over))
