from __future__ import annotations

import json
import time
from typing import Any

import pytest

from support.operators import LEASE_SECONDS, eventually
from support.testcluster.proxy import FaultProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def test_the_second_waits_and_takes_over_when_the_first_is_killed(start: Any, space: Any) -> None:
    first = start().wait_ready()
    second = start()
    eventually(lambda: second.said("Waiting for the Lease"), 60)
    assert second.ask("/healthz")[0] == 200
    assert second.ask("/readyz")[0] == 503
    assert second.checks("/readyz")["lease"] == "the Lease is not ours"
    space.submit("before")
    space.wait_for_phase("before", "Starting", "Running", "Succeeded")
    first.kill()
    killed_at = time.monotonic()
    second.wait_ready()
    assert time.monotonic() - killed_at < 2 * LEASE_SECONDS + 10
    assert second.metric("lightcompute_lease_transitions") == 1
    space.submit("after")
    for name in ("before", "after"):
        run = space.wait_for_phase(name, "Succeeded")
        assert len(run["status"]["attempts"]) == 1


def test_one_that_is_asked_to_end_is_followed_at_once(start: Any) -> None:
    first = start().wait_ready()
    second = start()
    eventually(lambda: second.said("Waiting for the Lease"), 60)
    first.terminate()
    assert first.wait() == 0
    second.wait_ready(10)


def test_one_that_was_suspended_writes_nothing_when_it_wakes_and_ends(
    start: Any, space: Any, fault_proxy: FaultProxy
) -> None:
    sleeper = start(kubeconfig=fault_proxy.kubeconfig).wait_ready()
    space.submit("early")
    space.wait_for_phase("early", "Starting", "Running", "Succeeded")
    other = start()
    eventually(lambda: other.said("Waiting for the Lease"), 60)
    sleeper.pause()
    other.wait_ready()
    for number in range(10):
        space.submit(f"late-{number}")
    fault_proxy.forget()
    sleeper.resume()
    assert sleeper.wait() == 21
    assert sleeper.said("Somebody else acts now")
    tried = [seen for seen in fault_proxy.writes() if "/leases/" not in seen.path]
    assert tried == []
    for number in range(10):
        space.wait_for_phase(f"late-{number}", "Succeeded")
    assert other.metric("lightcompute_lease_held") == 1


def test_a_stolen_lease_ends_it_and_the_thief_keeps_it(start: Any, space: Any) -> None:
    operator = start().wait_ready()
    theft = {"spec": {"holderIdentity": "thief", "leaseTransitions": 7}}
    space.api.patch(space.lease, theft)
    assert operator.wait() == 21
    (line,) = operator.said("Somebody else acts now")
    assert "thief holds the Lease" in line["message"]
    assert space.holder() == "thief"


def test_a_deleted_lease_is_made_anew_and_the_one_that_waits_goes_on_waiting(
    start: Any, space: Any
) -> None:
    first = start().wait_ready()
    second = start()
    eventually(lambda: second.said("Waiting for the Lease"), 60)
    holder = space.holder()
    space.api.delete(space.lease)
    eventually(lambda: space.api.find(space.lease) is not None, 20)
    time.sleep(LEASE_SECONDS + 2)
    assert space.holder() == holder
    assert first.metric("lightcompute_lease_held") == 1
    assert first.metric("lightcompute_lease_transitions") == 1
    assert second.ask("/readyz")[0] == 503


def test_no_run_is_started_twice_while_operators_come_and_go(start: Any, space: Any) -> None:
    names = [f"run-{number}" for number in range(8)]
    operators = [start().wait_ready(), start()]
    for name in names:
        space.submit(name)
    for _ in range(2):
        operators[0].kill()
        operators.append(start())
        operators.pop(0)
        eventually(lambda: any(each.ask("/readyz")[0] == 200 for each in operators), 60)
        operators.sort(key=lambda each: each.ask("/readyz")[0] != 200)
    for name in names:
        run = space.wait_for_phase(name, "Succeeded")
        assert [attempt["number"] for attempt in run["status"]["attempts"]] == [1], json.dumps(run)
