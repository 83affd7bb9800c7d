"""The audit of a record: what it takes for right, and that it finds each thing that must not be."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api import labels
from support.run_audit import Change, Kind, violations

Document = dict[str, Any]
RUNNING: Document = {"number": 1, "state": "Running"}
ENDED: Document = {"number": 1, "state": "Ended", "reason": "Completed"}


class Record:
    """A record that is written by hand."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def run(self, *attempts: Document, gone: bool = False, **status: Any) -> Record:
        """The run as it came to be."""
        metadata = {
            "uid": "run",
            "name": "baseline",
            "generation": 1,
            "finalizers": [labels.FINALIZER],
        }
        spec = {"budget": {"limitUSD": "1.00"}}
        document = {"metadata": metadata, "spec": spec, "status": {"attempts": attempts, **status}}
        return self._take(Kind.RUN, document, gone)

    def job(self, attempt: int = 1, *, gone: bool = False, **spec: Any) -> Record:
        """A Job."""
        return self._take(Kind.JOB, {"metadata": _marks("job", attempt), "spec": spec}, gone)

    def pod(self, attempt: int = 1, phase: str = "Running", *, gone: bool = False) -> Record:
        """A pod."""
        document = {"metadata": _marks("pod", attempt), "status": {"phase": phase}}
        return self._take(Kind.POD, document, gone)

    @property
    def faults(self) -> str:
        """What is wrong with it."""
        return "; ".join(violations(self.changes))

    def _take(self, kind: Kind, document: Document, gone: bool) -> Record:
        version = len(self.changes) + 1
        self.changes.append(Change(version=version, kind=kind, gone=gone, document=document))
        return self


def _marks(what: str, attempt: int) -> Document:
    marks = {labels.RUN_UID: "run", labels.ATTEMPT: str(attempt)}
    return {"uid": f"{what}-{attempt}", "name": f"{what}-{attempt}", "labels": marks}


def test_a_run_as_it_should_be_is_right() -> None:
    record = Record().run().run(RUNNING).job().pod().pod(phase="Succeeded").run(ENDED)
    record = record.job(gone=True).pod(gone=True).run(ENDED, gone=True)
    assert record.faults == ""


SECOND: Document = {"number": 2, "state": "Running"}
WRONG = {
    "two attempts at once": (
        Record().run(RUNNING).job().pod().pod(2),
        "pods of attempts [1, 2] of one run may run at once",
    ),
    "a Job without a record": (Record().run().job(), "when [] were recorded as live"),
    "a Job of another attempt": (Record().run(SECOND).job(1), "when [2] were recorded as live"),
    "a Job of no run": (Record().job(), "a Job of no run"),
    "two Jobs at once": (
        Record().run(RUNNING).job().run(ENDED, SECOND).job(2),
        "Jobs of attempts [1, 2] of one run may make pods at once",
    ),
    "an end that is none": (
        Record().run(RUNNING).job().pod().run(ENDED),
        "attempt 1 is recorded as ended and may run",
    ),
    "a run that is let go too early": (
        Record().run(RUNNING).job().pod().run(RUNNING, gone=True),
        "the run is gone, and attempts [1] may run",
    ),
    "an attempt that is never closed": (
        Record().run(RUNNING).run(RUNNING, gone=True),
        "the run is gone with an attempt that was never closed",
    ),
    "an attempt that comes back": (Record().run(ENDED).run(RUNNING), "came back to life"),
    "an end that is changed": (
        Record().run(ENDED).run({**ENDED, "reason": "Preempted"}),
        "the end of attempt 1 was changed",
    ),
    "an attempt that is forgotten": (Record().run(ENDED).run(), "an attempt was forgotten"),
    "numbers with a gap": (Record().run(ENDED, {**ENDED, "number": 3}), "are numbered [1, 3]"),
    "two live ones": (
        Record().run(RUNNING, SECOND),
        "more than one attempt is recorded as live",
    ),
    "money that comes back": (
        Record().run(cost={"spentUSD": "0.5"}).run(cost={"spentUSD": "0.4"}),
        "what was spent fell to 0.4",
    ),
    "more than the cap": (Record().run(cost={"spentUSD": "1.01"}), "1.01 are spent of 1.00"),
    "a status of the future": (Record().run(observedGeneration=2), "ahead of the spec"),
    "a condition twice": (
        Record().run(conditions=[{"type": "Failed"}, {"type": "Failed"}]),
        "a condition stands there twice",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_must_not_be_is_found(name: str) -> None:
    record, says = WRONG[name]
    assert says in record.faults


def test_a_job_that_comes_before_the_finalizer_is_found() -> None:
    record = Record().run(RUNNING)
    record.changes[0].document["metadata"]["finalizers"] = []
    assert "before the run was held by the finalizer" in record.job().faults
