"""Objects that were written under a CRD with fewer rules: none of them stops the operator, or any other run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.run_spaces import Space, a_run, a_space
from support.testcluster.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
STRANGE: dict[str, dict[str, Any]] = {
    "spec-of-text": {"spec": {"trainer": "ours", "training": 5}},
    "unknown-field": {"spec": {**a_run("x", {}, {})["spec"], "colour": "blue"}},
    "no-spec": {},
    "numbers-as-text": {"spec": {"training": {"maxSteps": "many"}, "budget": {"limitUSD": 7}}},
    "a-cap-of-nothing": {"spec": {**a_run("x", {}, {})["spec"], "budget": {"limitUSD": "-1"}}},
    "status-of-another-world": {
        **a_run("x", {}, {}),
        "status": {"phase": "Dancing", "attempts": [{"number": "one"}], "cost": 5},
    },
}
REFUSED = ("spec-of-text", "unknown-field", "no-spec", "numbers-as-text", "a-cap-of-nothing")


@pytest.fixture
def older_crd(served: Cluster, checkout: Path, tmp_path: Path) -> Iterator[Cluster]:
    """The cluster under a CRD that takes anything; afterwards under ours."""
    (ours,) = (checkout / "crds").glob("*trainingruns.yaml")
    crd = yaml.safe_load(ours.read_text(encoding="utf-8"))
    for version in crd["spec"]["versions"]:
        version["schema"] = {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": ANYTHING, "status": ANYTHING},
            }
        }
    loose = tmp_path / "older.yaml"
    loose.write_text(yaml.safe_dump(crd), encoding="utf-8")
    served.api.apply_crd(loose)
    yield served
    served.api.apply_crd(ours)


def test_what_an_older_crd_took_stops_nothing(
    older_crd: Cluster, checkout: Path, tmp_path: Path
) -> None:
    with a_space(older_crd, tmp_path / "space") as space:
        for name, strange in STRANGE.items():
            _put(space, name, strange)
        space.start_operator().wait_ready()
        before = space.submit("before", {"RUN_SECONDS": 1})
        before.in_phase("Succeeded")
        for name in REFUSED:
            status = _eventually_told(space, name)
            assert status["reason"] == "SpecRefused", name
            (accepted,) = (each for each in status["conditions"] if each["type"] == "Accepted")
            assert accepted["status"] == "False"
        untouched = space.api.get(f"{space.runs}/status-of-another-world")["status"]
        assert untouched["phase"] == "Dancing"
        assert space.operator.said("cannot be read")

        (ours,) = (checkout / "crds").glob("*trainingruns.yaml")
        older_crd.api.apply_crd(ours)
        during = space.submit("during", {"RUN_SECONDS": 1})
        during.in_phase("Succeeded")
        space.operator.kill()
        space.bury(space.operator)
        space.start_operator().wait_ready()
        after = space.submit("after", {"RUN_SECONDS": 1})
        after.in_phase("Succeeded")
        assert space.errors == []
        for name in STRANGE:
            space.api.delete(f"{space.runs}/{name}")
            space.api.gone(f"{space.runs}/{name}")


def _put(space: Space, name: str, strange: dict[str, Any]) -> None:
    """Makes the object, with the status that it has."""
    head = {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": name},
    }
    made = space.api.post(space.runs, {**strange, **head})
    if "status" in strange:
        space.api.put(f"{space.runs}/{name}/status", {**made, "status": strange["status"]})


def _eventually_told(space: Space, name: str) -> dict[str, Any]:
    found = space.api.eventually(
        f"{space.runs}/{name}", lambda run: run.get("status", {}).get("reason")
    )
    return dict(found["status"])
