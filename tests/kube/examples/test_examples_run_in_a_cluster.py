"""Every file of examples/, applied as it is, comes to its end with results. What is trained is simulated."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.run_spaces import Run, Space

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def test_each_example_succeeds_with_results(
    space: Space, checkout: Path, subtests: pytest.Subtests
) -> None:
    files = sorted((checkout / "examples").glob("*.yaml"))
    runs = {file.name: _applied(space, file) for file in files}
    assert len(runs) >= 5
    for name, run in runs.items():
        with subtests.test(name):
            status = run.in_phase("Succeeded")
            assert status["results"]["attempt"] == 1
            assert status["results"]["finalValidation"]["natsPerCharacter"] == 1.5
            assert status["environment"]["torch"]
            assert status["checkpoints"]
            assert _order(run)["training"]["maxSteps"] == _training(run)["maxSteps"]
    assert space.audit() == ()
    assert space.errors == []


def _applied(space: Space, file: Path) -> Run:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    made = space.api.post(space.runs, document, fieldValidation="Strict")
    return Run(space=space, name=made["metadata"]["name"], uid=made["metadata"]["uid"])


def _training(run: Run) -> dict[str, object]:
    assert run.document is not None
    return dict(run.document["spec"]["training"])


def _order(run: Run) -> dict[str, dict[str, object]]:
    """The order that the trainer is given."""
    selector = f"lightcompute.dev/run-uid={run.uid}"
    path = f"/api/v1/namespaces/{run.space.namespace}/configmaps"
    (found,) = run.space.api.get(path, labelSelector=selector)["items"]
    return dict(yaml.safe_load(found["data"]["order.yaml"]))
