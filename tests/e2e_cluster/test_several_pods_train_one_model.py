import pytest

from support.realnode.runs import Runs

pytestmark = [pytest.mark.e2e, pytest.mark.realnode, pytest.mark.timeout(400)]


def test_two_pods_find_each_other_by_name_and_train(runs: Runs) -> None:
    runs.order("pair", {"trainer": {"numNodes": 2}}, maxSteps=10)
    status = runs.succeeded("pair", seconds=300)

    assert len(runs.pods("pair")) == 2
    assert status.results is not None
    assert status.results.steps == 10
    assert status.attempts[0].exit_code == 0
    # Two GPUs were held.
    assert status.cost.rate_per_hour_usd == 0
    assert status.attempts[0].rate_per_hour_usd == 7_200_000
