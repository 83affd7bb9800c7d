"""What keeps the cap on a real API server when the operator is killed and nobody starts another, each with the rest switched off.

That no deadline is kept and the operator's look alone ends a run is tried on the simulator only (tests/loop/test_each_layer_alone.py): an
operator that lives puts a deadline back that somebody takes off a Job. That nothing is started which a cap cannot pay for is tried in
tests/kube/scenarios, and that a cluster is cut off for ever in tests/kube/clusters.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.pod_costs import held_seconds
from support.run_spaces import PRICE, Run, Space, a_space
from support.testcluster.control_plane import ControlPlane
from support.workloads import UNHURRIED

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

DEAF = {"NEVER_ENDS": 1, "DEAF": 1}
WILLING = {"NEVER_ENDS": 1}
LIMIT = 0.03
"""Dollars; half a minute, the reserve included."""
SLACK = 6.0
"""Dollars' worth of seconds: a deadline is of whole seconds, and controllers and nodes take a moment."""


@pytest.fixture
def space(served: ControlPlane, tmp_path: Path) -> Iterator[Space]:
    """A namespace with an operator of its own, to be killed."""
    patience = {**UNHURRIED, "core.budget.RENEWAL_SLICE_SECONDS": 1}
    with a_space(served, tmp_path, patience=patience) as space:
        space.start_operator().wait_ready()
        yield space
        assert space.audit() == ()


def budget(dollars: float) -> dict[str, Any]:
    return {"budget": {"limitUSD": f"{dollars:.2f}"}}


def deadline_of(run: Run) -> int | None:
    job = run.jobs[-1]
    seconds: int | None = job["spec"].get("activeDeadlineSeconds")
    return seconds


def left_alone(run: Run) -> float:
    """Kills the operator for ever, and gives what the run truly cost when nothing of it runs any more, by the record of its pods."""
    space = run.space
    space.operator.kill()
    space.watch.until(
        lambda: all(pod["status"]["phase"] in {"Succeeded", "Failed"} for pod in run.pods),
        run.told_in_full,
        90,
    )
    assert len(space.operators) == 1, "nobody started another"
    return held_seconds(space.watch.changes, run.uid) * float(PRICE) / 3600


def over(run: Run) -> set[str]:
    """Why the newest Job is over, as its controller says."""
    conditions = run.jobs[-1]["status"].get("conditions", ())
    return {each["reason"] for each in conditions if each["status"] == "True"}


def as_it_was_begun(space: Space) -> tuple[Run, float]:
    run = space.submit("begun", DEAF, **budget(LIMIT))
    run.in_phase("Running")
    return run, LIMIT


def lowered(space: Space) -> tuple[Run, float]:
    run = space.submit("lowered", DEAF, **budget(5.0))
    run.in_phase("Running")
    run.edit(**budget(LIMIT + 0.01))
    space.watch.until(lambda: (deadline_of(run) or 9999) < 60, run.told_in_full, 20)
    return run, LIMIT + 0.01


def raised(space: Space) -> tuple[Run, float]:
    run = space.submit("raised", DEAF, **budget(LIMIT))
    run.in_phase("Running")
    before = deadline_of(run) or 0
    run.edit(**budget(LIMIT + 0.03))
    space.watch.until(lambda: (deadline_of(run) or 0) > before, run.told_in_full, 20)
    return run, LIMIT + 0.03


def resumed(space: Space) -> tuple[Run, float]:
    run = space.submit("resumed", DEAF, **budget(LIMIT + 0.03))
    run.in_phase("Running")
    run.edit(suspend=True)
    run.in_phase("Suspended")
    run.edit(suspend=False)
    run.in_phase("Running", attempts=2)
    return run, LIMIT + 0.03


@pytest.mark.parametrize("begin", [as_it_was_begun, lowered, raised, resumed])
def test_the_deadline_of_a_job_ends_a_deaf_program_though_no_operator_is_left(
    space: Space, begin: Any
) -> None:
    run, limit = begin(space)
    cost = left_alone(run)
    assert limit - SLACK * float(PRICE) / 3600 <= cost <= limit
    assert over(run) == {"DeadlineExceeded"}


def test_the_trainers_own_stop_where_no_operator_is_left_and_its_job_has_no_deadline(
    space: Space,
) -> None:
    run = space.submit("willing", WILLING, **budget(LIMIT))
    run.in_phase("Running")
    space.operator.kill()
    job = run.jobs[0]["metadata"]["name"]
    path = f"/apis/batch/v1/namespaces/{space.namespace}/jobs/{job}"
    space.api.patch(path, {"spec": {"activeDeadlineSeconds": None}})
    assert 0.01 <= left_alone(run) <= LIMIT
    [pod] = run.pods
    [trainer] = pod["status"]["containerStatuses"]
    assert trainer["state"]["terminated"]["exitCode"] == 12
    assert "DeadlineExceeded" not in over(run)


def test_a_deadline_that_somebody_takes_off_a_job_is_put_back(space: Space) -> None:
    run = space.submit("bared", DEAF, **budget(1.0))
    run.in_phase("Running")
    before = deadline_of(run)
    assert before is not None
    job = run.jobs[0]["metadata"]["name"]
    path = f"/apis/batch/v1/namespaces/{space.namespace}/jobs/{job}"
    space.api.patch(path, {"spec": {"activeDeadlineSeconds": None}})
    space.watch.until(lambda: abs((deadline_of(run) or 0) - before) <= 5, run.told_in_full, 20)
    run.delete()
    run.gone()
