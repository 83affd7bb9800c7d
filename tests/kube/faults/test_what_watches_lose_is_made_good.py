"""Watches that are cut, that end in errors and that come too late: what they did not tell is found, and every run ends as it should."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from support.drills import Drill, a_drill
from support.run_spaces import Space
from support.testcluster.proxy import FaultProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_PAUSE_SECONDS = 1.5
CHILDREN = ("/jobs", "/pods")


def until_over(drill: Drill, disturb: Callable[[], object]) -> None:
    """Disturbs, again and again, until every run is over."""
    while not all(map(drill.is_over, drill.played)):
        disturb()
        time.sleep(_PAUSE_SECONDS)


def test_watches_that_are_cut_all_the_time_lose_nothing(
    faulty_space: Space, fault_proxy: FaultProxy
) -> None:
    cut = 0

    def disturb() -> None:
        nonlocal cut
        cut += fault_proxy.cut_watches()

    with a_drill(faulty_space) as drill:
        drill.play_all("cut")
        until_over(drill, disturb)
        assert drill.wrong() == {}
    assert cut > 20
    assert faulty_space.audit() == ()
    assert faulty_space.errors == []


def test_watches_of_children_that_end_in_errors_are_begun_with_a_list(
    faulty_space: Space, fault_proxy: FaultProxy
) -> None:
    injected = 0

    def disturb() -> None:
        nonlocal injected
        for path in CHILDREN:
            # 410: what was to be gone on from is too old. 500: any other end.
            injected += fault_proxy.inject(410, path) + fault_proxy.inject(500, path)

    with a_drill(faulty_space) as drill:
        drill.play_all("error")
        until_over(drill, disturb)
        assert drill.wrong() == {}
    assert injected > 10
    assert faulty_space.audit() == ()
    assert faulty_space.errors == []


def test_an_operator_whose_watch_of_runs_ends_in_errors_ends_or_goes_on_and_loses_nothing(
    faulty_space: Space, fault_proxy: FaultProxy
) -> None:
    """Kopf stops for good on some errors; the operator ends with it, and whatever runs it starts it again."""
    codes = [410, 500, 504, 403]

    def disturb() -> None:
        # A watch that was ended is some time away.
        if codes and fault_proxy.inject(codes[0], "/trainingruns"):
            del codes[0]
        if faulty_space.operator.process.poll() is not None:
            faulty_space.bury(faulty_space.operator)
            faulty_space.start_operator().wait_ready()

    with a_drill(faulty_space) as drill:
        drill.play_all("runs")
        until_over(drill, disturb)
        assert drill.wrong() == {}
    assert codes == []
    assert faulty_space.audit() == ()


def test_what_is_told_seconds_late_ends_as_it_should(
    faulty_space: Space, fault_proxy: FaultProxy
) -> None:
    """Every watch is new and slow to begin; lists and looks know more than it."""
    fault_proxy.delay(2.0, method="GET", path="watch=true", times=None)

    with a_drill(faulty_space) as drill:
        drill.play_all("late")
        until_over(drill, fault_proxy.cut_watches)
        assert drill.wrong() == {}
    assert faulty_space.audit() == ()
    assert faulty_space.errors == []
