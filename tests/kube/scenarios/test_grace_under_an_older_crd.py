"""A CRD of before drops what it does not know: an attempt whose grace is not on record has the operator's setting, as its money is held by that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.run_spaces import GRACE_SECONDS, a_space
from support.testcluster.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def older_crd(served: Cluster, checkout: Path, tmp_path: Path) -> Iterator[Cluster]:
    """The cluster under a CRD that knows no grace and no saves; afterwards under ours."""
    (ours,) = (checkout / "crds").glob("*trainingruns.yaml")
    crd = yaml.safe_load(ours.read_text(encoding="utf-8"))
    for version in crd["spec"]["versions"]:
        status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        del status["saves"]
        del status["attempts"]["items"]["properties"]["graceSeconds"]
    older = tmp_path / "older.yaml"
    older.write_text(yaml.safe_dump(crd), encoding="utf-8")
    served.api.apply_crd(older)
    yield served
    served.api.apply_crd(ours)


def test_pods_have_no_longer_grace_than_is_held_back_for_them(
    older_crd: Cluster, tmp_path: Path
) -> None:
    with a_space(older_crd, tmp_path / "space") as space:
        space.start_operator().wait_ready()
        # The first leaves by itself, so its end is seen, and the second recorded and begun, in one look.
        sim = {"RUN_SECONDS_1": 5, "EXIT_CODE_1": 13, "SAVE_SECONDS": 20, "NEVER_ENDS_2": 1}
        run = space.submit("of-before", sim, budget={"limitUSD": "0.20"})
        status = run.in_phase("Running", attempts=2)
        assert "saves" not in status
        assert "graceSeconds" not in status["attempts"][1]
        graces = [
            job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for job in run.jobs
        ]
        assert set(graces) == {GRACE_SECONDS}
        run.delete()
        run.gone()
