import pytest

from support.realnode.commands import kubectl
from support.realnode.release import NAMESPACE, Release
from support.realnode.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.realnode]


def test_one_operator_is_ready_and_was_never_restarted(release: Release) -> None:
    (pod,) = release.pods()
    (container,) = pod["status"]["containerStatuses"]
    assert (container["ready"], container["restartCount"]) == (True, 0), release.log()
    assert container["image"] == release.operator_image.name


def test_it_runs_as_nobody_and_can_write_nothing_but_a_temporary_folder(release: Release) -> None:
    (pod,) = release.pods()
    seen = kubectl(
        release.rig, "exec", "-n", NAMESPACE, pod["metadata"]["name"], "--",
        "/opt/lightcompute/bin/python", "-c", WHO,
    )  # fmt: skip
    assert seen.split() == ["65532", "no", "no", "yes"]


WHO = """
import os
print(os.getuid())
for folder in ("/opt/lightcompute", "/", "/tmp"):
    try:
        open(os.path.join(folder, "x"), "w").close()
        print("yes")
    except OSError:
        print("no")
"""


def test_people_find_the_resource_under_its_short_name(rig: Rig, release: Release) -> None:
    assert "trainingruns" in kubectl(rig, "api-resources", "--api-group=lightcompute.dev")
    assert kubectl(rig, "get", "trun", "-n", "kube-public") == ""


def test_its_own_test_passes(release: Release) -> None:
    assert "Phase:          Succeeded" in release.test()


def test_it_complains_of_nothing(release: Release) -> None:
    said = release.log()
    assert "The Lease is ours" in said
    assert '"level": "ERROR"' not in said
    assert "Traceback" not in said
