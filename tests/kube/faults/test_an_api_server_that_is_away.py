"""An API server that is down, dark, paused, started anew or slow: nothing is started twice, and every run ends as it should."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from support.drills import Drill, a_drill
from support.run_spaces import Space
from support.testcluster.control_plane import ControlPlane
from support.testcluster.proxy import FaultProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

AWAY_SECONDS = 10.0
UNDISTURBED_SECONDS = 4.0


def away(drill: Drill, go: Callable[[], object], come_back: Callable[[], object]) -> None:
    """Plays every workload while the server is away for a time, in the middle of most of them."""
    drill.play_all("away")
    time.sleep(UNDISTURBED_SECONDS)
    go()
    time.sleep(AWAY_SECONDS)
    come_back()
    assert drill.wrong() == {}


@pytest.mark.parametrize("refuse", [True, False], ids=["refusing", "silent"])
def test_an_operator_that_is_cut_off_goes_on_where_it_was(
    faulty_space: Space, fault_proxy: FaultProxy, refuse: bool
) -> None:
    with a_drill(faulty_space) as drill:
        away(drill, lambda: fault_proxy.go_dark(refuse=refuse), fault_proxy.come_back)
    assert faulty_space.audit() == ()
    assert faulty_space.errors == []


def test_a_server_that_stands_still_for_a_time_is_waited_for(
    faulty_space: Space, served: ControlPlane
) -> None:
    server = served.component("kube-apiserver")
    with a_drill(faulty_space) as drill:
        away(drill, server.pause, server.resume)
    assert faulty_space.audit() == ()
    assert faulty_space.errors == []


def test_a_server_that_is_started_anew_is_gone_on_with(
    faulty_space: Space, served: ControlPlane
) -> None:
    server = served.component("kube-apiserver")
    with a_drill(faulty_space) as drill:
        # What is done to the others comes from this side, which would have to wait for the server as well.
        drill.play_all("anew", ("happy", "fails-once", "hangs", "budget"))
        time.sleep(UNDISTURBED_SECONDS)
        server.kill()
        server.restart()
        served.wait_ready()
        # No audit: the new server has forgotten what changed before, and the record has a gap. The ends tell of each attempt.
        assert drill.wrong() == {}
    assert faulty_space.errors == []


def test_a_server_that_takes_two_seconds_for_each_answer_is_waited_for(
    faulty_space: Space, fault_proxy: FaultProxy
) -> None:
    # A Lease of 3 s, as the others have it, cannot be renewed in time by such a server: nothing would be written.
    killed = faulty_space.operator
    killed.kill()
    faulty_space.bury(killed)
    faulty_space.start_operator("--lease-seconds", "20").wait_ready()
    fault_proxy.delay(2.0, times=None)
    with a_drill(faulty_space) as drill:
        drill.play_all("slow", ("happy", "deleted"))
        assert drill.wrong() == {}
    assert faulty_space.audit() == ()
    assert faulty_space.errors == []
