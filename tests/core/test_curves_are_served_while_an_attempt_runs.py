"""TensorBoard gets its address once its attempt runs; nothing is done about it where that is not wanted, or of no use."""

from __future__ import annotations

from typing import Any

from lightcompute.core.decide import decide
from lightcompute.core.decision import ServeCurves
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import (
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    at,
)


def serving(run: RunBuilder, served: bool | None, **child: Any) -> list[ServeCurves]:
    decision = decide(a_snapshot(run, a_child(curves_served=served, **child), now=at(10)))
    return [each for each in decision.actions if isinstance(each, ServeCurves)]


def running() -> RunBuilder:
    return a_run().with_attempts(a_running_attempt())


def test_curves_of_what_runs_are_served_until_they_are() -> None:
    assert serving(running(), served=False) == [ServeCurves(attempt=1)]
    assert serving(running(), served=True) == []


def test_what_has_no_curves_or_cannot_be_served_is_left_alone() -> None:
    assert serving(running(), served=None) == []


def test_nothing_is_served_of_what_does_not_run() -> None:
    assert serving(running(), served=False, state=ChildState.PENDING, start_time=None) == []
    assert serving(running(), served=False, state=ChildState.UNKNOWN) == []
    gone = {"state": ChildState.EXITED, "exit_code": 0, "end_time": at(9)}
    assert serving(running(), served=False, **gone) == []


def test_an_attempt_that_is_asked_to_leave_is_given_nothing_any_more() -> None:
    assert serving(running().with_spec(suspend=True), served=False) == []
