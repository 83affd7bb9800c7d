import pytest

from lightcompute.api import Phase
from support.realnode.commands import kubectl
from support.realnode.release import Release
from support.realnode.runs import Runs

pytestmark = [pytest.mark.e2e, pytest.mark.realnode, pytest.mark.timeout(400)]

COMES_LAST = 2
"""The last test leaves no operator."""


def test_an_upgrade_takes_over_what_trains(runs: Runs, release: Release) -> None:
    runs.order("through", {}, maxSteps=1500, evaluation={"everySteps": 500, "batchSize": 8})
    runs.until("through", lambda status: status.phase is Phase.RUNNING)
    (before,) = release.pods()
    release.upgrade(**{"operator.logLevel": "DEBUG"})
    (after,) = (pod for pod in release.pods() if "deletionTimestamp" not in pod["metadata"])
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    status = runs.succeeded("through")
    assert status.restarts == 0


def test_what_was_trained_and_what_trains_stays_when_the_operator_is_uninstalled(
    runs: Runs, release: Release
) -> None:
    runs.order("done", {})
    runs.succeeded("done")
    runs.order("going", {}, maxSteps=100_000)
    runs.until("going", lambda status: status.phase is Phase.RUNNING)

    release.uninstall()

    release.wait_for_none()
    assert "trainingruns" in kubectl(runs.rig, "api-resources", "--api-group=lightcompute.dev")
    assert runs.status("done").phase is Phase.SUCCEEDED
    (pod,) = runs.pods("going")
    assert pod["status"]["phase"] == "Running"

    # And an operator that is installed anew knows them.
    release.install()
    runs.edit("going", suspend=True)
    runs.until("going", lambda status: status.phase is Phase.SUSPENDED)
