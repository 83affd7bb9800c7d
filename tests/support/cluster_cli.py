"""`lightcompute` against a cluster, in this process, and runs there whose status a test writes in the operator's stead."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from lightcompute.api import Phase, TrainingRunStatus, labels
from lightcompute.cli.main import main
from lightcompute.core.revise import revised
from lightcompute.testing.builders import RunBuilder, a_run, a_running_attempt
from support.testcluster.api import Api
from support.testcluster.jobs import trainer_job

Document = dict[str, Any]


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class ClusterCommands:
    """One namespace, and the commands about it."""

    api: Api
    namespace: str
    kubeconfig: Path
    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def runs(self) -> str:
        return f"/apis/lightcompute.dev/v1alpha1/namespaces/{self.namespace}/trainingruns"

    def call(self, verb: str, *words: object) -> Said:
        """The command about this namespace."""
        return self.plain(verb, *words, "-n", self.namespace, "--kubeconfig", self.kubeconfig)

    def plain(self, *words: object) -> Said:
        """The command as it is given."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main([str(word) for word in words])
        printed = self.capsys.readouterr()
        assert isinstance(leaving.value.code, int)
        return Said(leaving.value.code, printed.out, printed.err)

    def file(self, name: str = "baseline", **spec: Any) -> Path:
        """A file that orders a small run."""
        training = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100}
        document = {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingRun",
            "metadata": {"name": name},
            "spec": {"training": training} | spec,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document), "utf-8")
        return path

    def make(
        self, name: str = "baseline", status: TrainingRunStatus | None = None, **spec: Any
    ) -> Document:
        """A run in the cluster, with this status."""
        run = a_run().with_spec(**spec)
        body = {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingRun",
            "metadata": {"name": name},
            "spec": run.spec,
        }
        made = self.api.post(self.runs, body)
        return made if status is None else self.tell(name, status)

    def tell(self, name: str, status: TrainingRunStatus) -> Document:
        """Writes the status as the operator would."""
        seen = self.get(name)["metadata"]["generation"]
        document = revised(status, observed_generation=seen).document()
        path = f"{self.runs}/{name}/status"
        return self.api.patch(path, {"status": document}, kind="merge")

    def get(self, name: str = "baseline") -> Document:
        """The run as the server has it."""
        return self.api.get(f"{self.runs}/{name}")

    def trainer(self, run: Document, *, attempt: int = 1, **knobs: Any) -> None:
        """The Job of an attempt, with the labels that the operator gives it."""
        marks = {labels.RUN_UID: run["metadata"]["uid"], labels.ATTEMPT: str(attempt)}
        job = trainer_job(
            f"{run['metadata']['name']}-{attempt}",
            attempt=attempt,
            job_labels=marks,
            job_spec={"completionMode": "Indexed", "completions": 1},
            **knobs,
        )
        self.api.post(f"/apis/batch/v1/namespaces/{self.namespace}/jobs", job)

    @contextmanager
    def operator(
        self, answer: Callable[[Document], TrainingRunStatus | None], name: str = "baseline"
    ) -> Iterator[None]:
        """Somebody who looks at the run and writes what `answer` says, until the block ends."""
        over = threading.Event()

        def act() -> None:
            while not over.wait(0.1):
                run = self.api.find(f"{self.runs}/{name}")
                status = answer(run) if run is not None else None
                if status is not None:
                    self.tell(name, status)

        thread = threading.Thread(target=act)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def running(**parts: Any) -> TrainingRunStatus:
    """The status of a run whose first attempt is alive."""
    builder: RunBuilder = a_run().with_attempts(a_running_attempt(price="1.50"))
    return revised(builder.status, **({"reason": "AttemptRunning", "message": "It runs."} | parts))


def resting(phase: Phase) -> TrainingRunStatus:
    """The status of a run of which nothing is alive."""
    return TrainingRunStatus(phase=phase, message="Nothing of it is alive.")


def parsed(text: str) -> Any:
    """JSON that a command printed."""
    return json.loads(text)
