"""A cluster is cut off at each phase of a run in it, for less and for more than the time after which it counts as unreachable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.fleets import PATIENCE, Fleet, candidates
from support.run_spaces import Run
from support.testcluster.fleet import NAMESPACE
from support.testcluster.proxy import FaultProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Document = dict[str, Any]
AWAY = "us-iad1"
BRIEF = PATIENCE["kube.worker_cluster.UNREACHABLE_SECONDS"] / 2
LONG = "until it is told"
CUTS = pytest.mark.parametrize("seconds", [BRIEF, LONG], ids=["brief", "long"])


@pytest.fixture
def patience() -> dict[str, float]:
    """A grace that tests can wait for, and a renewal that is worth a request by a second more."""
    return {
        "core.verdict.KILL_MARGIN_SECONDS": 1,
        "core.budget.RENEWAL_SLICE_SECONDS": 1,
        "core.checks_begin.CANNOT_BEGIN_SECONDS": 90,
    }


@pytest.fixture
def proxy(fleet: Fleet) -> FaultProxy:
    """What stands before the one cluster that runs may be placed into."""
    proxy = fleet.behind_a_proxy(AWAY)
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    return proxy


@contextmanager
def cut(fleet: Fleet, proxy: FaultProxy, seconds: float | str) -> Iterator[None]:
    """The cluster is away for the length of the block, and for so long, or until it counts as unreachable."""
    proxy.go_dark(refuse=True)
    yield
    if seconds == LONG:
        fleet.condition(AWAY, "Reachable", "False", "NoAnswer")
    else:
        time.sleep(float(seconds))
    proxy.come_back()


def ends(status: Document) -> list[tuple[int, str]]:
    """The attempts, and what became of them."""
    return [(each["number"], each.get("reason", "")) for each in status["attempts"]]


def job_of(fleet: Fleet) -> Document:
    """The only Job."""
    [job] = fleet.jobs(AWAY)
    return job


def running(fleet: Fleet, sim: dict[str, object], **spec: Any) -> Run:
    """A run that is in the cluster."""
    run = fleet.submit("cut-off", sim, **spec)
    run.in_phase("Running")
    return run


@CUTS
def test_before_its_job_exists(fleet: Fleet, proxy: FaultProxy, seconds: float | str) -> None:
    proxy.answer(503, method="POST", path="/jobs", times=None)
    run = fleet.submit("cut-off", {"RUN_SECONDS": 1})
    run.until(lambda status: status.get("attempts"))
    with cut(fleet, proxy, seconds):
        proxy.clear()
    assert ends(run.in_phase("Succeeded", seconds=90)) == [(1, "Completed")]


@CUTS
def test_while_the_answer_to_the_creation_of_its_job_is_lost(
    fleet: Fleet, proxy: FaultProxy, seconds: float | str
) -> None:
    proxy.drop_response(method="POST", path="/jobs", times=1)
    run = fleet.submit("cut-off", {"RUN_SECONDS": 1})
    run.until(lambda status: status.get("attempts"))
    with cut(fleet, proxy, seconds):
        pass
    assert ends(run.in_phase("Succeeded", seconds=90)) == [(1, "Completed")]


@CUTS
def test_while_it_waits_for_its_image(
    fleet: Fleet, proxy: FaultProxy, seconds: float | str
) -> None:
    run = fleet.submit("cut-off", {"IMAGE_ERROR": 1})
    run.until(lambda status: status["reason"] == "ImageUnavailable")
    with cut(fleet, proxy, seconds):
        pass
    run.until(lambda status: status["reason"] == "ImageUnavailable")
    assert ends(run.status) == [(1, "")]
    run.delete()
    run.gone()


@CUTS
def test_while_it_runs_and_ends(fleet: Fleet, proxy: FaultProxy, seconds: float | str) -> None:
    run = running(fleet, {"RUN_SECONDS": 2})
    with cut(fleet, proxy, seconds):
        pass
    end = run.in_phase("Succeeded", seconds=60)
    assert ends(end) == [(1, "Completed")]
    # Charged until it ended, or as was told already, and not until it was seen.
    told = [
        change.document["status"]["cost"]["lastUpdatedTime"]
        for change in fleet.space.watch.changes
        if change.uid == run.uid
        and "lastUpdatedTime" in change.document.get("status", {}).get("cost", {})
        if change.document["status"]["phase"] != "Succeeded"
    ]
    [attempt] = end["attempts"]
    begun = datetime.fromisoformat(attempt["startTime"])
    told_until = max(datetime.fromisoformat(time) for time in told)
    over = datetime.fromisoformat(attempt["endTime"])
    assert over <= max(told_until, begun + timedelta(seconds=4))


@CUTS
def test_while_its_operator_is_another(
    fleet: Fleet, proxy: FaultProxy, seconds: float | str
) -> None:
    run = running(fleet, {"RUN_SECONDS": 12})
    with cut(fleet, proxy, seconds):
        fleet.space.operator.kill()
        fleet.space.bury(fleet.space.operator)
        fleet.space.start_operator().wait_ready()
    assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]


@pytest.mark.parametrize("limit", ["3.00", "0.50"], ids=["raised", "lowered"])
@CUTS
def test_while_its_limit_is_changed(
    fleet: Fleet, proxy: FaultProxy, seconds: float | str, limit: str
) -> None:
    run = running(fleet, {"NEVER_ENDS": 1}, budget={"limitUSD": "1.00"})
    before = run.status["attempts"][0]["deadlineSeconds"]
    with cut(fleet, proxy, seconds):
        run.edit(budget={"limitUSD": limit})
        run.until(lambda status: status["observedGeneration"] > 1)
        told = run.status["attempts"][0]["deadlineSeconds"]
        # Nobody is sure yet that its place keeps an earlier one.
        assert told > before if limit == "3.00" else told == before
    expected = before * float(limit)

    def is_moved(status: Document) -> bool:
        return bool(abs(status["attempts"][0]["deadlineSeconds"] / expected - 1) < 0.1)

    told = run.until(is_moved)["attempts"][0]["deadlineSeconds"]
    fleet.plane(AWAY).api.eventually(
        f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{job_of(fleet)['metadata']['name']}",
        lambda job: abs(job["spec"]["activeDeadlineSeconds"] - told) <= 5,
    )
    run.delete()
    run.gone()


@CUTS
def test_before_it_hears_that_it_is_to_leave(
    fleet: Fleet, proxy: FaultProxy, seconds: float | str
) -> None:
    run = running(fleet, {"NEVER_ENDS": 1, "STOP_SECONDS": 3})
    with cut(fleet, proxy, seconds):
        run.edit(suspend=True)
        run.in_phase("Stopping")
    end = run.in_phase("Suspended")
    assert ends(end) == [(1, "Preempted")]
    assert end["attempts"][0]["exitCode"] == 13, "it had time to save, and was not killed"


@CUTS
def test_while_it_leaves(fleet: Fleet, proxy: FaultProxy, seconds: float | str) -> None:
    run = running(fleet, {"NEVER_ENDS": 1, "STOP_SECONDS": 2})
    run.edit(suspend=True)
    fleet.plane(AWAY).api.eventually(
        "/apis/batch/v1/jobs?labelSelector=lightcompute.dev/run-uid",
        lambda found: all(job["spec"].get("suspend") for job in found["items"]),
    )
    with cut(fleet, proxy, seconds):
        pass
    end = run.in_phase("Suspended")
    assert ends(end) == [(1, "Preempted")]
    assert end["attempts"][0]["exitCode"] == 13


@CUTS
def test_while_it_is_deleted(fleet: Fleet, proxy: FaultProxy, seconds: float | str) -> None:
    run = running(fleet, {"NEVER_ENDS": 1})
    with cut(fleet, proxy, seconds):
        run.delete()
    run.gone()
    fleet.plane(AWAY).api.eventually(
        "/apis/batch/v1/jobs?labelSelector=lightcompute.dev/run-uid",
        lambda found: not found["items"],
        seconds=60,
    )


@CUTS
def test_between_two_attempts(fleet: Fleet, proxy: FaultProxy, seconds: float | str) -> None:
    run = running(fleet, {"RUN_SECONDS": 1, "EXIT_CODE_1": 1})
    run.until(lambda status: status["attempts"][0].get("reason"))
    with cut(fleet, proxy, seconds):
        pass
    end = run.in_phase("Succeeded", seconds=90)
    assert ends(end) == [(1, "InternalError"), (2, "Completed")]


@CUTS
def test_while_it_waits_for_a_place_there(
    fleet: Fleet, proxy: FaultProxy, seconds: float | str
) -> None:
    """Its next round would come after ten minutes: it is told when the cluster is there again."""
    with cut(fleet, proxy, LONG):
        pass
    proxy.go_dark(refuse=True)
    if seconds == LONG:
        fleet.condition(AWAY, "Reachable", "False", "NoAnswer")
    else:
        time.sleep(1.5)
    run = fleet.submit("cut-off", {"RUN_SECONDS": 1})
    told = run.until(lambda status: status["reason"] == "WaitingForPlace")
    assert candidates(told) == {AWAY: "ClusterUnreachable"}
    proxy.come_back()
    assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]


def test_a_run_that_waits_hears_of_a_cluster_that_joins(fleet: Fleet) -> None:
    run = fleet.submit("early", {"RUN_SECONDS": 1}, placement={"clusters": [AWAY]})
    fleet.join("us-ord1")
    run.until(lambda status: status["reason"] == "WaitingForPlace")
    fleet.join(AWAY)
    assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]


def test_a_run_that_is_too_large_hears_of_a_pool_that_has_grown(
    fleet: Fleet, proxy: FaultProxy
) -> None:
    del proxy
    run = fleet.submit("wide", {"RUN_SECONDS": 1}, trainer={"numNodes": 2, "numProcPerNode": 2})
    told = run.until(lambda status: status["reason"] == "WaitingForPlace")
    assert candidates(told) == {AWAY: "TooLarge"}
    plane = fleet.plane(AWAY)
    [name] = plane.add_nodes(1, "A100-80GB", gpus=2)
    fleet.space.stack.callback(plane.api.delete, f"/api/v1/nodes/{name}")
    assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]
