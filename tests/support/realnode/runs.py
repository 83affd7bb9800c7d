"""TrainingRuns in the rig: ordered as a person orders them, waited for, and read as the models read them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import yaml

from lightcompute.api import Phase, TrainingRunStatus, labels
from lightcompute.api.words import FINISHED
from support.realnode.commands import kubectl, lightcompute
from support.realnode.rig import Rig
from support.testcluster.api import Document

_SECONDS = 180
_LOOK_SECONDS = 0.3
DATA = "shakespeare-plays"
"""Installed with the trainer: a pod here has no network to download from."""
SMALL: Document = {
    "data": {"dataset": DATA, "validationFraction": 0.01, "testFraction": 0},
    "tokenizer": {"type": "Character"},
    "model": {"layers": 1, "heads": 2, "embeddingSize": 32, "contextLength": 32},
    "batchSize": 4,
    "maxSteps": 20,
    "evaluation": {"everySteps": 10, "batchSize": 8},
    "samples": {"tokens": 8},
}
"""A training of seconds."""


class Runs:
    """The runs of one namespace."""

    def __init__(self, rig: Rig, namespace: str):
        self.rig = rig
        self.namespace = namespace

    def order(self, name: str, spec: Document, **training: object) -> None:
        """Orders a run with `kubectl apply`: a small training, changed by `training`, unless `spec` says another thing."""
        whole = {"training": {**SMALL, **training}, **spec}
        document = {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingRun",
            "metadata": {"name": name},
            "spec": {key: value for key, value in whole.items() if value is not None},
        }
        file = self.rig.folder / f"{self.namespace}-{name}.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        kubectl(self.rig, "apply", "-n", self.namespace, "-f", str(file))

    def submit(self, file: Path, **assignments: object) -> None:
        """Orders what a file says, with keys changed, with our own command."""
        sets = [part for key, value in assignments.items() for part in ("--set", f"{key}={value}")]
        lightcompute(self.rig, "submit", str(file), "-n", self.namespace, *sets)

    def edit(self, name: str, **spec: object) -> None:
        """Changes the spec."""
        self.rig.api.patch(self.path(name), {"spec": spec})

    def delete(self, name: str) -> None:
        """Asks for its end; `gone` waits for it."""
        self.rig.api.delete(self.path(name))

    def gone(self, name: str, *, seconds: float = _SECONDS) -> None:
        """Waits until nothing is left of it."""
        self.rig.api.gone(self.path(name), seconds=seconds)

    def status(self, name: str) -> TrainingRunStatus:
        """Its status now."""
        document = self.rig.api.get(self.path(name)).get("status", {})
        return TrainingRunStatus.model_validate(document)

    def until(
        self,
        name: str,
        holds: Callable[[TrainingRunStatus], object],
        *,
        seconds: float = _SECONDS,
        although: frozenset[Phase] = frozenset(),
    ) -> TrainingRunStatus:
        """The status once `holds` says so of it. Fails when the run is over before, unless `although` names the phase it is in, and when it takes too long."""
        end = time.monotonic() + seconds
        while not holds(status := self.status(name)):
            is_over = status.phase in FINISHED - although
            assert not is_over, f"{name} is over: {self.told(name)}"
            assert time.monotonic() < end, f"{name} never came to be so: {self.told(name)}"
            time.sleep(_LOOK_SECONDS)
        return status

    def succeeded(self, name: str, *, seconds: float = _SECONDS) -> TrainingRunStatus:
        """The status of a run that must come to its end with a result."""
        return self.until(name, lambda status: status.phase is Phase.SUCCEEDED, seconds=seconds)

    def trained(self, name: str, *, steps: int, attempt: int = 1) -> TrainingRunStatus:
        """The status once an attempt has told of a checkpoint at `steps` or later."""
        return self.until(
            name,
            lambda status: (
                status.attempts
                and status.attempts[-1].number == attempt
                and any(each.step >= steps for each in status.checkpoints)
            ),
        )

    def pods(self, name: str) -> tuple[Document, ...]:
        """Its trainers, newest last."""
        found = self.rig.api.get(
            f"/api/v1/namespaces/{self.namespace}/pods",
            labelSelector=f"{labels.RUN_NAME}={name},{labels.PURPOSE}=trainer",
        )["items"]
        return tuple(sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"])))

    def log(self, pod: str) -> str:
        """What a trainer says."""
        return self.rig.api.text(
            f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log", container="trainer"
        )

    def told(self, name: str) -> str:
        """All there is to know of a run, for messages."""
        status = self.status(name).model_dump_json(indent=1, exclude_none=True)
        pods = "\n".join(
            f"{pod['metadata']['name']}: {pod['status']}"[:3000] for pod in self.pods(name)
        )
        return f"{status[-6000:]}\n{pods}"

    def path(self, name: str) -> str:
        """Where it is at the API server."""
        group = "apis/lightcompute.dev/v1alpha1"
        return f"/{group}/namespaces/{self.namespace}/trainingruns/{name}"
